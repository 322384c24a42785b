/** MLflow's trace endpoints in their older form (v2), which clients before 3.0 speak. Knows field names only. */
import { z } from 'zod';
import { TRACE_RESULTS_DEFAULT, TRACE_RESULTS_MAX } from '../limits.ts';
import { countOf, int64, keyValue, listOf, queryListOf, text } from '../request-shape.ts';
import { nextPage, type Route, route, toPageRequest } from '../route.ts';
import type { Tracking } from '../tracking.ts';
import { oneTrace } from './trace-routes.ts';
import { searchTraces, showOldTraces } from './trace-view.ts';
import { endTrace, getTraceRow, IN_PROGRESS, startTrace } from './traces.ts';

const states = ['TRACE_STATUS_UNSPECIFIED', 'OK', 'ERROR', IN_PROGRESS] as const;
const state = z.preprocess((value) => states[Number(value)] ?? value, z.enum(states));

async function showOne(tracking: Tracking, traceId: string): Promise<object> {
  const [trace_info] = await showOldTraces(tracking, [await getTraceRow(tracking, traceId)]);
  return { trace_info };
}

/** Below `/mlflow`. */
export const oldTraceRoutes: readonly Route[] = [
  route('POST /traces', {
    version: '2.0',
    input: z.object({
      experiment_id: text,
      timestamp_ms: int64,
      request_metadata: listOf(keyValue),
      tags: listOf(keyValue),
    }),
    answer: async (tracking, { experiment_id, timestamp_ms, request_metadata, tags }) => {
      const traceId = `tr-${tracking.newId()}`;
      const known = { traceId, experimentId: experiment_id, timestampMs: timestamp_ms, state: IN_PROGRESS };
      await startTrace(tracking, { ...known, tags, metadata: request_metadata, isFinal: false });
      return showOne(tracking, traceId);
    },
  }),
  route('PATCH /traces/:trace_id', {
    version: '2.0',
    input: oneTrace.extend({
      timestamp_ms: int64,
      status: state,
      request_metadata: listOf(keyValue),
      tags: listOf(keyValue),
    }),
    answer: async (tracking, { trace_id, timestamp_ms, status, request_metadata, tags }) => {
      await endTrace(tracking, trace_id, { endMs: timestamp_ms, state: status, tags, metadata: request_metadata });
      return showOne(tracking, trace_id);
    },
  }),
  route('GET /traces/:trace_id/info', {
    version: '2.0',
    input: oneTrace,
    answer: async (tracking, { trace_id }) => showOne(tracking, trace_id),
  }),
  route('GET /traces', {
    version: '2.0',
    input: z.object({
      experiment_ids: queryListOf(z.string()),
      filter: z.string().default(''),
      max_results: countOf({ max: TRACE_RESULTS_MAX, fallback: TRACE_RESULTS_DEFAULT }),
      order_by: queryListOf(z.string()),
      page_token: z.string().optional(),
    }),
    answer: async (tracking, { experiment_ids, filter, order_by, max_results, page_token }) => {
      const page = toPageRequest(max_results, page_token);
      const found = await searchTraces(tracking, experiment_ids, { filter, orderBy: order_by, page });
      return { traces: await showOldTraces(tracking, found.items), ...nextPage(found) };
    },
  }),
];
