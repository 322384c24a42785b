/** Spans of traces: the steps of a call, kept as OTLP sent them. Makes the trace when its spans come first. */
import { isJsonObject } from '../../base/json.ts';
import { chunk, insertRows } from '../../sql/insert-rows.ts';
import { cutText } from '../check-name.ts';
import { PREVIEW_LENGTH_MAX } from '../limits.ts';
import { append, type KeyValue } from '../owned-values.ts';
import { type Experiment, getActiveExperiment } from '../runs/experiments.ts';
import type { SpanRow, TraceRow } from '../schema.ts';
import { inTransaction, type Tracking } from '../tracking.ts';
import { type Attribute, type OtlpSpan, toJson } from './otlp.ts';
import { claimTraces, IN_PROGRESS, locationTag, setOwned, TRACE_METADATA, TRACE_TAG } from './traces.ts';

const ATTRIBUTE = {
  requestId: 'mlflow.traceRequestId',
  type: 'mlflow.spanType',
  inputs: 'mlflow.spanInputs',
  outputs: 'mlflow.spanOutputs',
  usage: 'mlflow.chat.tokenUsage',
  tagPrefix: 'mlflow.traceTag.',
} as const;
const STATES: Readonly<Record<string, string>> = { STATUS_CODE_OK: 'OK', STATUS_CODE_ERROR: 'ERROR' };
const TRACES_AT_ONCE = 1_000;

/** A span with what is asked of it more than once. */
interface ReadSpan {
  readonly span: OtlpSpan;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | undefined;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/**
 * Keeps spans, all or none; one that comes again replaces itself. Returns their traces' ids.
 * @throws NotFound, also for a trace of another workspace
 */
export async function logSpans(
  tracking: Tracking,
  experimentId: string,
  spans: readonly OtlpSpan[],
): Promise<readonly string[]> {
  const experiment = await getActiveExperiment(tracking, experimentId);
  const byTrace = new Map<string, ReadSpan[]>();
  for (const span of spans) {
    const read = readSpan(span);
    append(byTrace, read.traceId, read);
  }
  await inTransaction(tracking, async (within) => {
    const rows = [...byTrace.values()].flat().map(toRow);
    const last = new Map(rows.map((row) => [`${row.trace_id}/${row.span_id}`, row]));
    const sorted = [...last].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
    const keys = ['trace_id', 'span_id'];
    await claimTraces(
      within,
      [...byTrace].map(([id, own]) => planTrace(experiment, id, own)),
    );
    await insertRows(within.db, sorted, { table: 'tracking_spans', keys, onConflict: 'replace' });
    for (const [id, own] of byTrace) await updateTrace(within, { experiment, id, spans: own });
  });
  return [...byTrace.keys()];
}

/** Spans by trace, each trace's in order of their start. */
export async function readSpans(
  { db }: Tracking,
  traceIds: readonly string[],
): Promise<ReadonlyMap<string, readonly OtlpSpan[]>> {
  const found = new Map<string, OtlpSpan[]>();
  for (const part of chunk(traceIds, TRACES_AT_ONCE)) {
    const query = db.selectFrom('tracking_spans').select(['trace_id', 'content']).where('trace_id', 'in', part);
    for (const row of await query.orderBy('trace_id').orderBy('start_us').orderBy('span_id').execute()) {
      append(found, row.trace_id, JSON.parse(row.content) as OtlpSpan); // why: toRow wrote it
    }
  }
  return found;
}

function readSpan(span: OtlpSpan): ReadSpan {
  const traceId = `tr-${toHex(span.trace_id)}`;
  // The id in MLflow's own attribute follows from OpenTelemetry's; a sender cannot choose another.
  const own: Attribute = { key: ATTRIBUTE.requestId, value: { string_value: traceId } };
  const sent = span.attributes ?? [];
  const isSent = sent.some(({ key }) => key === own.key);
  const attributes = isSent ? sent.map((one) => (one.key === own.key ? own : one)) : [...sent, own];
  return {
    span: { ...span, attributes },
    traceId,
    spanId: toHex(span.span_id),
    parentId: span.parent_span_id ? toHex(span.parent_span_id) : undefined,
    attributes: Object.fromEntries(attributes.map(({ key, value }) => [key, unquote(toJson(value))])),
  };
}

/** MLflow's older clients quote values as JSON once more. */
function unquote(value: unknown): unknown {
  if (typeof value !== 'string' || !/^["[{]/.test(value)) return value;
  try {
    const parsed: unknown = JSON.parse(value);
    return parsed;
  } catch {
    return value; // a text that only looks like JSON
  }
}

function toRow({ span, traceId, spanId, parentId, attributes }: ReadSpan): SpanRow {
  const texts = Object.entries(attributes).map(([key, value]) => [toKept(key), toKept(toText(value))]);
  return {
    trace_id: traceId,
    span_id: spanId,
    parent_span_id: parentId ?? null,
    name: toKept(span.name ?? ''),
    type: toKept(toText(attributes[ATTRIBUTE.type] ?? 'UNKNOWN')),
    status: STATES[span.status?.code ?? ''] ?? 'UNSET',
    start_us: toMicroseconds(span.start_time_unix_nano),
    end_us: toMicroseconds(span.end_time_unix_nano) || null,
    attributes: JSON.stringify(Object.fromEntries(texts)),
    content: JSON.stringify(span),
  };
}

/** A trace of which only the spans are known. */
function planTrace({ experiment_id }: Experiment, traceId: string, spans: readonly ReadSpan[]): TraceRow {
  return {
    trace_id: traceId,
    experiment_id,
    client_request_id: null,
    ...toTimes(spans.map(toRow)),
    state: IN_PROGRESS,
    request_preview: null,
    response_preview: null,
  };
}

function toTimes(rows: readonly Pick<SpanRow, 'start_us' | 'end_us'>[]) {
  const startMs = Math.floor(rows.reduce((min, { start_us }) => Math.min(min, start_us), Infinity) / 1_000);
  const endMs = Math.floor(rows.reduce((max, { end_us }) => Math.max(max, end_us ?? max), -Infinity) / 1_000);
  return { timestamp_ms: startMs, execution_time_ms: endMs === -Infinity ? null : endMs - startMs };
}

interface TraceUpdate {
  readonly experiment: Experiment;
  readonly id: string;
  readonly spans: readonly ReadSpan[];
}

/** What spans tell of their trace, unless its client has said it. */
async function updateTrace(tracking: Tracking, { experiment, id, spans }: TraceUpdate): Promise<void> {
  const { db } = tracking;
  const tags: KeyValue[] = [locationTag(experiment, id), { key: TRACE_TAG.spansLocation, value: 'TRACKING_STORE' }];
  const isFinal = await db
    .selectFrom('tracking_tags')
    .select('key')
    .where('kind', '=', 'trace-metadata')
    .where('owner', '=', id)
    .where('key', '=', TRACE_METADATA.finalized)
    .executeTakeFirst();
  const root = spans.find(({ parentId }) => parentId === undefined);
  if (root) tags.push(...readRootTags(root));
  await setOwned(tracking, { kind: 'trace', id, pairs: tags });
  if (isFinal !== undefined) return;
  const known = db
    .selectFrom('tracking_spans')
    .select(({ fn }) => [fn.min('start_us').as('start_us'), fn.max('end_us').as('end_us')])
    .where('trace_id', '=', id);
  const previews = root && {
    state: STATES[root.span.status?.code ?? ''] ?? 'OK',
    request_preview: toPreview(root.attributes[ATTRIBUTE.inputs]),
    response_preview: toPreview(root.attributes[ATTRIBUTE.outputs]),
  };
  await db
    .updateTable('tracking_traces')
    .set({ ...toTimes(await known.execute()), ...previews })
    .where('trace_id', '=', id)
    .execute();
  if (previews) await setOwned(tracking, { kind: 'trace-metadata', id, pairs: readMetadata(spans, previews) });
}

function readRootTags({ attributes }: ReadSpan): readonly KeyValue[] {
  return Object.entries(attributes)
    .filter(([key]) => key.startsWith(ATTRIBUTE.tagPrefix))
    .map(([key, value]) => ({ key: toKept(key.slice(ATTRIBUTE.tagPrefix.length)), value: toKept(toText(value)) }));
}

interface Previews {
  readonly request_preview: string | null;
  readonly response_preview: string | null;
}

function readMetadata(spans: readonly ReadSpan[], previews: Previews): readonly KeyValue[] {
  const usage = sumUsage(spans);
  return [
    ...(previews.request_preview === null ? [] : [{ key: TRACE_METADATA.inputs, value: previews.request_preview }]),
    ...(previews.response_preview === null ? [] : [{ key: TRACE_METADATA.outputs, value: previews.response_preview }]),
    ...(usage === undefined ? [] : [{ key: TRACE_METADATA.tokenUsage, value: JSON.stringify(usage) }]),
  ];
}

/** Tokens by kind. A span that tells its use speaks for all below it, which are not counted again. */
export function sumUsage(
  spans: readonly Pick<ReadSpan, 'spanId' | 'parentId' | 'attributes'>[],
): Readonly<Record<string, number>> | undefined {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const isSpokenFor = (start: string | undefined): boolean => {
    // A sender may close a circle of parents; each is asked once.
    const seen = new Set<string>();
    for (let id = start; id !== undefined && !seen.has(id); id = byId.get(id)?.parentId) {
      if (isJsonObject(byId.get(id)?.attributes[ATTRIBUTE.usage])) return true;
      seen.add(id);
    }
    return false;
  };
  const total: Record<string, number> = {};
  for (const { parentId, attributes } of spans) {
    const usage = attributes[ATTRIBUTE.usage];
    if (!isJsonObject(usage) || isSpokenFor(parentId)) continue;
    for (const [kind, count] of Object.entries(usage)) {
      if (typeof count === 'number') total[kind] = (total[kind] ?? 0) + count;
    }
  }
  return Object.keys(total).length === 0 ? undefined : total;
}

function toPreview(value: unknown): string | null {
  return value === undefined ? null : cutText(JSON.stringify(value), PREVIEW_LENGTH_MAX);
}

function toText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function toHex(base64: string): string {
  return Buffer.from(base64, 'base64').toString('hex');
}

/** A text as both databases keep it, also within JSON: PostgreSQL's has neither NUL nor half a surrogate pair. */
function toKept(text: string): string {
  return text.replaceAll('\0', '\ufffd').toWellFormed();
}

/** Nanoseconds as a text to microseconds, which a number can hold until the year 2255. */
function toMicroseconds(nanos: string | undefined): number {
  return nanos === undefined ? 0 : Math.min(Number(BigInt(nanos) / 1_000n), Number.MAX_SAFE_INTEGER);
}
