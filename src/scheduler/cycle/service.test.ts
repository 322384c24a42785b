/** What service counts as, by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QUANTUM_MS, Service } from './service.ts';
import { type Ask, job } from './test-world.ts';

const hour = 3_600_000;

const cases: Record<string, { readonly ask: Ask; readonly wantHours: number; readonly wantLevel: number }> = {
  'who has had nothing': { ask: {}, wantHours: 0, wantLevel: 0 },
  'who has run all the time, in device-hours': {
    ask: { count: 4, attainedMs: 400 * hour },
    wantHours: 400,
    wantLevel: 3,
  },
  'who has run half the time as a quarter of it': {
    ask: { count: 4, attainedMs: 200 * hour },
    wantHours: 50,
    wantLevel: 2,
  },
  'shares of devices as parts': { ask: { milli: 500, attainedMs: 25 * hour }, wantHours: 6.25, wantLevel: 1 },
  'who has no devices as one': { ask: { count: 0, attainedMs: 100 * hour }, wantHours: 100, wantLevel: 2 },
  'an elastic gang against what it needs at least': {
    ask: { size: 4, minMember: 1, attainedMs: 100 * hour },
    wantHours: 100,
    wantLevel: 2,
  },
};

for (const [sentence, { ask, wantHours, wantLevel }] of Object.entries(cases)) {
  test(`Service counts ${sentence}`, () => {
    const service = new Service(100 * hour);
    const workload = job('a', ask);
    assert.equal(service.of(workload) / hour, wantHours);
    assert.equal(service.levelOf(workload), wantLevel);
  });
}

test('Service.of() falls while a workload waits', () => {
  const workload = job('a', { attainedMs: 10 * hour });
  const [early = 0, late = 0] = [20, 40].map((hours) => new Service(hours * hour).of(workload));
  assert.equal(early, 4 * late);
});

test('Service.mayStop() wants a quantum, and twice as much', () => {
  const service = new Service(100 * hour);
  const had = (device: number) => job(`j${device}`, { createdAtMs: 100 * hour, attainedMs: device * QUANTUM_MS });
  assert.equal(service.mayStop(had(0), had(0.99)), false);
  assert.equal(service.mayStop(had(0), had(1)), true);
  assert.equal(service.mayStop(had(1), had(1.99)), false);
  assert.equal(service.mayStop(had(1), had(2)), true);
});
