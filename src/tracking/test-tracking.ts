/** A tracking server for tests, on a free port of loopback. Used by tests only. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import type { BlobStore } from '../blobs/blob-store.ts';
import { openFolderStore } from '../blobs/folder-store.ts';
import { type DatabaseOptions, openDatabase } from '../sql/open-database.ts';
import type { TrackingSchema } from './schema.ts';
import { startTracking, type TrackingOptions, type TrackingServer } from './server.ts';

/** `home` holds the files; the rest is passed on. */
export interface TestTrackingOptions {
  readonly home: string;
  readonly database: DatabaseOptions;
  readonly authenticate?: NonNullable<TrackingOptions['authenticate']>;
  readonly authorize?: NonNullable<TrackingOptions['authorize']>;
  readonly port?: number;
  readonly judgeAtOnceBytes?: number;
  /** Default: a folder in the home. */
  readonly blobs?: BlobStore;
}

/** A new id, as the wiring makes them. */
export function newTestId(): string {
  return randomUUID().replaceAll('-', '');
}

/** The machine's own time. */
export const testClock: Clock = {
  nowMs: () => Date.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Starts it; `close` also closes the database. */
export async function startTestTracking(options: TestTrackingOptions): Promise<TrackingServer> {
  const database = openDatabase<TrackingSchema>(options.database);
  const server = await startTracking({
    host: '127.0.0.1',
    port: options.port ?? 0,
    owner: 'owner',
    database,
    blobs: options.blobs ?? (await openFolderStore(join(options.home, 'blobs'))),
    clock: testClock,
    newId: newTestId,
    onSurprise: (error) => console.error(error),
    ...(options.authenticate && { authenticate: options.authenticate }),
    ...(options.judgeAtOnceBytes !== undefined && { judgeAtOnceBytes: options.judgeAtOnceBytes }),
    ...(options.authorize && { authorize: options.authorize }),
  });
  const close = async () => {
    await server.close();
    await database.close();
  };
  return { ...server, close };
}
