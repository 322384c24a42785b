/** Waits in tests: for something to become true, within a bound, without knowing how long it takes. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

const EVERY_MS = 10;
const TRIES_MAX = 6_000;

/** The first answer that is neither undefined nor false; fails with `what` when there is none for a minute. */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    await sleep(EVERY_MS);
  }
  return assert.fail(`it did not come true: ${what}`);
}
