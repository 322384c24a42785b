/**
 * Traces: what one call of an application did, as its client and its spans tell it, in either order. Knows their rows;
 * nothing of HTTP.
 */
import { sql } from 'kysely';
import { sayNotFound, StatusError } from '../../kube/status-error.ts';
import { chunk, chunkRows } from '../../sql/insert-rows.ts';
import { checkLength } from '../check-name.ts';
import { KEY_LENGTH_MAX, TRACE_VALUE_LENGTH_MAX } from '../limits.ts';
import { checkTags, deleteTag, type KeyValue, setTags } from '../owned-values.ts';
import { type Experiment, getActiveExperiment, isOwn, keepOwn } from '../runs/experiments.ts';
import { getActiveRun } from '../runs/runs.ts';
import type { OwnerKind, TraceRow } from '../schema.ts';
import { inTransaction, type Tracking } from '../tracking.ts';

/** What a client says of a whole trace. */
export interface NewTrace {
  readonly traceId: string;
  readonly experimentId: string;
  readonly clientRequestId?: string | undefined;
  readonly timestampMs: number;
  readonly executionTimeMs?: number | undefined;
  readonly state: string;
  readonly requestPreview?: string | undefined;
  readonly responsePreview?: string | undefined;
  readonly tags: readonly KeyValue[];
  readonly metadata: readonly KeyValue[];
  /** False for a trace that goes on: its spans may still tell more of it. */
  readonly isFinal: boolean;
}

export interface TraceDeletion {
  readonly experimentId: string;
  readonly maxTimestampMs?: number | undefined;
  readonly maxTraces?: number | undefined;
  readonly traceIds: readonly string[];
}

/** Tags that MLflow gives a meaning. */
export const TRACE_TAG = {
  name: 'mlflow.traceName',
  artifactLocation: 'mlflow.artifactLocation',
  spansLocation: 'mlflow.trace.spansLocation',
} as const;

/** Metadata that MLflow gives a meaning. */
export const TRACE_METADATA = {
  inputs: 'mlflow.traceInputs',
  outputs: 'mlflow.traceOutputs',
  sourceRun: 'mlflow.sourceRun',
  finalized: 'mlflow.trace.infoFinalized',
  tokenUsage: 'mlflow.trace.tokenUsage',
} as const;

/** What is true of any trace that has not ended. */
export const IN_PROGRESS = 'IN_PROGRESS';

const TRACES_AT_ONCE = 1_000;
const TAG_RULE = { lengthMax: TRACE_VALUE_LENGTH_MAX, tooLong: 'cut' } as const;

/**
 * Keeps what a client says of a trace. Spans that came before it stay; what it says counts more than what they told.
 * @throws NotFound, Invalid
 */
export async function startTrace(tracking: Tracking, trace: NewTrace): Promise<void> {
  const experiment = await getActiveExperiment(tracking, trace.experimentId);
  checkLength(trace.traceId, 'trace_id', KEY_LENGTH_MAX);
  for (const { key } of [...trace.tags, ...trace.metadata]) checkLength(key, 'key', KEY_LENGTH_MAX);
  const row = toRow(trace, experiment);
  await inTransaction(tracking, async (within) => {
    await claimTraces(within, [row]);
    await within.db.updateTable('tracking_traces').set(row).where('trace_id', '=', trace.traceId).execute();
    const tags = [...trace.tags, locationTag(experiment, trace.traceId)];
    await setOwned(within, { kind: 'trace', id: trace.traceId, pairs: tags });
    const metadata = [...trace.metadata, ...(trace.isFinal ? [{ key: TRACE_METADATA.finalized, value: 'true' }] : [])];
    await setOwned(within, { kind: 'trace-metadata', id: trace.traceId, pairs: metadata });
  });
}

/** Where the trace's files are. */
export function locationTag({ artifact_location }: Experiment, traceId: string): KeyValue {
  const value = `${artifact_location.replace(/\/+$/, '')}/traces/${traceId}/artifacts`;
  return { key: TRACE_TAG.artifactLocation, value };
}

/** @throws NotFound */
export async function getTraceRow(tracking: Tracking, traceId: string): Promise<TraceRow> {
  const row = await tracking.db
    .selectFrom('tracking_traces')
    .selectAll()
    .where('trace_id', '=', traceId)
    .where(isOwn(tracking, sql.ref('tracking_traces.experiment_id')))
    .executeTakeFirst();
  if (row) return row;
  throw new StatusError('NotFound', `Trace with ID '${traceId}' not found.`);
}

/**
 * Holds the trace until the transaction ends: whoever wants to change what belongs to it meanwhile waits, and then sees
 * what was done. SQLite's transactions are one at a time in any case. @throws NotFound
 */
export async function holdTrace(within: Tracking, traceId: string): Promise<void> {
  const { trace_id } = await getTraceRow(within, traceId);
  if (within.dialect !== 'postgres') return;
  const row = within.db.selectFrom('tracking_traces').select('trace_id').where('trace_id', '=', trace_id);
  if (await row.forUpdate().executeTakeFirst()) return;
  throw new StatusError('NotFound', `Trace with ID '${traceId}' not found.`);
}

/** Changes what is given; only for traces of the older API, which end apart. @throws NotFound */
export async function endTrace(
  tracking: Tracking,
  traceId: string,
  change: {
    readonly endMs: number;
    readonly state: string;
    readonly tags: readonly KeyValue[];
    readonly metadata: readonly KeyValue[];
  },
): Promise<void> {
  await inTransaction(tracking, async (within) => {
    const { timestamp_ms } = await getTraceRow(within, traceId);
    await within.db
      .updateTable('tracking_traces')
      .set({ state: change.state, execution_time_ms: toSafe(change.endMs - timestamp_ms) })
      .where('trace_id', '=', traceId)
      .execute();
    await setOwned(within, { kind: 'trace', id: traceId, pairs: change.tags });
    await setOwned(within, { kind: 'trace-metadata', id: traceId, pairs: change.metadata });
  });
}

/** @throws NotFound, Invalid */
export async function setTraceTag(tracking: Tracking, traceId: string, tag: KeyValue): Promise<void> {
  checkTags([tag], TAG_RULE);
  await getTraceRow(tracking, traceId);
  await setOwned(tracking, { kind: 'trace', id: traceId, pairs: [tag] });
}

/** @throws NotFound, also when there is no such tag; Invalid */
export async function deleteTraceTag(tracking: Tracking, traceId: string, key: string): Promise<void> {
  await getTraceRow(tracking, traceId);
  await deleteTag(tracking, { kind: 'trace', owner: traceId }, key).catch(
    sayNotFound(`No trace tag with key '${key}' for trace with ID '${traceId}'`),
  );
}

/** Notes that the traces came from the run. @throws NotFound */
export async function linkTraces(tracking: Tracking, runId: string, traceIds: readonly string[]): Promise<void> {
  await inTransaction(tracking, async (within) => {
    await getActiveRun(within, runId);
    for (const id of [...new Set(traceIds)].sort()) {
      await getTraceRow(within, id);
      await setOwned(within, { kind: 'trace-run', id, pairs: [{ key: runId, value: runId }] });
    }
  });
}

/** Forgets traces with all that belongs to them; returns how many. @throws Invalid unless it is told which */
export async function deleteTraces(tracking: Tracking, which: TraceDeletion): Promise<number> {
  const { experimentId, maxTimestampMs, maxTraces, traceIds } = which;
  if (maxTimestampMs === undefined && traceIds.length === 0) {
    throw new StatusError('Invalid', 'Either `max_timestamp_millis` or `trace_ids` must be specified.');
  }
  if (maxTimestampMs !== undefined && traceIds.length > 0) {
    throw new StatusError('Invalid', 'Only one of `max_timestamp_millis` and `trace_ids` can be specified.');
  }
  if (traceIds.length > 0 && maxTraces !== undefined) {
    throw new StatusError('Invalid', "`max_traces` can't be specified if `trace_ids` is specified.");
  }
  return inTransaction(tracking, async (within) => {
    const [experiment] = await keepOwn(within, [experimentId]);
    if (experiment === undefined) return 0;
    let query = within.db
      .selectFrom('tracking_traces')
      .select('trace_id')
      .where('experiment_id', '=', experiment)
      .orderBy('timestamp_ms');
    if (maxTimestampMs !== undefined) query = query.where('timestamp_ms', '<=', maxTimestampMs);
    if (maxTraces !== undefined) query = query.limit(maxTraces);
    const parts = chunk([...new Set(traceIds)].sort(), TRACES_AT_ONCE);
    const queries = traceIds.length === 0 ? [query] : parts.map((part) => query.where('trace_id', 'in', part));
    let count = 0;
    for (const one of queries) {
      const ids = (await one.execute()).map(({ trace_id }) => trace_id);
      for (const part of chunk(ids, TRACES_AT_ONCE)) await forget(within, part);
      count += ids.length;
    }
    return count;
  });
}

/** Sets tags or metadata of a trace, cutting what is too long. */
export async function setOwned(
  tracking: Tracking,
  { kind, id, pairs }: { kind: OwnerKind; id: string; pairs: readonly KeyValue[] },
): Promise<void> {
  await setTags(tracking, { kind, owner: id }, { tags: pairs, rule: TAG_RULE });
}

/**
 * Adds rows for traces that are not there yet, and holds all of them until the transaction ends: who tells more of one
 * at the same time waits, and sees what was told before. Ids come from clients: one that another workspace has already
 * is not taken over. @throws NotFound
 */
export async function claimTraces(tracking: Tracking, rows: readonly TraceRow[]): Promise<void> {
  // One order for all, so that two of them never wait for each other.
  const sorted = rows.toSorted((a, b) => (a.trace_id < b.trace_id ? -1 : 1));
  for (const part of chunkRows(sorted)) {
    await tracking.db
      .insertInto('tracking_traces')
      .values(part)
      .onConflict((conflict) =>
        conflict.column('trace_id').doUpdateSet(({ ref }) => ({ trace_id: ref('excluded.trace_id') })),
      )
      .execute();
  }
  const ids = sorted.map(({ trace_id }) => trace_id);
  for (const part of chunk(ids, TRACES_AT_ONCE)) await refuseForeign(tracking, part);
}

async function refuseForeign(tracking: Tracking, ids: readonly string[]): Promise<void> {
  const query = tracking.db.selectFrom('tracking_traces').select('trace_id').where('trace_id', 'in', ids);
  const isForeign = sql<boolean>`not ${isOwn(tracking, sql.ref('tracking_traces.experiment_id'))}`;
  const foreign = await query.where(isForeign).limit(1).executeTakeFirst();
  if (foreign) throw new StatusError('NotFound', `Trace with ID '${foreign.trace_id}' not found.`);
}

/** Traces first: who writes to one holds its row before any other. */
async function forget({ db }: Tracking, ids: readonly string[]): Promise<void> {
  await db.deleteFrom('tracking_traces').where('trace_id', 'in', ids).execute();
  await db.deleteFrom('tracking_spans').where('trace_id', 'in', ids).execute();
  await db.deleteFrom('tracking_assessments').where('trace_id', 'in', ids).execute();
  await db
    .deleteFrom('tracking_tags')
    .where('kind', 'in', ['trace', 'trace-metadata', 'trace-run'])
    .where('owner', 'in', ids)
    .execute();
}

function toSafe(ms: number): number {
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, ms));
}

function toRow(trace: NewTrace, { experiment_id }: Experiment): TraceRow {
  return {
    trace_id: trace.traceId,
    experiment_id,
    client_request_id: trace.clientRequestId ?? null,
    timestamp_ms: trace.timestampMs,
    execution_time_ms: trace.executionTimeMs ?? null,
    state: trace.state,
    request_preview: trace.requestPreview ?? null,
    response_preview: trace.responsePreview ?? null,
  };
}
