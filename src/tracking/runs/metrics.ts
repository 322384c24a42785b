/** Metrics: numbers over steps. Keeps every point once, and the latest of each key apart so that search is quick. */
import { sql } from 'kysely';
import { StatusError } from '../../kube/status-error.ts';
import { chunk, chunkRows, insertRows } from '../../sql/insert-rows.ts';
import { checkKeyName } from '../check-name.ts';
import { append, sortLists } from '../owned-values.ts';
import type { MetricRow } from '../schema.ts';
import type { Tracking } from '../tracking.ts';

/** One point. `value` may be NaN or infinite. */
export interface MetricPoint {
  readonly key: string;
  readonly value: number;
  readonly timestamp: number;
  readonly step: number;
  readonly model_id?: string | undefined;
  readonly dataset_name?: string | undefined;
  readonly dataset_digest?: string | undefined;
}

/** A point as JSON can say it. */
export interface WireMetric {
  readonly key: string;
  readonly value: number | 'NaN';
  readonly timestamp: number;
  readonly step: number;
}

const POINT_KEYS = ['run_id', 'key', 'timestamp', 'step', 'is_nan', 'value'];
const RUNS_AT_ONCE = 1_000;

/** @throws Invalid for a bad name, time or step; of a batch, with its place. */
export function checkPoints(points: readonly MetricPoint[], isBatch: boolean): void {
  points.forEach((point, index) => checkPoint(point, isBatch ? `metrics[${index}].` : ''));
}

/** Keeps points that were checked; one that is there already is not kept twice. Run it in a transaction. */
export async function logMetrics(tracking: Tracking, runId: string, points: readonly MetricPoint[]): Promise<void> {
  const rows = points.map((point) => toRow(runId, point)).sort(byPoint);
  await insertRows(tracking.db, rows, { table: 'tracking_metrics', keys: POINT_KEYS, onConflict: 'keep' });
  await updateLatest(tracking, findLatest(rows));
  await logModelMetrics(tracking, runId, points);
}

/** The latest point of each key, by run; each run's in order of key. */
export async function readLatest(
  { db }: Tracking,
  runIds: readonly string[],
): Promise<ReadonlyMap<string, readonly WireMetric[]>> {
  const found = new Map<string, WireMetric[]>();
  for (const part of chunk(runIds, RUNS_AT_ONCE)) {
    const query = db.selectFrom('tracking_latest_metrics').selectAll().where('run_id', 'in', part);
    for (const row of await query.execute()) append(found, row.run_id, toWire(row));
  }
  return sortLists(found);
}

/** A kept point as JSON can say it. */
export function toWire({ key, value, timestamp, step, is_nan }: MetricRow): WireMetric {
  return { key, value: is_nan === 1 ? 'NaN' : value, timestamp, step };
}

/** MLflow's own order of "later": step, then time, then value. Positive when `a` is later. */
export function compareLater(a: MetricRow, b: MetricRow): number {
  return a.step - b.step || a.timestamp - b.timestamp || a.value - b.value;
}

/** Of each key the latest row, in order of key. */
export function findLatest(rows: readonly MetricRow[]): readonly MetricRow[] {
  const latest = new Map<string, MetricRow>();
  for (const row of rows) {
    const best = latest.get(row.key);
    if (!best || compareLater(row, best) > 0) latest.set(row.key, row);
  }
  return [...latest.values()].sort(byPoint);
}

function checkPoint({ key, value, timestamp, step }: MetricPoint, path: string): void {
  checkKeyName(key, `${path}name`, 'Metric name');
  if (timestamp < 0) {
    const said = `Invalid value ${timestamp} for parameter '${path}timestamp' supplied`;
    // why: MLflow's own words, Python's way of writing a whole double included
    const number = Number.isInteger(value) ? value.toFixed(1) : String(value);
    const rule = 'Timestamp must be a nonnegative long (64-bit integer) ';
    throw new StatusError('Invalid', `${said}: metric '${key}' (value=${number}). ${rule}`);
  }
  if (Number.isSafeInteger(timestamp) && Number.isSafeInteger(step)) return;
  throw new StatusError('Invalid', `Timestamp and step of metric '${key}' must lie within 2^53.`);
}

function toRow(runId: string, { key, value, timestamp, step }: MetricPoint): MetricRow {
  const isNan = Number.isNaN(value);
  const finite = isNan ? 0 : Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, value));
  // -0 and 0 are one point to the key of the table.
  return { run_id: runId, key, timestamp, step, value: finite + 0, is_nan: isNan ? 1 : 0 };
}

async function updateLatest({ db }: Tracking, rows: readonly MetricRow[]): Promise<void> {
  for (const part of chunkRows(rows)) {
    await db
      .insertInto('tracking_latest_metrics')
      .values(part)
      .onConflict((conflict) =>
        conflict
          .columns(['run_id', 'key'])
          .doUpdateSet(({ ref }) => ({
            step: ref('excluded.step'),
            timestamp: ref('excluded.timestamp'),
            value: ref('excluded.value'),
            is_nan: ref('excluded.is_nan'),
          }))
          .where(
            sql<boolean>`(excluded.step, excluded.timestamp, excluded.value) > (tracking_latest_metrics.step,
              tracking_latest_metrics.timestamp, tracking_latest_metrics.value)`,
          ),
      )
      .execute();
  }
}

async function logModelMetrics(tracking: Tracking, runId: string, points: readonly MetricPoint[]): Promise<void> {
  const rows = points.flatMap((point) => {
    const { model_id, dataset_name = '', dataset_digest = '' } = point;
    return model_id ? [{ model_id, ...toRow(runId, point), dataset_name, dataset_digest }] : [];
  });
  const keys = ['model_id', ...POINT_KEYS, 'dataset_name', 'dataset_digest'];
  await insertRows(tracking.db, rows.sort(byPoint), { table: 'tracking_model_metrics', keys, onConflict: 'keep' });
}

/** One order for all writers, so that two of them never wait for each other. */
function byPoint(a: MetricRow, b: MetricRow): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1;
  return compareLater(a, b);
}
