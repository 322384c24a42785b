/** Where the Philly trace lies, windows of it, and how they are run. The trace is not part of this repository. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildQueueTree, QUEUE_DEFAULTS, type QueueDeclaration } from '../src/scheduler/queues/queue-tree.ts';
import { EngineJobs, makeDeviceNodes } from '../src/scheduler/simulate/engine-jobs.ts';
import { type JobSummary, summarizeJobs } from '../src/scheduler/simulate/job-summary.ts';
import { simulateJobs, type TraceJob } from '../src/scheduler/simulate/jobs.ts';
import type { ListScheduler } from '../src/scheduler/simulate/list-scheduler.ts';
import { parsePhillyJobs } from '../src/scheduler/simulate/philly.ts';
import type { Figure } from './measure.ts';

const FOLDER = process.env['PHILLY_DATA'] ?? join(import.meta.dirname, '..', '..', 'shared', 'data', 'philly');
const NAME = 'philly_jobs_first_45000.csv';
const WINDOW_JOBS = 10_000;
/** Devices of a node; this and what follows as in facts/scheduling.md section 3. */
export const PER_NODE = 8;
/** When jobs may be stopped, and what a restart costs. */
export const TIMES = { roundMs: 300_000, restartMs: 60_000 } as const;
/** First job and nodes of the windows that the order was tuned on: demand is 0.89 and 1.07 of the capacity. */
export const TUNED = [
  [20_000, 60],
  [20_000, 50],
] as const;
/** As a queue is that says nothing: nobody is moved before it has run an hour. */
export const QUEUE = QUEUE_DEFAULTS;

/** Its first 45,000 jobs. @throws when the trace is not there; PHILLY_DATA names its folder. */
export function readPhillyJobs(): readonly TraceJob[] {
  const path = join(FOLDER, NAME);
  if (!existsSync(path)) throw new Error(`there is no ${path}: set PHILLY_DATA to the folder of the Philly trace`);
  return parsePhillyJobs(readFileSync(path, 'utf8'), NAME);
}

/** 10,000 jobs by order of submission. @throws when the trace ends before. */
export function takeWindow(jobs: readonly TraceJob[], first: number): readonly TraceJob[] {
  const window = jobs.slice(first, first + WINDOW_JOBS);
  if (window.length === WINDOW_JOBS) return window;
  throw new Error(`there are ${jobs.length} jobs: the window from ${first} wants ${first + WINDOW_JOBS}`);
}

/** The product's own plans on equal nodes. */
export function engineOf(
  queues: readonly QueueDeclaration[],
  nodes: number,
  queueOf: (job: TraceJob) => string,
): EngineJobs {
  const tree = buildQueueTree(queues);
  return new EngineJobs({
    nodes: makeDeviceNodes(nodes, PER_NODE),
    perNode: PER_NODE,
    queueOf,
    tree,
    policy: 'athanor',
  });
}

/** To the end, in sums. */
export function run(jobs: readonly TraceJob[], scheduler: ListScheduler | EngineJobs): JobSummary {
  return summarizeJobs(simulateJobs(jobs, scheduler, TIMES), TIMES.restartMs);
}

/** As figures, and on stderr as they come. */
export function tell(
  what: string,
  summary: JobSummary,
  goal?: { readonly mean: number; readonly p99: number },
): Figure[] {
  const { meanWaitHours, p99WaitHours, longestWaitHours, stops, restartDeviceHours } = summary;
  process.stderr.write(`${what}: ${meanWaitHours.toFixed(3)} / ${p99WaitHours.toFixed(2)} h, ${stops} stops\n`);
  const mean = { what: `${what}: mean wait`, value: meanWaitHours, unit: 'h' };
  const p99 = { what: `${what}: p99 wait`, value: p99WaitHours, unit: 'h' };
  return [
    { ...mean, ...(goal !== undefined && { target: `<= ${goal.mean.toPrecision(3)}` }) },
    { ...p99, ...(goal !== undefined && { target: `<= ${goal.p99.toPrecision(3)}` }) },
    { what: `${what}: longest wait`, value: longestWaitHours, unit: 'h' },
    ...(stops === 0
      ? []
      : [
          { what: `${what}: stops`, value: stops, unit: '' },
          { what: `${what}: cost of restarts`, value: restartDeviceHours, unit: 'device-hours' },
        ]),
  ];
}
