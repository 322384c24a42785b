/** MLflow's run and metric endpoints. Knows field names; runs.ts, metrics.ts and run-inputs.ts know what they do. */
import { z } from 'zod';
import { findArtifactPath, listArtifacts } from './artifacts.ts';
import { nothing, viewType } from './experiment-routes.ts';
import { HISTORY_PAGE_MAX, SEARCH_RESULTS_DEFAULT, SEARCH_RESULTS_MAX } from './limits.ts';
import { readHistory } from './metrics.ts';
import { double, int64, keyValue, listOf } from './request-shape.ts';
import { nextPage, type Route, route, toPageRequest } from './route.ts';
import { logInputs, logOutputs } from './run-inputs.ts';
import { getRun, searchRuns, toRunInfo } from './run-view.ts';
import { createRun, deleteRunTag, getRunRow, logBatch, setRunStage, updateRun } from './runs.ts';

/** Old clients say run_uuid, new ones both. */
const anyRun = z.object({ run_id: z.string().optional(), run_uuid: z.string().optional() });
const oneRun = anyRun.transform(({ run_id, run_uuid }, context) => withRunId({ run_id, run_uuid }, context));

const metricFields = {
  key: z.string(),
  value: double,
  timestamp: int64,
  step: int64.default(0),
  model_id: z.string().optional(),
  dataset_name: z.string().optional(),
  dataset_digest: z.string().optional(),
};

const statusNames = ['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED'] as const;
const runStatus = z.preprocess(
  (value) => (/^[1-5]$/.test(String(value)) ? statusNames[Number(value) - 1] : value),
  z.enum(statusNames).optional(),
);

const datasetInput = z.object({
  tags: listOf(keyValue),
  dataset: z.object({
    name: z.string(),
    digest: z.string(),
    source_type: z.string().default(''),
    source: z.string().default(''),
    schema: z.string().optional(),
    profile: z.string().optional(),
  }),
});

function withRunId<T extends { run_id?: string | undefined; run_uuid?: string | undefined }>(
  input: T,
  context: z.RefinementCtx,
): T & { run_id: string } {
  const run_id = input.run_id || input.run_uuid;
  if (run_id) return { ...input, run_id };
  context.addIssue({ code: 'custom', path: ['run_id'], message: 'a run id must be given' });
  return z.NEVER;
}

const writing: readonly Route[] = [
  route('POST /runs/log-metric', {
    input: anyRun.extend(metricFields).transform(withRunId),
    answer: async (tracking, { run_id, ...metric }) =>
      logBatch(tracking, run_id, { metrics: [metric], params: [], tags: [] }).then(nothing),
  }),
  route('POST /runs/log-parameter', {
    input: anyRun.extend(keyValue.shape).transform(withRunId),
    answer: async (tracking, { run_id, key, value }) =>
      logBatch(tracking, run_id, { metrics: [], params: [{ key, value }], tags: [] }).then(nothing),
  }),
  route('POST /runs/set-tag', {
    input: anyRun.extend(keyValue.shape).transform(withRunId),
    answer: async (tracking, { run_id, key, value }) =>
      logBatch(tracking, run_id, { metrics: [], params: [], tags: [{ key, value }] }).then(nothing),
  }),
  route('POST /runs/delete-tag', {
    input: z.object({ run_id: z.string(), key: z.string() }),
    answer: async (tracking, { run_id, key }) => deleteRunTag(tracking, run_id, key).then(nothing),
  }),
  route('POST /runs/log-batch', {
    input: z.object({
      run_id: z.string(),
      metrics: listOf(z.object(metricFields)),
      params: listOf(keyValue),
      tags: listOf(keyValue),
    }),
    answer: async (tracking, { run_id, ...batch }) => logBatch(tracking, run_id, batch).then(nothing),
  }),
  route('POST /runs/log-inputs', {
    input: z.object({
      run_id: z.string(),
      datasets: listOf(datasetInput),
      models: listOf(z.object({ model_id: z.string() })),
    }),
    answer: async (tracking, { run_id, datasets, models }) =>
      logInputs(tracking, run_id, { datasets, modelIds: models.map(({ model_id }) => model_id) }).then(nothing),
  }),
  route('POST /runs/outputs', {
    input: z.object({
      run_id: z.string(),
      models: listOf(z.object({ model_id: z.string(), step: int64.default(0) })),
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
      const wanted = { experimentId: experiment_id, userId, runName: run_name, startTime: start_time, tags };
      const { run_id } = await createRun(tracking, wanted);
      return { run: await getRun(tracking, run_id) };
    },
  }),
  route('POST /runs/update', {
    input: anyRun
      .extend({ status: runStatus, end_time: int64.optional(), run_name: z.string().optional() })
      .transform(withRunId),
    answer: async (tracking, { run_id, status, end_time, run_name }) => ({
      run_info: toRunInfo(await updateRun(tracking, run_id, { status, endTime: end_time, runName: run_name })),
    }),
  }),
  route('POST /runs/delete', {
    input: oneRun,
    answer: async (tracking, { run_id }) => setRunStage(tracking, run_id, 'deleted').then(nothing),
  }),
  route('POST /runs/restore', {
    input: oneRun,
    answer: async (tracking, { run_id }) => setRunStage(tracking, run_id, 'active').then(nothing),
  }),
];

const reading: readonly Route[] = [
  route('GET /runs/get', {
    input: oneRun,
    answer: async (tracking, { run_id }) => ({ run: await getRun(tracking, run_id) }),
  }),
  route('POST /runs/search', {
    input: z.object({
      experiment_ids: listOf(z.string()),
      filter: z.string().default(''),
      run_view_type: viewType,
      max_results: int64.pipe(z.int().min(1).max(SEARCH_RESULTS_MAX)).default(SEARCH_RESULTS_DEFAULT),
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
    input: anyRun
      .extend({
        metric_key: z.string(),
        max_results: int64.pipe(z.int().min(1)).optional(),
        page_token: z.string().optional(),
      })
      .transform(withRunId),
    answer: async (tracking, { run_id, metric_key, max_results, page_token }) => {
      await getRunRow(tracking, run_id);
      // A client that asks for no page reads no token either: it gets all, as from MLflow.
      const limit = max_results === undefined ? Number.MAX_SAFE_INTEGER - 1 : Math.min(max_results, HISTORY_PAGE_MAX);
      const found = await readHistory(tracking, { runId: run_id, key: metric_key }, toPageRequest(limit, page_token));
      return { metrics: found.items, ...nextPage(found) };
    },
  }),
  route('GET /artifacts/list', {
    input: anyRun.extend({ path: z.string().default('') }).transform(withRunId),
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
