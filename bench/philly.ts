/** Where the Philly trace lies, and windows of it. Benches only: the trace is not part of this repository. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TraceJob } from '../src/scheduler/simulate/jobs.ts';
import { parsePhillyJobs } from '../src/scheduler/simulate/philly.ts';

const FOLDER = process.env['PHILLY_DATA'] ?? join(import.meta.dirname, '..', '..', 'shared', 'data', 'philly');
const NAME = 'philly_jobs_first_45000.csv';
const WINDOW_JOBS = 10_000;

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
