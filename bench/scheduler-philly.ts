/**
 * Queueing on windows of the Philly trace: published rules on one clock with the product's own plans, in one queue.
 * How the set-up came about stands in src/scheduler/README.md.
 */
import type { QueueDeclaration } from '../src/scheduler/queues/queue-tree.ts';
import type { JobSummary } from '../src/scheduler/simulate/job-summary.ts';
import type { TraceJob } from '../src/scheduler/simulate/jobs.ts';
import { LIST_RULES, ListScheduler } from '../src/scheduler/simulate/list-scheduler.ts';
import type { Bench, Figure } from './measure.ts';
import { engineOf, PER_NODE, QUEUE, readPhillyJobs, run, TUNED, takeWindow, tell } from './philly.ts';

/** Demand is 0.89 and 1.07 of the capacity. */
const REPORTED = [
  [0, 49],
  [0, 41],
  [10_000, 80],
  [10_000, 67],
  [30_000, 96],
  [30_000, 80],
  [35_000, 84],
  [35_000, 70],
] as const;
/** Of the table of facts: mean of 2D-LAS, p99 of LAS, in hours. */
const FACTS: Readonly<Record<string, { readonly mean: number; readonly p99: number }>> = {
  '20000 on 60': { mean: 0.12, p99: 1.1 },
  '20000 on 50': { mean: 0.27, p99: 3.1 },
};
const WITHIN = { mean: 1.25, p99: 1.5 } as const;
/** Rules and the product on every window. Takes about ten minutes. */
export const bench: Bench = async () => {
  const jobs = readPhillyJobs();
  const figures: Figure[] = [];
  for (const [first, nodes] of [...TUNED, ...REPORTED]) figures.push(...measureWindow(jobs, first, nodes));
  for (const [first, nodes] of TUNED) {
    const summary = runProduct(takeWindow(jobs, first), nodes, 'Priority');
    figures.push(...tell(`${first} on ${nodes}, product, Priority`, summary));
  }
  return figures;
};

function measureWindow(jobs: readonly TraceJob[], first: number, nodes: number): readonly Figure[] {
  const window = takeWindow(jobs, first);
  const where = `${first} on ${nodes}`;
  const figures: Figure[] = [];
  const summaries = new Map<string, JobSummary>();
  for (const [name, rule] of Object.entries(LIST_RULES)) {
    const summary = run(window, new ListScheduler(rule, { nodes, perNode: PER_NODE }));
    summaries.set(name, summary);
    figures.push(...tell(`${where}, ${name}`, summary));
  }
  const mean = FACTS[where]?.mean ?? summaries.get('2D-LAS')?.meanWaitHours ?? Number.NaN;
  const p99 = FACTS[where]?.p99 ?? summaries.get('LAS continuous')?.p99WaitHours ?? Number.NaN;
  const goal = { mean: mean * WITHIN.mean, p99: p99 * WITHIN.p99 };
  const order = 'LeastAttainedService';
  return [...figures, ...tell(`${where}, product, ${order}`, runProduct(window, nodes, order), goal)];
}

function runProduct(jobs: readonly TraceJob[], nodes: number, order: QueueDeclaration['order']): JobSummary {
  return run(
    jobs,
    engineOf([{ ...QUEUE, name: 'default', order }], nodes, () => 'default'),
  );
}
