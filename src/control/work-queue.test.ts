/** The queue on a clock that moves only when told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../base/clock.ts';
import { WorkQueue } from './work-queue.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

interface Answer {
  readonly againInMs?: number;
}

/** A queue whose work waits to be told how it ends. */
function heldQueue(workers = 2) {
  const clock = new VirtualClock();
  const started: string[] = [];
  const reported: string[] = [];
  const endings = new Map<string, PromiseWithResolvers<Answer>>();
  const queue = new WorkQueue({
    clock,
    workers,
    backoff: { firstMs: 100, maxMs: 1000 },
    report: (key) => reported.push(key),
    work: (key) => {
      started.push(key);
      const ending = Promise.withResolvers<Answer>();
      endings.set(key, ending);
      return ending.promise;
    },
  });
  const end = async (key: string, answer: Answer | Error = {}) => {
    if (answer instanceof Error) endings.get(key)?.reject(answer);
    else endings.get(key)?.resolve(answer);
    await turn();
  };
  return { clock, queue, started, reported, end };
}

test('WorkQueue works on a key once however often it is asked for', () => {
  const { queue, started } = heldQueue(1);
  for (const key of ['a', 'b', 'b', 'b']) queue.add(key);
  assert.deepEqual(started, ['a']);
});

test('WorkQueue never works on one key twice at the same time, and comes back if asked meanwhile', async () => {
  const { queue, started, end } = heldQueue();
  for (const key of ['a', 'a', 'a', 'b']) queue.add(key);
  assert.deepEqual(started, ['a', 'b']);
  await end('a');
  assert.deepEqual(started, ['a', 'b', 'a']);
  await end('a');
  assert.deepEqual(started, ['a', 'b', 'a']);
});

test('WorkQueue has no more keys in work than workers', async () => {
  const { queue, started, end } = heldQueue();
  for (const key of ['a', 'b', 'c']) queue.add(key);
  assert.deepEqual(started, ['a', 'b']);
  await end('b');
  assert.deepEqual(started, ['a', 'b', 'c']);
});

test('WorkQueue tries a failed key again, later each time, and forgets its failures once it is well', async () => {
  const { clock, queue, started, reported, end } = heldQueue();
  queue.add('a');
  for (const delayMs of [100, 200, 400]) {
    await end('a', new Error('no'));
    const before = started.length;
    clock.advance(delayMs - 1);
    assert.equal(started.length, before);
    clock.advance(1);
    assert.equal(started.length, before + 1);
  }
  assert.equal(reported.length, 3);
  await end('a');
  queue.add('a');
  await end('a', new Error('no'));
  clock.advance(100);
  assert.equal(started.length, 6);
});

test('WorkQueue keeps the earliest of several wishes for later', async () => {
  const { clock, queue, started, end } = heldQueue();
  for (const delayMs of [500, 200, 300]) queue.addAfter('a', delayMs);
  clock.advance(200);
  assert.deepEqual(started, ['a']);
  await end('a', { againInMs: 50 });
  clock.advance(50);
  assert.deepEqual(started, ['a', 'a']);
  await end('a');
  clock.advance(10_000);
  assert.deepEqual(started, ['a', 'a']);
});

test('WorkQueue closes when its work has ended, and starts no more', async () => {
  const { clock, queue, started, end } = heldQueue(1);
  queue.add('a');
  queue.add('b');
  queue.addAfter('c', 10);
  let isClosed = false;
  const closing = queue.close().then(() => {
    isClosed = true;
  });
  await turn();
  assert.equal(isClosed, false);
  await end('a');
  await closing;
  queue.add('d');
  clock.advance(100);
  assert.deepEqual(started, ['a']);
});
