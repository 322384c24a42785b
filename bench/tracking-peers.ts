/** Our tracking and the real MLflow server side by side, on SQLite and on PostgreSQL, with the same rows. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startMlflow } from '../test/mlflow/server.ts';
import { startPostgres } from '../test/postgres.ts';
import { fill, type Owner, type Volume } from './tracking-rows.ts';
import { type BenchServer, startBenchTracking } from './tracking-server.ts';

/** Every pair that is measured. */
export const PAIRS = [
  ['ours', 'SQLite'],
  ['theirs', 'SQLite'],
  ['ours', 'PostgreSQL'],
  ['theirs', 'PostgreSQL'],
] as const;

export type Database = (typeof PAIRS)[number][1];

/** What a figure is of, in words. */
export function nameOf(owner: Owner, database: Database): string {
  return `${owner === 'ours' ? 'Athanor' : 'MLflow'} on ${database}`;
}

/** Starts one server on a new database, with rows when a volume is given; all is gone when `work` has ended. */
export async function withServer<T>(
  [owner, database]: readonly [Owner, Database],
  volume: Volume | undefined,
  work: (server: BenchServer) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'athanor-bench-'));
  const postgres = database === 'PostgreSQL' ? await startPostgres({ buffersMb: 128 }) : undefined;
  const place = postgres?.url ?? join(folder, 'rows.db');
  const start = () => (owner === 'ours' ? startBenchTracking(folder, place) : startTheirs(place));
  try {
    if (volume !== undefined) {
      // The first start makes the tables.
      await (await start()).close();
      await fill(place, owner, volume);
    }
    const server = await start();
    try {
      return await work(server);
    } finally {
      await server.close();
    }
  } finally {
    await postgres?.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function startTheirs(place: string): Promise<BenchServer> {
  const databaseUrl = place.includes('://')
    ? place.replace('postgres://', 'postgresql+psycopg2://')
    : `sqlite:///${place}`;
  return startMlflow({ databaseUrl, workers: 2 });
}

/** One request; the answer is read whole. @throws when it is refused */
export async function ask(url: string, body?: object): Promise<string> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text.slice(0, 300)}`);
  return text;
}
