/** What the scheduler says of itself in Prometheus' form. Names of the measures as Kant (arXiv 2510.01256) has them. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { DEVICES } from '../cycle/ledger.ts';
import type { CyclePlan } from '../cycle/plan-cycle.ts';
import { capacityOf } from '../cycle/shares.ts';
import type { Workload } from '../cycle/workload.ts';
import { findTypicalTasks, measureFragmentation } from '../placement/fgd.ts';
import { WHOLE_MILLI } from '../pool/pool.ts';

/** Measured after each plan. */
export class SchedulerMetrics {
  readonly registry = new Registry();
  readonly #allocated = this.#gauge('athanor_queue_allocated', 'What a queue and those below it hold.', [
    'queue',
    'resource',
  ]);
  readonly #fair = this.#gauge('athanor_queue_fair_share', 'What a queue may hold before others take it back.', [
    'queue',
    'resource',
  ]);
  readonly #pending = this.#gauge('athanor_queue_pending_workloads', 'Workloads of a queue that wait.', [
    'queue',
    'reason',
  ]);
  readonly #allocation = this.#gauge('athanor_device_allocation_ratio', 'Devices held, against all (GAR).');
  readonly #fragmentation = this.#gauge(
    'athanor_device_fragmentation_ratio',
    'Idle shares of devices that the usual workloads can make nothing of, against all devices (FGD).',
  );
  readonly #fairness = this.#gauge(
    'athanor_fairness_index',
    "Jain's index of held against fair share, of queues that wait.",
  );
  readonly #seconds = new Counter({
    name: 'athanor_device_seconds_total',
    help: 'Seconds of devices, held and in all: their quotient is the occupancy (SOR).',
    labelNames: ['state'],
    registers: [this.registry],
  });
  readonly #evictions = new Counter({
    name: 'athanor_evictions_total',
    help: 'Workloads stopped or shrunk, by cause.',
    labelNames: ['cause', 'queue'],
    registers: [this.registry],
  });
  readonly #waits = new Histogram({
    name: 'athanor_queue_wait_seconds',
    help: 'From the creation of a workload to its start (JWTD).',
    labelNames: ['queue'],
    buckets: [0.1, 1, 10, 60, 300, 1800, 3600, 4 * 3600, 24 * 3600],
    registers: [this.registry],
  });
  readonly #cycles = new Histogram({
    name: 'athanor_scheduler_cycle_seconds',
    help: 'How long one plan took.',
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [this.registry],
  });
  #last: { readonly atMs: number; readonly held: number; readonly all: number } | undefined;

  #gauge(name: string, help: string, labelNames: readonly string[] = []): Gauge {
    return new Gauge({ name, help, labelNames: [...labelNames], registers: [this.registry] });
  }

  /** After a plan; `tookMs` is how long it took. */
  measure(plan: CyclePlan, { nowMs, tookMs }: { readonly nowMs: number; readonly tookMs: number }): void {
    this.#cycles.observe(tookMs / 1000);
    this.#measureQueues(plan);
    const { pool } = plan.ledger;
    const all = capacityOf(plan.ledger)[DEVICES] ?? 0;
    const idle = pool.idle.reduce((sum, milli) => sum + milli, 0) / WHOLE_MILLI;
    const held = Math.max(0, pool.devices.length - idle);
    this.#allocation.set(all === 0 ? 0 : held / all);
    const tasks = [...plan.ledger.held.values()].flatMap((own) =>
      [...own.values()].map(({ placement }) => placement.task),
    );
    const useless = all === 0 ? 0 : measureFragmentation(pool, findTypicalTasks(tasks)) / WHOLE_MILLI;
    this.#fragmentation.set(all === 0 ? 0 : useless / all);
    if (this.#last !== undefined && nowMs > this.#last.atMs) {
      const seconds = (nowMs - this.#last.atMs) / 1000;
      this.#seconds.inc({ state: 'allocated' }, this.#last.held * seconds);
      this.#seconds.inc({ state: 'all' }, this.#last.all * seconds);
    }
    this.#last = { atMs: nowMs, held, all };
    for (const { workload, cause } of plan.victims) this.#evictions.inc({ cause, queue: workload.queue });
  }

  /** A workload has got its room. */
  started({ queue, createdAtMs }: Workload, nowMs: number): void {
    this.#waits.observe({ queue }, Math.max(0, nowMs - createdAtMs) / 1000);
  }

  #measureQueues({ ledger, shares, waiting }: CyclePlan): void {
    for (const gauge of [this.#allocated, this.#fair, this.#pending]) gauge.reset();
    const ratios: number[] = [];
    const hungry = new Set(waiting.map(({ workload }) => workload.queue));
    for (const name of ledger.tree.byName.keys()) {
      const fair = shares.fair.get(name) ?? {};
      const held = ledger.allocated.get(name) ?? {};
      for (const [resource, amount] of Object.entries(held)) this.#allocated.set({ queue: name, resource }, amount);
      for (const [resource, amount] of Object.entries(fair)) this.#fair.set({ queue: name, resource }, amount);
      const share = fair[DEVICES] ?? 0;
      if (hungry.has(name) && share > 0) ratios.push((held[DEVICES] ?? 0) / share);
    }
    for (const [{ queue, reason }, count] of countPending(waiting)) this.#pending.set({ queue, reason }, count);
    this.#fairness.set(jain(ratios));
  }
}

/** How many wait, by queue and reason. */
function countPending(
  waiting: CyclePlan['waiting'],
): readonly (readonly [{ queue: string; reason: string }, number])[] {
  const counts = new Map<string, [{ queue: string; reason: string }, number]>();
  for (const { workload, refusal } of waiting) {
    const { queue, reason } = { queue: workload.queue, reason: refusal.reason };
    const count = counts.get(`${queue} ${reason}`);
    if (count === undefined) counts.set(`${queue} ${reason}`, [{ queue, reason }, 1]);
    else count[1] += 1;
  }
  return [...counts.values()];
}

/** (sum x)^2 / (n sum x^2), 1 when all are equal. Jain, Chiu and Hawe, DEC-TR-301, 1984. */
function jain(values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + value, 0);
  const squares = values.reduce((total, value) => total + value * value, 0);
  return squares === 0 ? 1 : (sum * sum) / (values.length * squares);
}
