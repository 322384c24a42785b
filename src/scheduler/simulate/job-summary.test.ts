/** Sums over few jobs, by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measureFairness, summarizeJobs } from './job-summary.ts';
import type { JobOutcome } from './jobs.ts';

const hour = 3_600_000;

/** Waited so many hours, and was stopped so often; every job comes at 0, runs an hour and holds two devices. */
const outcome = (tenant: string, waitHours: number, stops = 0): JobOutcome => ({
  job: { name: `${tenant}-${waitHours}`, submitMs: 0, durationMs: hour, devices: 2, tenant },
  endMs: (1 + waitHours) * hour,
  stops,
  waitMs: waitHours * hour,
});

test('summarizeJobs() gives means, ranks and what restarts cost', () => {
  const outcomes = Array.from({ length: 200 }, (_, index) => outcome('a', index, index === 0 ? 3 : 0));
  assert.deepEqual(summarizeJobs(outcomes, hour / 2), {
    meanWaitHours: 99.5,
    p99WaitHours: 197,
    longestWaitHours: 199,
    meanCompletionHours: 100.5,
    stops: 3,
    restartDeviceHours: 3,
  });
});

test('measureFairness() holds each tenant against its own cluster', () => {
  const shared = [outcome('a', 1), outcome('a', 3), outcome('b', 5)];
  const alone = new Map([
    ['a', [outcome('a', 0), outcome('a', 2)]],
    ['b', [outcome('b', 11)]],
  ]);
  assert.deepEqual(Object.fromEntries(measureFairness(shared, alone)), { a: 1.5, b: 0.5 });
});
