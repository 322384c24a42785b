/** MLflow's trace endpoints in their present form (v3). Knows field names; traces.ts and spans.ts know what they do. */
import { z } from 'zod';
import { isStatusError, sayNotFound, StatusError } from '../../kube/status-error.ts';
import { TRACE_RESULTS_DEFAULT, TRACE_RESULTS_MAX } from '../limits.ts';
import { countOf, int64, listOf, queryListOf, text } from '../request-shape.ts';
import { nextPage, type Route, route, toPageRequest } from '../route.ts';
import { nothing } from '../runs/experiment-routes.ts';
import type { Tracking } from '../tracking.ts';
import { assessmentShape } from './assessment-routes.ts';
import { createAssessment } from './assessments.ts';
import { parseDuration, parseTimestamp } from './trace-times.ts';
import { searchTraces, showTraces, showWholeTraces } from './trace-view.ts';
import { deleteTraces, deleteTraceTag, getTraceRow, linkTraces, setTraceTag, startTrace } from './traces.ts';

const texts = z.record(z.string(), z.string()).default({});
const location = z.object({ mlflow_experiment: z.object({ experiment_id: text }).optional() });
const traceInfo = z.object({
  trace_id: text,
  client_request_id: z.string().optional(),
  trace_location: location,
  request_preview: z.string().optional(),
  response_preview: z.string().optional(),
  request_time: text,
  execution_duration: z.string().optional(),
  state: z.string().default('STATE_UNSPECIFIED'),
  trace_metadata: texts,
  assessments: listOf(assessmentShape),
  tags: texts,
});
const someTraces = z.object({ trace_ids: queryListOf(text) });

/** A path's own field: which of the two names it has depends on the version. */
export const oneTrace = z.object({ trace_id: text });

async function start(tracking: Tracking, info: z.output<typeof traceInfo>): Promise<object> {
  const { trace_id, trace_location, request_time, execution_duration } = info;
  const experimentId = trace_location.mlflow_experiment?.experiment_id;
  if (experimentId === undefined) {
    throw new StatusError(
      'Invalid',
      'cannot keep the trace: it is in no experiment, set trace_location.mlflow_experiment',
    );
  }
  await startTrace(tracking, {
    traceId: trace_id,
    experimentId,
    clientRequestId: info.client_request_id,
    timestampMs: parseTimestamp(request_time),
    executionTimeMs: execution_duration === undefined ? undefined : parseDuration(execution_duration),
    state: info.state,
    requestPreview: info.request_preview,
    responsePreview: info.response_preview,
    isFinal: true,
    tags: toPairs(info.tags),
    metadata: toPairs(info.trace_metadata),
  });
  for (const assessment of info.assessments) await createAssessment(tracking, { ...assessment, trace_id });
  return showOne(tracking, trace_id);
}

function toPairs(map: Readonly<Record<string, string>>) {
  return Object.entries(map).map(([key, value]) => ({ key, value }));
}

async function showOne(tracking: Tracking, traceId: string): Promise<object> {
  const [trace_info] = await showTraces(tracking, [await getTraceRow(tracking, traceId)]);
  return { trace: { trace_info } };
}

/** Those that are there, in the order asked for. */
async function findRows(tracking: Tracking, traceIds: readonly string[]) {
  if (traceIds.length > TRACE_RESULTS_MAX) {
    throw new StatusError(
      'Invalid',
      `cannot get ${traceIds.length} traces: ${TRACE_RESULTS_MAX} at most in one request`,
    );
  }
  const found = await Promise.allSettled(traceIds.map((id) => getTraceRow(tracking, id)));
  const surprise = found.find((one) => one.status === 'rejected' && !isStatusError(one.reason, 'NotFound'));
  if (surprise?.status === 'rejected') throw surprise.reason;
  return found.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}

/** Below `/mlflow`. */
export const traceRoutes: readonly Route[] = [
  route('POST /traces', {
    version: '3.0',
    input: z.object({ trace: z.object({ trace_info: traceInfo }) }),
    answer: async (tracking, { trace }) => start(tracking, trace.trace_info),
  }),
  route('GET /traces/get', {
    version: '3.0',
    input: oneTrace,
    answer: async (tracking, { trace_id }) => {
      const row = await getTraceRow(tracking, trace_id).catch(sayNotFound(`Trace with ID ${trace_id} is not found.`));
      const [trace] = await showWholeTraces(tracking, [row]);
      return { trace };
    },
  }),
  ...(['GET', 'POST'] as const).flatMap((method) => [
    route(`${method} /traces/batchGet`, {
      version: '3.0',
      input: someTraces,
      answer: async (tracking, { trace_ids }) => ({
        traces: await showWholeTraces(tracking, await findRows(tracking, trace_ids)),
      }),
    }),
    route(`${method} /traces/batchGetInfos`, {
      version: '3.0',
      input: someTraces,
      answer: async (tracking, { trace_ids }) => ({
        trace_infos: await showTraces(tracking, await findRows(tracking, trace_ids)),
      }),
    }),
  ]),
  route('POST /traces/search', {
    version: '3.0',
    input: z.object({
      locations: z.array(location),
      filter: z.string().default(''),
      max_results: countOf({ max: TRACE_RESULTS_MAX, fallback: TRACE_RESULTS_DEFAULT }),
      order_by: listOf(z.string()),
      page_token: z.string().optional(),
    }),
    answer: async (tracking, { locations, filter, order_by, max_results, page_token }) => {
      const ids = locations.flatMap(({ mlflow_experiment }) => mlflow_experiment?.experiment_id ?? []);
      const page = toPageRequest(max_results, page_token);
      const found = await searchTraces(tracking, ids, { filter, orderBy: order_by, page });
      return { traces: await showTraces(tracking, found.items), ...nextPage(found) };
    },
  }),
  route('POST /traces/delete-traces', {
    input: z.object({
      experiment_id: text,
      max_timestamp_millis: int64.optional(),
      max_traces: int64.optional(),
      request_ids: listOf(z.string()),
    }),
    answer: async (tracking, { experiment_id, max_timestamp_millis, max_traces, request_ids }) => ({
      traces_deleted: await deleteTraces(tracking, {
        experimentId: experiment_id,
        maxTimestampMs: max_timestamp_millis,
        maxTraces: max_traces,
        traceIds: request_ids,
      }),
    }),
  }),
  route('POST /traces/link-to-run', {
    input: z.object({ trace_ids: listOf(text), run_id: text }),
    answer: async (tracking, { trace_ids, run_id }) => linkTraces(tracking, run_id, trace_ids).then(nothing),
  }),
  route('GET /traces/:trace_id', {
    version: '3.0',
    input: oneTrace,
    answer: async (tracking, { trace_id }) => showOne(tracking, trace_id),
  }),
  route('PATCH /traces/:trace_id/tags', {
    input: oneTrace.extend({ key: text, value: z.string().default('') }),
    answer: async (tracking, { trace_id, key, value }) => setTraceTag(tracking, trace_id, { key, value }).then(nothing),
  }),
  route('DELETE /traces/:trace_id/tags', {
    input: oneTrace.extend({ key: text }),
    answer: async (tracking, { trace_id, key }) => deleteTraceTag(tracking, trace_id, key).then(nothing),
  }),
];
