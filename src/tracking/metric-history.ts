/** Whole and sampled histories of metrics, of one run or of many. Writes nothing. */
import { type SqlBool, sql } from 'kysely';
import { ignoreNotFound, StatusError } from '../kube/status-error.ts';
import { HISTORY_PAGE_MAX } from './limits.ts';
import { toWire, type WireMetric } from './metrics.ts';
import { type Page, type Paged, toPage } from './page-token.ts';
import { getRunRow } from './runs.ts';
import type { MetricRow } from './schema.ts';
import type { Tracking } from './tracking.ts';

/** A point of one of several runs. */
export interface RunMetric extends WireMetric {
  readonly run_id: string;
}

export interface HistoryQuery {
  readonly runIds: readonly string[];
  readonly key: string;
}

export interface SampleQuery extends HistoryQuery {
  /** Steps, both included; undefined for all of them. */
  readonly between: { readonly start: number; readonly end: number } | undefined;
  readonly pointsMax: number;
}

/** Every point of one key in order of time, step, value. */
export async function readHistory(
  { db }: Tracking,
  { runId, key }: { runId: string; key: string },
  page: Page,
): Promise<Paged<WireMetric>> {
  let query = db.selectFrom('tracking_metrics').selectAll().where('run_id', '=', runId).where('key', '=', key);
  for (const column of ['timestamp', 'step', 'is_nan', 'value'] as const) query = query.orderBy(column);
  const rows = await query
    .limit(page.limit + 1)
    .offset(page.offset)
    .execute();
  const { items, ...rest } = toPage(rows, page);
  return { ...rest, items: items.map(toWire) };
}

/** Points by run, time, step and value, the first `pointsMax` of all; runs that are not there have none. */
export async function readHistories(
  tracking: Tracking,
  { runIds, key }: HistoryQuery,
  pointsMax: number,
): Promise<readonly RunMetric[]> {
  const points: RunMetric[] = [];
  for (const runId of [...new Set(runIds)].sort()) {
    const limit = Math.min(pointsMax, HISTORY_PAGE_MAX) - points.length;
    if (limit <= 0 || (await getRunRow(tracking, runId).catch(ignoreNotFound)) === undefined) continue;
    const { items } = await readHistory(tracking, { runId, key }, { offset: 0, limit });
    points.push(...items.map((point) => ({ ...point, run_id: runId })));
  }
  return points;
}

/**
 * Of each run at most `pointsMax` points in order of step, evenly spread over what was logged, the last one always
 * among them. Costs one walk over the run's points of that key in the order of the table's key, and no sorting.
 * Runs that are not there have none.
 */
export async function sampleHistories(tracking: Tracking, query: SampleQuery): Promise<readonly RunMetric[]> {
  const points: RunMetric[] = [];
  for (const runId of query.runIds) {
    if ((await getRunRow(tracking, runId).catch(ignoreNotFound)) === undefined) continue;
    const rows = await sampleRun(tracking, runId, query);
    points.push(...rows.map((row) => ({ ...toWire(row), run_id: runId })));
  }
  return points;
}

async function sampleRun({ db }: Tracking, runId: string, query: SampleQuery): Promise<readonly MetricRow[]> {
  const { key, between, pointsMax } = query;
  const inRange = between ? sql<SqlBool>`step between ${between.start} and ${between.end}` : sql<SqlBool>`1 = 1`;
  const ofKey = sql`from tracking_metrics where run_id = ${runId} and key = ${key} and ${inRange}`;
  const counted = await sql<{ count: number }>`select count(*) as count ${ofKey}`.execute(db);
  const places = planPlaces(Number(counted.rows[0]?.count ?? 0), pointsMax);
  if (places.length === 0) return [];
  const order = sql`step, timestamp, value, is_nan`;
  const numbered = sql`select *, row_number() over (order by ${order}) as place ${ofKey}`;
  const chosen = sql.join(places.map((place) => place + 1));
  const found = await sql<MetricRow>`
    select run_id, key, step, timestamp, value, is_nan from (${numbered}) numbered
    where place in (${chosen}) order by place`.execute(db);
  return found.rows;
}

/**
 * Which of `count` points are shown, counted from 0: the first of each of `max` buckets as SQL's NTILE fills them, and
 * the last point in place of the last bucket's first.
 */
export function planPlaces(count: number, max: number): readonly number[] {
  const buckets = Math.min(count, max);
  const size = Math.floor(count / Math.max(1, buckets));
  const larger = count % Math.max(1, buckets);
  const places = Array.from({ length: buckets }, (_, bucket) => bucket * size + Math.min(bucket, larger));
  if (count > buckets) places[buckets - 1] = count - 1;
  return places;
}

/** @throws Invalid unless both or neither are given, in order. */
export function parseSteps(start: number | undefined, end: number | undefined): SampleQuery['between'] {
  if (start === undefined && end === undefined) return undefined;
  if (start === undefined || end === undefined) {
    throw new StatusError('Invalid', 'If either start step or end step are specified, both must be specified.');
  }
  if (start <= end) return { start, end };
  const found = `Found start_step=${start} and end_step=${end}.`;
  throw new StatusError('Invalid', `end_step must be greater than start_step. ${found}`);
}
