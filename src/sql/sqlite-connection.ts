/** One open SQLite file as kysely wants a connection. Knows pragmas, prepared statements and value types. */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely';
import { ExpressionFinder } from './regular-expression.ts';

const BUSY_TIMEOUT_MS = 10_000;
const STATEMENTS_MAX = 256;

interface Prepared {
  readonly statement: StatementSync;
  readonly hasRows: boolean;
}

/** Queries run at once, on the caller's thread; an acknowledged commit is on the disk (synchronous=FULL). */
export class SqliteConnection implements DatabaseConnection {
  readonly #database: DatabaseSync;
  readonly #prepared = new Map<string, Prepared>();

  constructor(path: string) {
    this.#database = new DatabaseSync(path, { enableForeignKeyConstraints: true, timeout: BUSY_TIMEOUT_MS });
    this.#database.exec('pragma journal_mode = wal; pragma synchronous = full;');
    const finder = new ExpressionFinder();
    this.#database.function('regexp', { deterministic: true }, (source, text) =>
      text === null ? null : Number(finder.isFound(String(source), String(text))),
    );
  }

  get isInTransaction(): boolean {
    return this.#database.isTransaction;
  }

  /** Runs statements without values and without rows. */
  execute(statements: string): void {
    this.#database.exec(statements);
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const { statement, hasRows } = this.#prepare(sql);
    const values = parameters.map(toSqliteValue);
    if (hasRows) return { rows: statement.all(...values) as R[] }; // why: kysely types rows by the query it compiled
    const { changes, lastInsertRowid } = statement.run(...values);
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) };
  }

  async *streamQuery<R>({ sql, parameters }: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    // A fresh statement: a cached one may be started again while this is still being read.
    const statement = this.#database.prepare(sql);
    for (const row of statement.iterate(...parameters.map(toSqliteValue))) {
      yield { rows: [row as R] }; // why: as above
    }
  }

  close(): void {
    this.#prepared.clear();
    this.#database.close();
  }

  #prepare(sql: string): Prepared {
    const known = this.#prepared.get(sql);
    if (known) {
      // Last used goes last, so that the first is the one to forget.
      this.#prepared.delete(sql);
      this.#prepared.set(sql, known);
      return known;
    }
    const statement = this.#database.prepare(sql);
    const prepared = { statement, hasRows: statement.columns().length > 0 };
    this.#prepared.set(sql, prepared);
    const oldest = this.#prepared.keys().next().value;
    if (this.#prepared.size > STATEMENTS_MAX && oldest !== undefined) this.#prepared.delete(oldest);
    return prepared;
  }
}

function toSqliteValue(value: unknown): SQLInputValue {
  if (value === undefined) return null;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return value as SQLInputValue; // why: node:sqlite itself refuses what it cannot bind
}
