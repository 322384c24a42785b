/** What the scheduler remembers between plans: how long workloads ran, and since when gangs are cut. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../../kube/pod.ts';
import { job } from '../cycle/test-world.ts';
import { learningKey } from '../objects/learning.ts';
import { pod } from '../objects/test-objects.ts';
import { Estimates } from './estimates.ts';
import { Partials } from './partials.ts';

const START = Date.parse('2026-01-01T00:00:00Z');

function ended(
  name: string,
  seconds: number,
  { group, phase = 'Succeeded' as const }: { group?: string; phase?: 'Succeeded' | 'Failed' } = {},
): Pod {
  const finishedAt = new Date(START + seconds * 1000).toISOString();
  const state = { terminated: { exitCode: 0, finishedAt } };
  const container = { name: 'main', state, ready: false, restartCount: 0, image: '', imageID: '' };
  const status = { phase, startTime: new Date(START).toISOString(), containerStatuses: [container] };
  return { ...pod(name, {}, group === undefined ? {} : { group }), status };
}

const find = (estimates: Estimates, name: string) => estimates.find(learningKey('x', name));

test('Estimates tells the longest of the last runs of a name, by when they ended, once there are three', () => {
  const estimates = new Estimates();
  for (const [name, seconds] of [
    ['train-2k7xz', 60],
    ['train-9bcdf', 90],
  ] as const)
    estimates.learn(ended(name, seconds));
  assert.equal(find(estimates, 'train-zzzzz'), undefined);
  estimates.learn(ended('train-ghjkl', 30));
  assert.equal(find(estimates, 'train-zzzzz'), 90_000);
  assert.equal(find(estimates, 'train-large'), undefined, 'a word is no suffix that was made up');
});

test('Estimates counts a gang as one run, of its longest member, however often it is told', () => {
  const estimates = new Estimates();
  for (let round = 0; round < 3; round += 1)
    for (const rank of [0, 1, 2]) estimates.learn(ended(`job-${rank}`, 10 * (rank + 1), { group: 'job-0' }));
  assert.equal(find(estimates, 'job-7'), undefined);
  for (const attempt of [1, 2]) estimates.learn(ended(`job-0-r${attempt}`, 5, { group: `job-${attempt}` }));
  assert.equal(find(estimates, 'job-7'), 30_000);
});

test('Estimates learns nothing from what failed', () => {
  const estimates = new Estimates();
  for (const name of ['a-1', 'a-2', 'a-3']) estimates.learn(ended(name, 9, { phase: 'Failed' }));
  assert.equal(find(estimates, 'a-4'), undefined);
});

test('Partials counts from when a gang was first seen cut, and anew after it was whole', () => {
  const partials = new Partials();
  const cut = job('g', { size: 3, on: ['n1'] });
  const whole = job('g', { size: 3, on: ['n1', 'n1', 'n1'] });
  const sinceOf = (workload: typeof cut, nowMs: number) => partials.tell([workload], nowMs)[0]?.partialSinceMs;
  assert.deepEqual([sinceOf(cut, 1), sinceOf(cut, 2), sinceOf(whole, 3), sinceOf(cut, 4)], [1, 1, undefined, 4]);
});
