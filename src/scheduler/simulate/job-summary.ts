/** What is told of many jobs: waiting, what stopping cost, and how each tenant fared against a cluster of its own. */
import type { JobOutcome } from './jobs.ts';

const HOUR_MS = 3_600_000;

/** Over all jobs of a run. */
export interface JobSummary {
  readonly meanWaitHours: number;
  /** The least wait that 99 of 100 jobs do not exceed; nearest rank. */
  readonly p99WaitHours: number;
  readonly longestWaitHours: number;
  readonly meanCompletionHours: number;
  /** How often jobs were stopped. */
  readonly stops: number;
  /** Device-hours that restarts cost. */
  readonly restartDeviceHours: number;
}

/** O(n log n). NaN where there is no job. */
export function summarizeJobs(outcomes: readonly JobOutcome[], restartMs: number): JobSummary {
  const waits = outcomes.map(({ waitMs }) => waitMs / HOUR_MS).sort((a, b) => a - b);
  const completions = outcomes.map(({ endMs, job }) => (endMs - job.submitMs) / HOUR_MS);
  const lostMs = outcomes.reduce((sum, { stops, job }) => sum + stops * job.devices * restartMs, 0);
  return {
    meanWaitHours: meanOf(waits),
    p99WaitHours: waits[Math.ceil(0.99 * waits.length) - 1] ?? Number.NaN,
    longestWaitHours: waits.at(-1) ?? Number.NaN,
    meanCompletionHours: meanOf(completions),
    stops: outcomes.reduce((sum, { stops }) => sum + stops, 0),
    restartDeviceHours: lostMs / HOUR_MS,
  };
}

/**
 * Finish-time fairness by tenant (Mahajan et al., "Themis", NSDI 2020): mean completion time in the shared cluster over
 * that in `alone`, a cluster of the tenant's own with 1/n of the nodes. At most 1: it is no worse off for sharing.
 */
export function measureFairness(
  shared: readonly JobOutcome[],
  alone: ReadonlyMap<string, readonly JobOutcome[]>,
): ReadonlyMap<string, number> {
  const meanOfJobs = (outcomes: readonly JobOutcome[]) =>
    meanOf(outcomes.map(({ endMs, job }) => endMs - job.submitMs));
  return new Map(
    [...alone].map(([tenant, own]) => {
      const there = shared.filter(({ job }) => job.tenant === tenant);
      return [tenant, meanOfJobs(there) / meanOfJobs(own)];
    }),
  );
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
