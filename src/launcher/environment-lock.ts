/**
 * A lock between processes that may not see each other's ids. The operating system holds it for SQLite, and lets it go
 * when the holder dies, however it dies; the file stays, empty.
 */
import { DatabaseSync } from 'node:sqlite';
import { type Clock, hostClock, pause } from '../base/clock.ts';
import { StatusError } from '../kube/status-error.ts';

const POLL_MS = 200;
/** The slowest environments take half an hour; who waits longer than this waits for something that hangs. */
const LOCK_WAIT_MAX_MS = 3_600_000;
const SQLITE_BUSY = 5;

export interface LockOptions {
  /** Called once when somebody else has the lock. */
  readonly onWait?: () => void;
  /** Default: the system's. */
  readonly clock?: Clock;
}

/** Runs `work` while holding the lock. @throws Timeout when its holder keeps it for an hour. */
export async function withLock<T>(path: string, work: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  const release = await take(path, options);
  try {
    return await work();
  } finally {
    release();
  }
}

async function take(path: string, { onWait, clock = hostClock(globalThis) }: LockOptions): Promise<() => void> {
  const endMs = clock.nowMs() + LOCK_WAIT_MAX_MS;
  for (let waits = 0; ; waits++) {
    const release = tryTake(path);
    if (release !== undefined) return release;
    if (waits === 0) onWait?.();
    if (clock.nowMs() >= endMs)
      throw new StatusError(
        'Timeout',
        `cannot take the lock ${path}: another pod has held it for ${LOCK_WAIT_MAX_MS / 60_000} minutes, delete that pod`,
      );
    await pause(clock, POLL_MS);
  }
}

function tryTake(path: string): (() => void) | undefined {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
    return () => database.close();
  } catch (error) {
    database.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) return undefined;
    throw error;
  }
}
