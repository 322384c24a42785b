/** MLflow's run and metric endpoints. Knows field names; runs.ts, metrics.ts and run-inputs.ts know what they do. */
import { z } from 'zod';
import { isJsonObject } from '../../base/json.ts';
import { ignoreNotFound } from '../../kube/status-error.ts';
import { findArtifactPath, listArtifacts } from '../artifacts/artifacts.ts';
import {
  BULK_RUNS_MAX,
  HISTORY_PAGE_MAX,
  SAMPLE_POINTS_MAX,
  SEARCH_RESULTS_DEFAULT,
  SEARCH_RESULTS_MAX,
} from '../limits.ts';
import { recordModel } from '../models/record-model.ts';
import { ACCOUNT_TAG } from '../models/version-lineage.ts';
import { countOf, int64, keyValue, listOf, MISSING, queryListOf, SEE_DOCS, text } from '../request-shape.ts';
import { nextPage, type Route, route, toPageRequest } from '../route.ts';
import { findRunStatus, RUN_STATUSES } from '../status-names.ts';
import { nothing, viewType } from './experiment-routes.ts';
import { parseSteps, readHistories, readHistory, sampleHistories } from './metric-history.ts';
import { logInputs, logOutputs } from './run-inputs.ts';
import { datasetInput, metricFields } from './run-shapes.ts';
import { getRun, searchRuns, toRunInfo } from './run-view.ts';
import { createRun, deleteRunTag, getRunRow, logBatch, setRunStage, updateRun } from './runs.ts';

/** A request about one run; old clients say run_uuid, new ones both. */
function ofRun<S extends z.ZodRawShape>(shape: S) {
  const adopt = (value: unknown) => {
    if (!isJsonObject(value) || value['run_id']) return value;
    return { ...value, run_id: value['run_uuid'] };
  };
  return z.preprocess(adopt, z.object({ run_id: text, ...shape }));
}

const runStatus = z.preprocess(
  (value) => (/^[1-5]$/.test(String(value)) ? findRunStatus(value) : value),
  z.enum(RUN_STATUSES).optional(),
);

function tooManyRuns(what: string, rule: string) {
  return {
    error: ({ input }: { input: unknown }) =>
      `${what} request ${rule} ${BULK_RUNS_MAX} run_ids. Received ${Array.isArray(input) ? input.length : 0} run_ids.`,
  };
}

const writing: readonly Route[] = [
  route('POST /runs/log-metric', {
    input: ofRun(metricFields),
    answer: async (tracking, { run_id, ...metric }) =>
      logBatch(tracking, run_id, { metrics: [metric], params: [], tags: [], single: true }).then(nothing),
  }),
  route('POST /runs/log-parameter', {
    input: ofRun(keyValue.shape),
    answer: async (tracking, { run_id, key, value }) =>
      logBatch(tracking, run_id, { metrics: [], params: [{ key, value }], tags: [], single: true }).then(nothing),
  }),
  route('POST /runs/set-tag', {
    input: ofRun(keyValue.shape),
    answer: async (tracking, { run_id, key, value }) =>
      logBatch(tracking, run_id, { metrics: [], params: [], tags: [{ key, value }], single: true }).then(nothing),
  }),
  route('POST /runs/delete-tag', {
    input: z.object({ run_id: text, key: text }),
    answer: async (tracking, { run_id, key }) => deleteRunTag(tracking, run_id, key).then(nothing),
  }),
  route('POST /runs/log-batch', {
    input: z.object({
      run_id: text,
      metrics: listOf(z.object(metricFields)),
      params: listOf(keyValue),
      tags: listOf(keyValue),
    }),
    answer: async (tracking, { run_id, ...batch }) => logBatch(tracking, run_id, batch).then(nothing),
  }),
  route('POST /runs/log-model', {
    input: z.object({ run_id: text, model_json: text }),
    answer: async (tracking, { run_id, model_json }) => recordModel(tracking, run_id, model_json).then(nothing),
  }),
  route('POST /runs/log-inputs', {
    input: z.object({
      run_id: text,
      datasets: listOf(datasetInput),
      models: listOf(z.object({ model_id: text })),
    }),
    answer: async (tracking, { run_id, datasets, models }) =>
      logInputs(tracking, run_id, { datasets, modelIds: models.map(({ model_id }) => model_id) }).then(nothing),
  }),
  route('POST /runs/outputs', {
    input: z.object({
      run_id: text,
      models: listOf(z.object({ model_id: text, step: int64.default(0) })),
    }),
    answer: async (tracking, { run_id, models }) => logOutputs(tracking, run_id, models).then(nothing),
  }),
];

const living: readonly Route[] = [
  route('POST /runs/create', {
    input: z.object({
      experiment_id: z.string().default('0'),
      user_id: z.string().optional(),
      run_name: z.string().optional(),
      start_time: int64.optional(),
      tags: listOf(keyValue),
    }),
    answer: async (tracking, { experiment_id, user_id, run_name, start_time, tags }, caller) => {
      const userId = user_id || caller.user;
      const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(caller.user);
      const own = account ? [{ key: ACCOUNT_TAG, value: `${account[1]}/${account[2]}` }] : [];
      const known = { experimentId: experiment_id, userId, runName: run_name, startTime: start_time };
      const wanted = { ...known, tags: [...tags, ...own] };
      const { run_id } = await createRun(tracking, wanted);
      const { outputs: _none, ...run } = await getRun(tracking, run_id);
      return { run };
    },
  }),
  route('POST /runs/update', {
    input: ofRun({ status: runStatus, end_time: int64.optional(), run_name: z.string().optional() }),
    answer: async (tracking, { run_id, status, end_time, run_name }) => ({
      run_info: toRunInfo(await updateRun(tracking, run_id, { status, endTime: end_time, runName: run_name })),
    }),
  }),
  route('POST /runs/delete', {
    input: ofRun({}),
    answer: async (tracking, { run_id }) => setRunStage(tracking, run_id, 'deleted').then(nothing),
  }),
  route('POST /runs/restore', {
    input: ofRun({}),
    answer: async (tracking, { run_id }) => setRunStage(tracking, run_id, 'active').then(nothing),
  }),
];

const reading: readonly Route[] = [
  route('GET /runs/get', {
    input: ofRun({}),
    answer: async (tracking, { run_id }) => ({ run: await getRun(tracking, run_id) }),
  }),
  route('POST /runs/search', {
    input: z.object({
      experiment_ids: listOf(z.string()),
      filter: z.string().default(''),
      run_view_type: viewType,
      max_results: countOf({ max: SEARCH_RESULTS_MAX, fallback: SEARCH_RESULTS_DEFAULT }),
      order_by: listOf(z.string()),
      page_token: z.string().optional(),
    }),
    answer: async (tracking, { experiment_ids, filter, order_by, ...input }) => {
      const page = toPageRequest(input.max_results, input.page_token);
      const search = { filter, orderBy: order_by, view: input.run_view_type, page };
      const found = await searchRuns(tracking, experiment_ids, search);
      return { runs: found.items, ...nextPage(found) };
    },
  }),
  route('GET /metrics/get-history', {
    input: ofRun({
      metric_key: text,
      max_results: int64.pipe(z.int().min(1)).optional(),
      page_token: z.string().optional(),
    }),
    answer: async (tracking, { run_id, metric_key, max_results, page_token }) => {
      // MLflow says nothing of a run that is not there.
      if ((await getRunRow(tracking, run_id).catch(ignoreNotFound)) === undefined) return {};
      // A client that asks for no page reads no token either: it gets all, as from MLflow.
      const limit = max_results === undefined ? Number.MAX_SAFE_INTEGER - 1 : Math.min(max_results, HISTORY_PAGE_MAX);
      const found = await readHistory(tracking, { runId: run_id, key: metric_key }, toPageRequest(limit, page_token));
      return { metrics: found.items, ...nextPage(found) };
    },
  }),
  route('GET /metrics/get-history-bulk', {
    input: z.object({
      run_id: queryListOf(z.string())
        .refine((ids) => ids.length > 0, 'GetMetricHistoryBulk request must specify at least one run_id.')
        .refine((ids) => ids.length <= BULK_RUNS_MAX, tooManyRuns('GetMetricHistoryBulk', 'cannot specify more than')),
      metric_key: text,
      max_results: int64.default(HISTORY_PAGE_MAX),
    }),
    answer: async (tracking, { run_id, metric_key, max_results }) => ({
      metrics: await readHistories(tracking, { runIds: run_id, key: metric_key }, max_results),
    }),
  }),
  route('GET /metrics/get-history-bulk-interval', {
    input: z.object({
      run_ids: queryListOf(z.string())
        .refine((ids) => ids.length > 0, MISSING)
        .refine(
          (ids) => ids.length <= BULK_RUNS_MAX,
          tooManyRuns('GetMetricHistoryBulkInterval', 'must specify at most'),
        ),
      metric_key: text,
      start_step: int64.optional(),
      end_step: int64.optional(),
      max_results: int64
        .refine(
          (count) => count >= 1 && count <= SAMPLE_POINTS_MAX,
          `max_results must be between 1 and ${SAMPLE_POINTS_MAX}. ${SEE_DOCS}`,
        )
        .default(SAMPLE_POINTS_MAX),
    }),
    answer: async (tracking, { run_ids, metric_key, start_step, end_step, max_results }) => {
      const between = parseSteps(start_step, end_step);
      const query = { runIds: run_ids, key: metric_key, between, pointsMax: max_results };
      return { metrics: await sampleHistories(tracking, query) };
    },
  }),
  route('GET /artifacts/list', {
    input: ofRun({ path: z.string().default('') }),
    answer: async (tracking, { run_id, path }) => {
      const { artifact_uri } = await getRunRow(tracking, run_id);
      const root = findArtifactPath(artifact_uri);
      const files = root === undefined ? [] : await listArtifacts(tracking.blobs, path, root);
      return { root_uri: artifact_uri, files };
    },
  }),
];

/** Below `/mlflow`. */
export const runRoutes: readonly Route[] = [...living, ...writing, ...reading];
