/** Opens rows: a SQLite file, memory, or a PostgreSQL database. Knows the two dialects; nothing of any table. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { Kysely, PostgresDialect } from 'kysely';
import { Pool, types } from 'pg';
import { StatusError } from '../kube/status-error.ts';
import { SqliteDialect } from './sqlite-dialect.ts';

const POSTGRES_CONNECTIONS_MAX = 10;
const POSTGRES_CONNECT_TIMEOUT_MS = 10_000;
/** A new connection makes its first search twice as long; gateways forget silent ones after some six minutes. */
const POSTGRES_IDLE_TIMEOUT_MS = 300_000;
const POSTGRES_INT8 = 20;

/** The SQL dialects that Athanor speaks. */
export type DialectName = 'sqlite' | 'postgres';

/** An open database; `Schema` maps table names to row types, as kysely wants it. */
export interface Database<Schema> {
  readonly db: Kysely<Schema>;
  readonly dialect: DialectName;
  close(): Promise<void>;
}

/** Exactly one of the two. */
export interface DatabaseOptions {
  /** `postgres://user:password@host:port/database`. */
  readonly url?: string;
  /** A SQLite file, made with its folder when missing, or `:memory:`. */
  readonly path?: string;
}

/** @throws StatusError BadRequest when the options name no database or one of another make. */
export function openDatabase<Schema>(options: DatabaseOptions): Database<Schema> {
  const { url, path } = options;
  if (url !== undefined && path === undefined) return openPostgres(url);
  if (path !== undefined && url === undefined) return openSqlite(path);
  throw new StatusError('BadRequest', 'cannot open the database: give either a postgres:// URL or a SQLite path');
}

function openSqlite<Schema>(path: string): Database<Schema> {
  if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true });
  const db = new Kysely<Schema>({ dialect: new SqliteDialect(path) });
  return { db, dialect: 'sqlite', close: () => db.destroy() };
}

function openPostgres<Schema>(url: string): Database<Schema> {
  if (!/^postgres(ql)?:\/\//.test(url)) {
    const scheme = url.split(':', 1)[0];
    throw new StatusError('BadRequest', `cannot open the database: its URL begins with ${scheme}:, use postgres://`);
  }
  const pool = new Pool({
    connectionString: url,
    max: POSTGRES_CONNECTIONS_MAX,
    connectionTimeoutMillis: POSTGRES_CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: POSTGRES_IDLE_TIMEOUT_MS,
    types: { getTypeParser: findParser },
  });
  // An idle connection may die with its server; the pool drops it, and the next query reports what is wrong.
  pool.on('error', () => {});
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
  return { db, dialect: 'postgres', close: () => db.destroy() };
}

/** Whole numbers arrive as numbers, as they do from SQLite: no column of ours goes beyond 2^53. */
function findParser(...[oid, format]: Parameters<typeof types.getTypeParser>): ReturnType<typeof types.getTypeParser> {
  return oid === POSTGRES_INT8 && format !== 'binary' ? Number : types.getTypeParser(oid, format);
}
