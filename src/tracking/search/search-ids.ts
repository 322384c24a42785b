/**
 * A search of any noun: which rows, in which order, by their ids. Rows are read afterwards, only those of the page: so
 * the database walks and sorts narrow index entries, which halves a search among 100,000 runs (bench/tracking.ts).
 */
import { type RawBuilder, sql } from 'kysely';
import { type Page, type Paged, toPage } from '../page-token.ts';
import type { Tracking } from '../tracking.ts';
import { parseFilter } from './search-filter.ts';
import { parseOrder } from './search-order.ts';
import { findBest, planRare } from './search-shortcuts.ts';
import { type IdTarget, planOrder, toWhere } from './search-sql.ts';

/** What is asked for; `where` is what the noun itself demands. */
export interface IdSearch {
  readonly filter: string;
  readonly orderBy: readonly string[];
  readonly page: Page;
  readonly where: RawBuilder<unknown>;
}

/** @throws Invalid for a filter or order that says nothing */
export async function searchIds(tracking: Tracking, target: IdTarget, search: IdSearch): Promise<Paged<string>> {
  const { dialect, db } = tracking;
  const conditions = parseFilter(search.filter, target);
  const orders = search.orderBy.map((order) => parseOrder(order, target));
  if (conditions.length === 0) {
    const best = await findBest(tracking, target, { ...search, orders });
    if (best) return toPage(best, search.page);
  }
  const rare = await planRare(tracking, target, conditions);
  const where = sql`${search.where} and ${rare.where} and ${toWhere(rare.rest, target, dialect)}`;
  const { joins, terms } = planOrder(orders, target, dialect);
  const { limit, offset } = search.page;
  const found = await sql<{ id: string }>`
    select ${sql.ref(`${target.table}.${target.id}`)} id from ${sql.table(target.table)} ${joins}
    where ${where} order by ${sql.join([...terms, target.tie])} limit ${limit + 1} offset ${offset}`.execute(db);
  return toPage(
    found.rows.map(({ id }) => id),
    search.page,
  );
}

/** The rows of a page in the order of its ids; one that was deleted in between is left out. */
export function inOrder<R>(ids: readonly string[], rows: readonly R[], idOf: (row: R) => string): readonly R[] {
  const byId = new Map(rows.map((row) => [idOf(row), row]));
  return ids.flatMap((id) => byId.get(id) ?? []);
}
