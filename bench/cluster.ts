/** A cluster on disk for benches, in a process of its own, so that clients do not share its event loop. Run as a program it serves until SIGTERM. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureCredentials } from '../src/apiserver/credentials.ts';
import { startApiServer } from '../src/apiserver/server.ts';
import { openSqliteJournal } from '../src/apiserver/sqlite-journal.ts';
import { hostClock } from '../src/base/clock.ts';
import { createClient } from '../src/client/client.ts';
import type { ApiClient } from '../src/client/types.ts';

export interface BenchCluster {
  readonly pid: number;
  readonly url: string;
  /** Its database, and under `pki` its credentials. */
  readonly folder: string;
  connect(): ApiClient;
  close(): Promise<void>;
}

/** Starts the program below and waits for its address. */
export async function startBenchCluster(): Promise<BenchCluster> {
  const folder = mkdtempSync(join(tmpdir(), 'athanor-bench-'));
  const credentials = await ensureCredentials(join(folder, 'pki'));
  const child: ChildProcess = spawn(process.execPath, [import.meta.filename, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [chunk] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  const url = chunk.toString().trim();
  return {
    pid: child.pid ?? 0,
    url,
    folder,
    connect: () => createClient({ url, token: credentials.ownerToken, caPem: credentials.caPem, userAgent: 'bench' }),
    close: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

if (process.argv[1] === import.meta.filename) {
  const folder = process.argv[2] ?? '';
  const server = await startApiServer({
    host: '127.0.0.1',
    port: 0,
    journal: openSqliteJournal(join(folder, 'cluster.db')),
    credentials: await ensureCredentials(join(folder, 'pki')),
    nodeToken: 'bench',
    clock: hostClock(globalThis),
    random: Math.random,
    report: (error) => process.stderr.write(`${String(error)}\n`),
  });
  process.stdout.write(`${server.url}\n`);
  process.once('SIGTERM', () => void server.close().then(() => process.exit(0)));
}
