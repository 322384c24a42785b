/** SQLite for kysely, over Node's own node:sqlite. Knows one connection and its turns; nothing of tables. */
import {
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type Kysely,
  type QueryCompiler,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { SqliteConnection } from './sqlite-connection.ts';
import { Turnstile } from './turnstile.ts';

/** A dialect whose only connection is the file at `path`, or memory when `path` is `:memory:`. */
export class SqliteDialect implements Dialect {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  createDriver(): Driver {
    return new SqliteDriver(this.#path);
  }

  createQueryCompiler(): QueryCompiler {
    return new SqliteQueryCompiler();
  }

  createAdapter(): DialectAdapter {
    return new SqliteAdapter();
  }

  createIntrospector(db: Kysely<unknown>): DatabaseIntrospector {
    return new SqliteIntrospector(db);
  }
}

/** Hands the one connection to one holder at a time, so that no query lands inside another's transaction. */
class SqliteDriver implements Driver {
  readonly #path: string;
  readonly #turnstile = new Turnstile();
  #connection: SqliteConnection | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async init(): Promise<void> {
    this.#connection = new SqliteConnection(this.#path);
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    await this.#turnstile.enter();
    return this.#open();
  }

  async beginTransaction(): Promise<void> {
    // IMMEDIATE takes the write lock now: upgrading a read later can fail where waiting would have done.
    this.#open().execute('begin immediate');
  }

  async commitTransaction(): Promise<void> {
    this.#open().execute('commit');
  }

  async rollbackTransaction(): Promise<void> {
    // A full disk makes SQLite roll back by itself; a second rollback would hide the first error.
    if (this.#open().isInTransaction) this.#open().execute('rollback');
  }

  async releaseConnection(): Promise<void> {
    this.#turnstile.leave();
  }

  async destroy(): Promise<void> {
    this.#connection?.close();
    this.#connection = undefined;
  }

  #open(): SqliteConnection {
    if (this.#connection === undefined) throw new Error('the SQLite connection is closed');
    return this.#connection;
  }
}
