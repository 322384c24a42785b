/** The lock among promises and among processes, one of which is killed while it holds it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { until } from '../../test/until.ts';
import { VirtualClock } from '../base/clock.ts';
import { withLock } from './environment-lock.ts';

const home = mkdtempSync(join(tmpdir(), 'athanor-lock-'));
after(() => rmSync(home, { recursive: true }));

test('withLock() lets one work at a time, and tells the others once that they wait', async () => {
  const path = join(home, 'turns');
  let working = 0;
  let waited = 0;
  const work = async () => {
    assert.equal(++working, 1);
    await new Promise(setImmediate);
    working--;
  };
  await Promise.all(Array.from({ length: 4 }, () => withLock(path, work, { onWait: () => waited++ })));
  assert.equal(waited, 3);
});

test('withLock() gives what the work gives, and lets go when it throws', async () => {
  const path = join(home, 'throws');
  await assert.rejects(
    withLock(path, () => Promise.reject(new Error('no'))),
    /no/,
  );
  assert.equal(await withLock(path, () => Promise.resolve(7)), 7);
});

test('withLock() takes over from a holder that was killed', async () => {
  const path = join(home, 'killed');
  writeFileSync(path, '');
  const script = `
    import { withLock } from ${JSON.stringify(join(import.meta.dirname, 'environment-lock.ts'))};
    // Kept where it can be reached: a promise that nobody can settle is collected, and the lock with it.
    const hold = (resolve) => { globalThis.resolve = resolve; setInterval(() => {}, 1e6); console.log('held'); };
    await withLock(${JSON.stringify(path)}, () => new Promise(hold));
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  let waits = 0;
  const taken = withLock(path, () => Promise.resolve('mine'), { onWait: () => waits++ });
  await until('it waits', () => waits === 1);
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  assert.equal(await taken, 'mine');
  await ended;
});

test('withLock() gives up after an hour, and says what to do', async () => {
  const path = join(home, 'held');
  const clock = new VirtualClock();
  const done = Promise.withResolvers<void>();
  const holder = withLock(path, () => done.promise);
  let refusal: unknown;
  void withLock(path, () => Promise.resolve(), { clock }).catch((error: unknown) => (refusal = error));
  await until('it gives up', () => {
    clock.advance(60_000);
    return refusal !== undefined;
  });
  assert.match(String(refusal), /cannot take the lock .*held: another pod has held it for 60 minutes, delete that pod/);
  assert.ok(clock.nowMs() >= 3_600_000);
  done.resolve();
  await holder;
});
