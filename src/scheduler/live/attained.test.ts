/** What workloads have had is kept while their pods are made again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { job } from '../cycle/test-world.ts';
import { Attained } from './attained.ts';

const hour = 3_600_000;

test('Attained.tell() counts devices held from the start on, over several runs, and not while it waits', () => {
  const attained = new Attained();
  const tell = (workload: ReturnType<typeof job>, nowMs: number) => attained.tell([workload], { nowMs })[0]?.attainedMs;
  const running = job('a', { size: 2, count: 4, on: ['n1', 'n1'], startedAtMs: hour });
  assert.equal(tell(running, 2 * hour), 8 * hour, 'before the first look as well');
  assert.equal(tell(running, 3 * hour), 16 * hour);
  const waiting = job('a', { size: 2, count: 4 });
  assert.equal(tell({ ...waiting, startedAtMs: undefined }, 3.5 * hour), 16 * hour);
  const again = job('a', { size: 2, count: 4, on: ['n2', 'n2'], startedAtMs: 4 * hour });
  assert.equal(tell(again, 4.25 * hour), 18 * hour);
});

test('Attained.tell() takes who comes under an old name for another', () => {
  const attained = new Attained();
  attained.tell([job('a', { on: ['n1'], startedAtMs: 0 })], { nowMs: hour });
  attained.tell([], { nowMs: 3 * hour });
  assert.equal(attained.tell([job('a')], { nowMs: 3 * hour })[0]?.attainedMs, 0);
});

test('Attained.tell() leaves those as they are who are not counted', () => {
  const one = job('a');
  assert.equal(new Attained().tell([one], { nowMs: hour, isCounted: () => false })[0], one);
});
