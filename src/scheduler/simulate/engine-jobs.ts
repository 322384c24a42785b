/** Runs the jobs of a trace by the product's own plans: a SimulatedCluster decides, nothing is done again here. */
import type { Workload } from '../cycle/workload.ts';
import { type Demand, type PoolNode, WHOLE_MILLI } from '../pool/pool.ts';
import { type ClusterOptions, SimulatedCluster } from './cluster.ts';
import type { JobDecision, JobScheduler, TraceJob } from './jobs.ts';

/** Under which queue a job waits, and on what nodes. */
export interface EngineOptions extends ClusterOptions {
  /** Devices of one node; a job of more gets empty nodes, one member each. */
  readonly perNode: number;
  readonly queueOf: (job: TraceJob) => string;
}

/** Stopping makes room in one cycle, taking it is the next; a plan that has not come to rest by then goes on later. */
const MOST_CYCLES = 8;

/** Equal nodes with devices and nothing else that could run out. */
export function makeDeviceNodes(count: number, perNode: number): readonly PoolNode[] {
  const width = String(count).length;
  return Array.from({ length: count }, (_, index) => ({
    name: `node-${String(index).padStart(width, '0')}`,
    labels: {},
    capacity: {},
    devices: Array.from({ length: perNode }, (__, device) => ({
      id: String(device),
      deviceClass: 'gpu',
      model: 'any',
      memoryMiB: 0,
    })),
  }));
}

/** Jobs as workloads of the scheduler. */
export class EngineJobs implements JobScheduler {
  readonly #cluster: SimulatedCluster;
  readonly #options: EngineOptions;
  readonly #running = new Set<string>();
  readonly #demands = new Map<number, Demand>();

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#cluster = new SimulatedCluster(options);
  }

  submit(job: TraceJob): void {
    this.#cluster.submit(this.#toWorkload(job));
  }

  end(name: string): void {
    this.#cluster.remove(name);
    this.#running.delete(name);
  }

  decide(nowMs: number, isRound: boolean): JobDecision {
    const { mayMove = true, mayStop = true } = this.#options;
    const stopped = new Set<string>();
    const touched = new Set<string>();
    for (let cycle = 0; cycle < MOST_CYCLES; cycle += 1) {
      const plan = this.#cluster.cycle(nowMs, { mayMove: isRound && mayMove, mayStop: isRound && mayStop });
      for (const { workload, kind } of plan.victims) if (kind === 'whole') stopped.add(workload.key);
      for (const { workload } of plan.starts) touched.add(workload.key);
      if (plan.victims.length + plan.nominations.length === 0) break;
    }
    return this.#settle([...new Set([...stopped, ...touched])], stopped);
  }

  /** What has come of it: who was stopped and has room again has been moved. */
  #settle(touched: readonly string[], stopped: ReadonlySet<string>): JobDecision {
    const isRunning = (key: string) => this.#cluster.find(key)?.startedAtMs !== undefined;
    const decision = {
      stopped: touched.filter((key) => this.#running.has(key) && stopped.has(key)),
      started: touched.filter((key) => isRunning(key) && (!this.#running.has(key) || stopped.has(key))),
    };
    for (const key of decision.stopped) this.#running.delete(key);
    for (const key of decision.started) this.#running.add(key);
    return decision;
  }

  #toWorkload(job: TraceJob): Workload {
    const { perNode, queueOf } = this.#options;
    const nodes = Math.ceil(job.devices / perNode);
    const parts = Array.from({ length: nodes }, (_, index) => Math.min(perNode, job.devices - index * perNode));
    return {
      key: job.name,
      queue: queueOf(job),
      priority: 0,
      isPreemptible: true,
      createdAtMs: job.submitMs,
      minMember: nodes,
      members: parts.map((devices, index) => ({ key: `${job.name}/${index}`, demand: this.#demandOf(devices) })),
      ...(nodes > 1 && { isExclusive: true }),
    };
  }

  #demandOf(count: number): Demand {
    const known = this.#demands.get(count);
    if (known !== undefined) return known;
    const share = { count, milli: WHOLE_MILLI, memoryMiB: 0, admits: () => true };
    const demand = { key: `${count}`, amounts: {}, share };
    this.#demands.set(count, demand);
    return demand;
  }
}
