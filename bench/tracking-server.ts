/** Tracking in a process of its own for benches, on SQLite or on PostgreSQL. Run as a program it serves until SIGTERM. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { hostClock } from '../src/base/clock.ts';
import { openBlobStore } from '../src/blobs/open-blob-store.ts';
import { openDatabase } from '../src/sql/open-database.ts';
import type { TrackingSchema } from '../src/tracking/schema.ts';
import { startTracking } from '../src/tracking/server.ts';
import type { TestS3 } from '../test/s3-server.ts';

export interface BenchServer {
  readonly url: string;
  readonly pid: number;
  close(): Promise<void>;
}

/** `database` is a file, or a postgres:// URL; files go below the folder, or into S3. Resolves when it answers. */
export async function startBenchTracking(folder: string, database: string, s3?: TestS3): Promise<BenchServer> {
  // The flag and the compile cache of bin/athanor.
  const flags = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=4', import.meta.filename];
  const blobs = s3?.url() ?? pathToFileURL(join(folder, 'blobs')).href;
  const child: ChildProcess = spawn(process.execPath, [...flags, database, blobs], {
    env: { ...process.env, ...s3?.env, NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [chunk] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  return {
    url: chunk.toString().trim(),
    pid: child.pid ?? 0,
    close: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

if (process.argv[1] === import.meta.filename) {
  const [, , database = '', blobs = ''] = process.argv;
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = process.env;
  const rows = openDatabase<TrackingSchema>(database.includes('://') ? { url: database } : { path: database });
  const server = await startTracking({
    host: '127.0.0.1',
    port: 0,
    owner: 'bench',
    database: rows,
    blobs: await openBlobStore(blobs, { accessKeyId, secretAccessKey }),
    clock: hostClock(globalThis),
    newId: () => randomUUID().replaceAll('-', ''),
    onSurprise: (error) => process.stderr.write(`${String(error)}\n`),
  });
  process.stdout.write(`${server.url}\n`);
  process.once(
    'SIGTERM',
    () =>
      void server
        .close()
        .then(() => rows.close())
        .then(() => process.exit(0)),
  );
}
