/** Whole and sampled histories of metrics, of one run or of many. Writes nothing. */
import { type RawBuilder, type SqlBool, sql } from 'kysely';
import { ignoreNotFound, StatusError } from '../../kube/status-error.ts';
import { HISTORY_PAGE_MAX } from '../limits.ts';
import { type Page, type Paged, toPage } from '../page-token.ts';
import type { MetricRow } from '../schema.ts';
import type { Tracking } from '../tracking.ts';
import { toWire, type WireMetric } from './metrics.ts';
import { getRunRow } from './runs.ts';

/** The order of the table's key within a run's metric. */
const ORDER = sql`step, timestamp, value, is_nan`;

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

async function sampleRun(tracking: Tracking, runId: string, query: SampleQuery): Promise<readonly MetricRow[]> {
  const { key, between, pointsMax } = query;
  const inRange = between ? sql<SqlBool>`step between ${between.start} and ${between.end}` : sql<SqlBool>`1 = 1`;
  const points = sql`from tracking_metrics where run_id = ${runId} and key = ${key} and ${inRange}`;
  const read = async (rest: RawBuilder<unknown>) =>
    (await sql<MetricRow>`select run_id, key, ${ORDER} ${points} ${rest}`.execute(tracking.db)).rows;
  const counted = await sql<{ count: number }>`select count(*) as count ${points}`.execute(tracking.db);
  const count = Number(counted.rows[0]?.count ?? 0);
  if (count <= pointsMax) return read(sql`order by ${ORDER}`);
  const last = await read(sql`order by step desc, timestamp desc, value desc, is_nan desc limit 1`);
  if (pointsMax === 1) return last;
  const shown = await read(sql`order by ${ORDER} limit 1`);
  for (const leap of planLeaps(count, pointsMax)) {
    const from = shown.at(-1);
    if (from) shown.push(...(await jump(tracking, { points, from, leap })));
  }
  return [...shown, ...last];
}

/** So many times, go on by so many rows. */
export interface Leap {
  readonly rows: number;
  readonly times: number;
}

/**
 * From the first row to the first of every bucket but the last, as SQL's NTILE fills `max` buckets with `count` rows:
 * the first `count % max` have one more than the others. In place of the last bucket's first, the last row is shown.
 */
export function planLeaps(count: number, max: number): readonly Leap[] {
  const size = Math.floor(count / max);
  const larger = Math.min(count % max, max - 2);
  return [
    { rows: size + 1, times: larger },
    { rows: size, times: max - 2 - larger },
  ].filter(({ times }) => times > 0);
}

interface Jump {
  readonly points: RawBuilder<unknown>;
  readonly from: MetricRow;
  readonly leap: Leap;
}

/**
 * Rows that lie `leap.rows` apart, behind `from`. Walks the table's key and nothing else: numbering all rows by a
 * window function takes seven times as long in SQLite and twice in PostgreSQL (100,000 points).
 */
async function jump({ db, dialect }: Tracking, { points, from, leap }: Jump): Promise<readonly MetricRow[]> {
  const next = (values: RawBuilder<unknown>) =>
    sql`${points} and (${ORDER}) > (${values}) order by ${ORDER} limit 1 offset ${leap.rows - 1}`;
  const start = sql.join([from.step, from.timestamp, from.value, from.is_nan]);
  if (dialect === 'postgres') {
    const behind = next(sql`jump.step, jump.timestamp, jump.value, jump.is_nan`);
    const found = await sql<MetricRow>`
      with recursive jump(i, run_id, key, ${ORDER}) as (
        (select 1, run_id, key, ${ORDER} ${next(start)})
        union all
        select jump.i + 1, jump.run_id, jump.key, n.step, n.timestamp, n.value, n.is_nan
        from jump cross join lateral (select ${ORDER} ${behind}) n where jump.i < ${leap.times})
      select run_id, key, ${ORDER} from jump order by i`.execute(db);
    return found.rows;
  }
  const rows: MetricRow[] = [];
  for (let at: MetricRow | undefined = from; at !== undefined && rows.length < leap.times; ) {
    const values = sql.join([at.step, at.timestamp, at.value, at.is_nan]);
    const found: { readonly rows: readonly MetricRow[] } = await sql<MetricRow>`
      select run_id, key, ${ORDER} ${next(values)}`.execute(db);
    at = found.rows[0];
    if (at) rows.push(at);
  }
  return rows;
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
