/** A lock between processes that may not see each other's ids: a file whose age tells whether its holder lives. */
import { open, rm, stat, utimes } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const BEAT_MS = 1_000;
/** A holder that has not touched the file for this long is dead. */
const STALE_MS = 10_000;
const POLL_MS = 200;

/** Runs `work` while holding the lock; waits for others as long as they live, calling `onWait` once. */
export async function withLock<T>(
  path: string,
  work: () => Promise<T>,
  onWait: () => void = () => undefined,
): Promise<T> {
  for (let waits = 0; !(await tryTake(path)); waits++) {
    if (waits === 0) onWait();
    await sleep(POLL_MS);
  }
  const beat = setInterval(() => {
    const now = new Date();
    // why: a lock that was taken away has nothing to keep alive
    utimes(path, now, now).catch(() => clearInterval(beat));
  }, BEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(beat);
    await rm(path, { force: true });
  }
}

async function tryTake(path: string): Promise<boolean> {
  try {
    await (await open(path, 'wx')).close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error; // why: fs errors carry a code
  }
  const found = await stat(path).catch(() => undefined); // why: it may have been released just now
  if (found !== undefined && Date.now() - found.mtimeMs > STALE_MS) await rm(path, { force: true });
  return false;
}
