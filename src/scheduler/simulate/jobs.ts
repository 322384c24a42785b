/**
 * Jobs of a trace over virtual time: they come, wait, run, are stopped with what they have done kept, pay for each
 * restart, and end. Who runs is decided by a scheduler that is not told how long a job has to go.
 */
import { Heap } from '../../base/heap.ts';

/** A job of a trace. */
export interface TraceJob {
  readonly name: string;
  readonly submitMs: number;
  /** How long it runs on all of its devices. */
  readonly durationMs: number;
  /** Whole devices that it holds while it runs, 1 or more. */
  readonly devices: number;
  readonly tenant: string;
}

/** Names of jobs whose room changed; one that was moved is in both, and stopped before it started. */
export interface JobDecision {
  readonly stopped: readonly string[];
  readonly started: readonly string[];
}

/** Decides who runs. */
export interface JobScheduler {
  submit(job: TraceJob): void;
  /** The job has ended, and its room is free. */
  end(name: string): void;
  /** Only in a round may jobs that run be stopped. */
  decide(nowMs: number, isRound: boolean): JobDecision;
}

/** What running costs and when jobs may be stopped. */
export interface JobTimes {
  /** Jobs are stopped at multiples of this. */
  readonly roundMs: number;
  /** What a job that was stopped loses when it starts again. */
  readonly restartMs: number;
}

/** How a job fared. */
export interface JobOutcome {
  readonly job: TraceJob;
  readonly endMs: number;
  /** How often it was stopped. */
  readonly stops: number;
  /** From submission to end, without the duration: waiting, and what restarts cost. */
  readonly waitMs: number;
}

interface State {
  readonly job: TraceJob;
  leftMs: number;
  stops: number;
  /** Since when it makes progress; undefined: it has no room. */
  workingSinceMs: number | undefined;
}

interface End {
  readonly atMs: number;
  readonly state: State;
  /** Stops until then: an end that was planned before one of them does not happen. */
  readonly stops: number;
}

/**
 * Runs all jobs to their end and gives their outcomes in order of submission.
 * @throws Error when some are never started.
 */
export function simulateJobs(jobs: readonly TraceJob[], scheduler: JobScheduler, times: JobTimes): JobOutcome[] {
  return new JobRun(jobs, scheduler, times).run();
}

class JobRun {
  readonly #arriving: readonly TraceJob[];
  readonly #scheduler: JobScheduler;
  readonly #times: JobTimes;
  readonly #states = new Map<string, State>();
  readonly #ends = new Heap<End>((a, b) => a.atMs - b.atMs);
  readonly #outcomes = new Map<string, JobOutcome>();
  #arrived = 0;
  #waiting = 0;

  constructor(jobs: readonly TraceJob[], scheduler: JobScheduler, times: JobTimes) {
    this.#arriving = jobs.toSorted((a, b) => a.submitMs - b.submitMs);
    this.#scheduler = scheduler;
    this.#times = times;
  }

  run(): JobOutcome[] {
    const { roundMs } = this.#times;
    let decidedMs = Number.NEGATIVE_INFINITY;
    while (this.#outcomes.size < this.#arriving.length) {
      const roundAtMs = (Math.floor(decidedMs / roundMs) + 1) * roundMs;
      const nextMs = Math.min(this.#nextMs(), this.#waiting > 0 ? roundAtMs : Number.POSITIVE_INFINITY);
      const mayStart = this.#endAll(nextMs);
      const hasArrived = this.#arriveAll(nextMs);
      decidedMs = nextMs;
      if (this.#waiting > 0 && (mayStart || hasArrived || nextMs % roundMs === 0)) this.#decide(nextMs);
    }
    return this.#arriving.flatMap(({ name }) => this.#outcomes.get(name) ?? []);
  }

  #nextMs(): number {
    const arrivalMs = this.#arriving[this.#arrived]?.submitMs ?? Number.POSITIVE_INFINITY;
    return Math.min(arrivalMs, this.#ends.peek()?.atMs ?? Number.POSITIVE_INFINITY);
  }

  /** True when room became free. */
  #endAll(nowMs: number): boolean {
    let hasEnded = false;
    for (let next = this.#ends.peek(); next !== undefined && next.atMs <= nowMs; next = this.#ends.peek()) {
      this.#ends.pop();
      const { state, stops } = next;
      const { job } = state;
      if (state.stops !== stops) continue;
      this.#scheduler.end(job.name);
      const waitMs = next.atMs - job.submitMs - job.durationMs;
      this.#outcomes.set(job.name, { job, endMs: next.atMs, stops, waitMs });
      hasEnded = true;
    }
    return hasEnded;
  }

  #arriveAll(nowMs: number): boolean {
    const before = this.#arrived;
    for (let job = this.#arriving[this.#arrived]; job !== undefined && job.submitMs <= nowMs; ) {
      this.#states.set(job.name, { job, leftMs: job.durationMs, stops: 0, workingSinceMs: undefined });
      this.#scheduler.submit(job);
      this.#arrived += 1;
      this.#waiting += 1;
      job = this.#arriving[this.#arrived];
    }
    return this.#arrived > before;
  }

  #decide(nowMs: number): void {
    const isRound = nowMs % this.#times.roundMs === 0;
    const { stopped, started } = this.#scheduler.decide(nowMs, isRound);
    for (const name of stopped) this.#stop(name, nowMs);
    for (const name of started) this.#start(name, nowMs);
    const isNobodyRunning = this.#arrived - this.#outcomes.size === this.#waiting;
    const isOver = isRound && isNobodyRunning && this.#arrived === this.#arriving.length;
    if (isOver && this.#waiting > 0) throw new Error(`${this.#waiting} jobs are never started`);
  }

  #stop(name: string, nowMs: number): void {
    const state = this.#states.get(name);
    if (state?.workingSinceMs === undefined) throw new Error(`${name} does not run and cannot be stopped`);
    state.leftMs -= Math.max(0, nowMs - state.workingSinceMs);
    state.workingSinceMs = undefined;
    state.stops += 1;
    this.#waiting += 1;
  }

  #start(name: string, nowMs: number): void {
    const state = this.#states.get(name);
    if (state === undefined || state.workingSinceMs !== undefined) throw new Error(`${name} cannot be started`);
    state.workingSinceMs = nowMs + (state.stops > 0 ? this.#times.restartMs : 0);
    this.#waiting -= 1;
    this.#ends.push({ atMs: state.workingSinceMs + state.leftMs, state, stops: state.stops });
  }
}
