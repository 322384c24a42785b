/**
 * Two ways around walking all runs, for stores with a million of them: a rare value is found by its index, and the best
 * of a metric by that metric's. Knows when they pay; what is asked for stays the same.
 */
import { type RawBuilder, sql } from 'kysely';
import type { Page } from '../page-token.ts';
import type { Tracking } from '../tracking.ts';
import type { Condition } from './search-filter.ts';
import type { Order } from './search-order.ts';
import type { IdTarget } from './search-sql.ts';

/** A value is rare when at most so many have it: reading those costs less than walking a million. */
const RARE_MAX = 10_000;
/** Fewer rows are sorted sooner than a metric of all experiments is walked. */
const MANY_MIN = 50_000;
/** As many characters of a value as the index has. */
const INDEXED_LENGTH = 64;

/** A filter in two parts: what leaves few rows, and the conditions that those must still meet. */
export interface RarePlan {
  readonly where: RawBuilder<unknown>;
  readonly rest: readonly Condition[];
}

/** All conditions are the rest when no value of the filter is rare. */
export async function planRare(
  tracking: Tracking,
  target: IdTarget,
  conditions: readonly Condition[],
): Promise<RarePlan> {
  for (const condition of target.ownerKind === 'run' ? conditions : []) {
    const owners = condition.entity === 'metric' ? withMetric(target, condition) : withValue(condition);
    if (owners === undefined || (await countUpTo(tracking, owners, RARE_MAX + 1)) > RARE_MAX) continue;
    return { where: sql`${target.owner} in (${owners})`, rest: conditions.filter((other) => other !== condition) };
  }
  return { where: sql`1 = 1`, rest: conditions };
}

function withValue({ entity, key, operator, values: [value] }: Condition): RawBuilder<unknown> | undefined {
  if ((entity !== 'param' && entity !== 'tag') || operator !== '=') return undefined;
  const table = sql.table(entity === 'param' ? 'tracking_params' : 'tracking_tags');
  const length = sql.lit(INDEXED_LENGTH);
  // The index is of runs alone, which SQLite sees only in a literal.
  return sql`select found.owner from ${table} as found where found.kind = 'run' and found.key = ${key}
    and substr(found.value, 1, ${length}) = substr(cast(${value} as text), 1, ${length}) and found.value = ${value}`;
}

function withMetric(
  { metrics }: IdTarget,
  { key, operator, values: [value] }: Condition,
): RawBuilder<unknown> | undefined {
  if (metrics?.isUnique !== true || operator === '!=') return undefined;
  return sql`select found.run_id from ${sql.table(metrics.table)} as found where found.key = ${key}
    and found.is_nan = 0 and found.value ${sql.raw(operator)} ${value}`;
}

interface BestQuery {
  readonly orders: readonly Order[];
  readonly where: RawBuilder<unknown>;
  readonly page: Page;
  /** Rows from which on it pays. Default 50,000. */
  readonly manyMin?: number;
}

/**
 * One more id than the page has, when the order is by one metric alone and that many rows have a number there: such
 * rows come before all others. Undefined when it would not pay, or there are too few.
 */
export async function findBest(
  tracking: Tracking,
  target: IdTarget,
  { orders, where, page, manyMin = MANY_MIN }: BestQuery,
): Promise<readonly string[] | undefined> {
  const [order, second] = orders;
  const { metrics } = target;
  if (order?.entity !== 'metric' || second !== undefined || metrics?.isUnique !== true) return undefined;
  const scope = sql`select 1 from ${sql.table(target.table)} where ${where}`;
  if ((await countUpTo(tracking, scope, manyMin)) < manyMin) return undefined;
  const direction = order.descending ? sql`desc` : sql`asc`;
  // A cross join makes SQLite begin with the metric.
  const { rows } = await sql<{ id: string }>`
    select ${target.owner} id from ${sql.table(metrics.table)} as best cross join ${sql.table(target.table)}
    where best.key = ${order.key} and best.is_nan = 0 and ${sql.ref(`best.${metrics.column}`)} = ${target.owner}
      and ${where}
    order by best.value ${direction}, ${target.tie} limit ${page.limit + 1} offset ${page.offset}`.execute(tracking.db);
  return rows.length > page.limit ? rows.map(({ id }) => id) : undefined;
}

async function countUpTo({ db }: Tracking, query: RawBuilder<unknown>, max: number): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from (${query} limit ${max}) as some_rows`.execute(db);
  return rows[0]?.count ?? 0;
}
