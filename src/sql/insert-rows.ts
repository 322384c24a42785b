/** Many rows in few statements, within what both dialects can bind. Knows no table. */
import { type Kysely, sql } from 'kysely';

/** SQLite binds 32,766 values in a statement, PostgreSQL 65,535. */
const BIND_VALUES_MAX = 30_000;

/** What to do with a row whose `keys` are there already. Default: the insert fails. */
export interface InsertOptions {
  /** Table to insert into. */
  readonly table: string;
  /** Columns of the primary or unique key. */
  readonly keys?: readonly string[];
  /** `keep` leaves the old row; `replace` takes every other column from the new one. */
  readonly onConflict?: 'keep' | 'replace';
}

/** A row by column. */
export type Row = object;

/** Splits so that no part binds more than the limit; every row has the columns of the first. */
export function chunkRows<R extends Row>(rows: readonly R[]): R[][] {
  const width = Math.max(1, Object.keys(rows[0] ?? {}).length);
  return chunk(rows, Math.max(1, Math.floor(BIND_VALUES_MAX / width)));
}

/** Splits into parts of at most `size`. */
export function chunk<T>(items: readonly T[], size: number): T[][] {
  const parts: T[][] = [];
  for (let start = 0; start < items.length; start += size) parts.push(items.slice(start, start + size));
  return parts;
}

/**
 * Inserts all rows, which must have the same columns; run it in a transaction for all or nothing.
 * With `replace`, no two rows may share a key (PostgreSQL refuses to touch a row twice).
 */
export async function insertRows<S>(db: Kysely<S>, rows: readonly Row[], options: InsertOptions): Promise<void> {
  for (const part of chunkRows(rows)) await insertPart(db, part, options);
}

async function insertPart<S>(db: Kysely<S>, rows: readonly Row[], options: InsertOptions): Promise<void> {
  const columns = Object.keys(rows[0] ?? {});
  const tuples = rows.map((row) => sql`(${sql.join(columns.map((column) => Reflect.get(row, column)))})`);
  const into = sql`insert into ${sql.table(options.table)} (${sql.join(columns.map((name) => sql.ref(name)))})`;
  await sql`${into} values ${sql.join(tuples)} ${planConflict(columns, options)}`.execute(db);
}

function planConflict(columns: readonly string[], { keys = [], onConflict }: InsertOptions) {
  if (onConflict === undefined) return sql``;
  const target = sql`on conflict (${sql.join(keys.map((key) => sql.ref(key)))})`;
  const others = columns.filter((column) => !keys.includes(column));
  if (onConflict === 'keep' || others.length === 0) return sql`${target} do nothing`;
  const changes = others.map((name) => sql`${sql.ref(name)} = ${sql.ref(`excluded.${name}`)}`);
  return sql`${target} do update set ${sql.join(changes)}`;
}
