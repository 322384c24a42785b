/** The thread behind sqlite-journal.ts: one table, one transaction per batch, `synchronous=FULL`. */
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { isDiskFull } from '../sql/database-error.ts';
import type { JournalContent, JournalEntry } from './journal.ts';

export interface JournalRequest {
  readonly id: number;
  readonly verb: 'load' | 'append' | 'close';
  readonly batch?: readonly JournalEntry[];
}

export interface JournalAnswer {
  readonly id: number;
  readonly content?: JournalContent;
  readonly error?: string;
  /** The error is that there is no room. */
  readonly isDiskFull?: boolean;
}

const { path } = workerData as { readonly path: string }; // why: given by sqlite-journal.ts

/** Opened by the first request, whose answer then says what is wrong. */
let opened: ReturnType<typeof open> | undefined;

function open() {
  const database = new DatabaseSync(path);
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS objects (key TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS revision (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), revision INTEGER NOT NULL);
    INSERT OR IGNORE INTO revision VALUES (1, 0);
  `);
  return {
    database,
    put: database.prepare(
      'INSERT INTO objects (key, text) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET text = excluded.text',
    ),
    drop: database.prepare('DELETE FROM objects WHERE key = ?'),
    advance: database.prepare('UPDATE revision SET revision = ?'),
  };
}

function append({ database, put, drop, advance }: ReturnType<typeof open>, batch: readonly JournalEntry[]): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    for (const { key, text } of batch) {
      if (text === undefined) drop.run(key);
      else put.run(key, text);
    }
    advance.run(batch.at(-1)?.revision ?? 0);
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

function load({ database }: ReturnType<typeof open>): JournalContent {
  const objects = database.prepare('SELECT key, text FROM objects ORDER BY key').all();
  const last = database.prepare('SELECT revision FROM revision').get();
  return {
    revision: Number(last?.['revision'] ?? 0),
    objects: objects.map((row) => ({ key: String(row['key']), text: String(row['text']) })),
  };
}

function answer({ id, verb, batch = [] }: JournalRequest): JournalAnswer {
  try {
    opened ??= open();
    if (verb === 'load') return { id, content: load(opened) };
    if (verb === 'append') append(opened, batch);
    else opened.database.close();
    return { id };
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error), isDiskFull: isDiskFull(error) };
  }
}

parentPort?.on('message', (request: JournalRequest) => parentPort?.postMessage(answer(request)));
