/** Brings tables up to date: each step once, in order, whoever asks at the same time. Knows no table but its own. */
import { type Kysely, sql, type Transaction } from 'kysely';
import { hashJson } from '../base/json.ts';
import { StatusError } from '../kube/status-error.ts';
import type { Database, DialectName } from './open-database.ts';

/** One step. `up` runs inside the transaction that records it. */
export interface Migration {
  readonly name: string;
  up(db: Kysely<unknown>, dialect: DialectName): Promise<void>;
}

/** The steps of one room; `component` (lower case and `_`) names the table that records them. */
export interface MigrationPlan {
  readonly component: string;
  readonly migrations: readonly Migration[];
}

/**
 * Runs what has not run yet, all or nothing; returns the names of what ran.
 * @throws Conflict when the database knows a step that this program does not.
 */
export async function migrate<Schema>(database: Database<Schema>, plan: MigrationPlan): Promise<readonly string[]> {
  const db = database.db as unknown as Kysely<unknown>; // why: migrations work below the typed schema
  return db.transaction().execute((transaction) => migrateWithin(transaction, database.dialect, plan));
}

async function migrateWithin(
  db: Transaction<unknown>,
  dialect: DialectName,
  { component, migrations }: MigrationPlan,
): Promise<readonly string[]> {
  // SQLite's transactions begin IMMEDIATE, which is the lock; PostgreSQL needs one of its own.
  if (dialect === 'postgres') await sql`select pg_advisory_xact_lock(${lockNumber(component)})`.execute(db);
  const table = sql.table(`migrations_${component}`);
  await sql`create table if not exists ${table} (position integer primary key, name text not null)`.execute(db);
  const done = await sql<{ name: string }>`select name from ${table} order by position`.execute(db);
  checkHistory(component, done.rows, migrations);
  const pending = migrations.slice(done.rows.length);
  for (const migration of pending) {
    await migration.up(db, dialect);
    const position = migrations.indexOf(migration);
    await sql`insert into ${table} (position, name) values (${position}, ${migration.name})`.execute(db);
  }
  return pending.map(({ name }) => name);
}

function checkHistory(
  component: string,
  done: readonly { readonly name: string }[],
  migrations: readonly Migration[],
): void {
  for (const [position, { name }] of done.entries()) {
    if (migrations[position]?.name === name) continue;
    const what = `its step ${position + 1} is ${name}, which this version does not know`;
    throw new StatusError('Conflict', `cannot migrate ${component}: ${what}, run the version that wrote the database`);
  }
}

/** A number for PostgreSQL's lock table that two rooms hardly share; sharing it only makes one wait for the other. */
function lockNumber(component: string): number {
  return Number.parseInt(hashJson(component).slice(0, 9), 36);
}
