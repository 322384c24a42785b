/** Traces as MLflow's REST API shows them, in its present form and in the older one. Writes nothing. */
import { sql } from 'kysely';
import { type KeyValue, readOwned } from '../owned-values.ts';
import type { Paged } from '../page-token.ts';
import { keepOwn, type Search } from '../runs/experiments.ts';
import type { TraceRow } from '../schema.ts';
import { inOrder, searchIds } from '../search/search-ids.ts';
import type { IdTarget } from '../search/search-sql.ts';
import type { Tracking } from '../tracking.ts';
import { type Assessment, readAssessments } from './assessments.ts';
import type { OtlpSpan } from './otlp.ts';
import { readSpans } from './spans.ts';
import { toDuration, toTimestamp } from './trace-times.ts';
import { TRACE_METADATA, TRACE_TAG } from './traces.ts';

/** MLflow's TraceInfoV3. */
export interface TraceInfo {
  readonly trace_id: string;
  readonly client_request_id?: string;
  readonly trace_location: {
    readonly type: 'MLFLOW_EXPERIMENT';
    readonly mlflow_experiment: { readonly experiment_id: string };
  };
  readonly request_time: string;
  readonly execution_duration?: string;
  readonly state: string;
  readonly trace_metadata?: Readonly<Record<string, string>>;
  readonly assessments: readonly Assessment[];
  readonly tags?: Readonly<Record<string, string>>;
  readonly request_preview?: string;
  readonly response_preview?: string;
}

/** MLflow's Trace. */
export interface Trace {
  readonly trace_info: TraceInfo;
  readonly spans?: readonly OtlpSpan[];
}

/** MLflow's older TraceInfo. */
export interface OldTraceInfo {
  readonly request_id: string;
  readonly experiment_id: string;
  readonly timestamp_ms: number;
  readonly execution_time_ms: number;
  readonly status: string;
  readonly request_metadata: readonly KeyValue[];
  readonly tags: readonly KeyValue[];
}

const TARGET: IdTarget = {
  table: 'tracking_traces',
  id: 'trace_id',
  tie: sql`tracking_traces.timestamp_ms desc, tracking_traces.trace_id`,
  optional: ['client_request_id', 'execution_time', 'execution_time_ms', 'end_time', 'end_time_ms', 'run_id', 'text'],
  attributes: {
    trace_id: 'text',
    request_id: 'text',
    client_request_id: 'text',
    experiment_id: 'text',
    timestamp: 'number',
    timestamp_ms: 'number',
    execution_time: 'number',
    execution_time_ms: 'number',
    end_time: 'number',
    end_time_ms: 'number',
    status: 'text',
    state: 'text',
    name: 'text',
    run_id: 'text',
    text: 'text',
  },
  entities: ['attribute', 'tag', 'metadata', 'feedback', 'expectation', 'span'],
  expressionsBut: ['text'],
  columns: {
    request_id: 'trace_id',
    timestamp: 'timestamp_ms',
    execution_time: 'execution_time_ms',
    status: 'state',
  },
  expressions: {
    end_time: sql`(timestamp_ms + execution_time_ms)`,
    end_time_ms: sql`(timestamp_ms + execution_time_ms)`,
  },
  kept: {
    name: { entity: 'tag', key: TRACE_TAG.name },
    text: { entity: 'span', key: 'content' },
  },
  rows: {
    // The run in which it was made, and those that it was linked to.
    run_id: {
      from: sql`from tracking_tags as found where found.owner = tracking_traces.trace_id and (found.kind = 'trace-run'
        or found.kind = 'trace-metadata' and found.key = ${TRACE_METADATA.sourceRun})`,
      value: sql`found.value`,
    },
  },
  owner: sql.ref('tracking_traces.trace_id'),
  ownerKind: 'trace',
  metadataKind: 'trace-metadata',
};

/** Traces of these experiments, newest first unless told otherwise. @throws Invalid for a filter that says nothing */
export async function searchTraces(
  tracking: Tracking,
  experimentIds: readonly string[],
  search: Omit<Search, 'view'>,
): Promise<Paged<TraceRow>> {
  const ids = await keepOwn(tracking, experimentIds);
  const ofThese = ids.length === 0 ? sql`1 = 0` : sql`experiment_id in (${sql.join(ids)})`;
  const found = await searchIds(tracking, TARGET, { ...search, where: ofThese });
  if (found.items.length === 0) return { ...found, items: [] };
  const query = tracking.db.selectFrom('tracking_traces').selectAll().where('trace_id', 'in', found.items);
  return { ...found, items: inOrder(found.items, await query.execute(), ({ trace_id }) => trace_id) };
}

/** In the order given. */
export async function showTraces(tracking: Tracking, rows: readonly TraceRow[]): Promise<readonly TraceInfo[]> {
  const owners = rows.map(({ trace_id }) => trace_id);
  const { tags, metadata } = await readTexts(tracking, owners);
  const assessments = await readAssessments(tracking, owners);
  return rows.map((row) => ({
    trace_id: row.trace_id,
    ...(row.client_request_id !== null && { client_request_id: row.client_request_id }),
    trace_location: { type: 'MLFLOW_EXPERIMENT', mlflow_experiment: { experiment_id: row.experiment_id } },
    request_time: toTimestamp(row.timestamp_ms),
    ...(row.execution_time_ms !== null && { execution_duration: toDuration(row.execution_time_ms) }),
    state: row.state,
    ...(metadata.has(row.trace_id) && { trace_metadata: toMap(metadata.get(row.trace_id)) }),
    assessments: assessments.get(row.trace_id) ?? [],
    ...(tags.has(row.trace_id) && { tags: toMap(tags.get(row.trace_id)) }),
    ...(row.request_preview !== null && { request_preview: row.request_preview }),
    ...(row.response_preview !== null && { response_preview: row.response_preview }),
  }));
}

/** With their spans, in the order given. */
export async function showWholeTraces(tracking: Tracking, rows: readonly TraceRow[]): Promise<readonly Trace[]> {
  const spans = await readSpans(
    tracking,
    rows.map(({ trace_id }) => trace_id),
  );
  const infos = await showTraces(tracking, rows);
  return infos.map((trace_info) => ({ trace_info, spans: spans.get(trace_info.trace_id) ?? [] }));
}

/** As the older API shows them, in the order given. */
export async function showOldTraces(tracking: Tracking, rows: readonly TraceRow[]): Promise<readonly OldTraceInfo[]> {
  const { tags, metadata } = await readTexts(
    tracking,
    rows.map(({ trace_id }) => trace_id),
  );
  return rows.map((row) => ({
    request_id: row.trace_id,
    experiment_id: row.experiment_id,
    timestamp_ms: row.timestamp_ms,
    execution_time_ms: row.execution_time_ms ?? 0,
    status: row.state,
    request_metadata: metadata.get(row.trace_id) ?? [],
    tags: tags.get(row.trace_id) ?? [],
  }));
}

async function readTexts(tracking: Tracking, owners: readonly string[]) {
  const tags = await readOwned(tracking, 'tracking_tags', { kind: 'trace', owners });
  const metadata = await readOwned(tracking, 'tracking_tags', { kind: 'trace-metadata', owners });
  return { tags, metadata };
}

function toMap(pairs: readonly KeyValue[] = []): Readonly<Record<string, string>> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, value]));
}
