/** Each tenant of the Philly window 20000 in a queue of its own: finish-time fairness, and what stopping costs. */
import { QUEUE_DEFAULTS, type QueueDeclaration } from '../src/scheduler/queues/queue-tree.ts';
import { measureFairness, summarizeJobs } from '../src/scheduler/simulate/job-summary.ts';
import { type JobOutcome, simulateJobs, type TraceJob } from '../src/scheduler/simulate/jobs.ts';
import type { Bench, Figure } from './measure.ts';
import { engineOf, readPhillyJobs, TIMES, TUNED, takeWindow, tell } from './philly.ts';

/** Takes about six minutes: the largest tenant alone on its part of the nodes waits for days. */
export const bench: Bench = async () => {
  const jobs = readPhillyJobs();
  return TUNED.flatMap(([first, nodes]) => measureTenants(takeWindow(jobs, first), 'LeastAttainedService', nodes));
};

/** Each tenant of the window in a queue of its own, all of one weight; against 1/n of the nodes for itself. */
function measureTenants(jobs: readonly TraceJob[], order: QueueDeclaration['order'], nodes: number): Figure[] {
  const tenants = [...new Set(jobs.map(({ tenant }) => tenant))].sort();
  const queues = tenants.map((name) => ({ ...QUEUE_DEFAULTS, name, order, moveMinRuntimeMs: 0 }));
  const simulate = (some: readonly TraceJob[], on: number): readonly JobOutcome[] =>
    simulateJobs(
      some,
      engineOf(queues, on, ({ tenant }) => tenant),
      TIMES,
    );
  const shared = simulate(jobs, nodes);
  const own = Math.floor(nodes / tenants.length);
  const alone = new Map(
    tenants.map((name) => [
      name,
      simulate(
        jobs.filter(({ tenant }) => tenant === name),
        own,
      ),
    ]),
  );
  const rho = [...measureFairness(shared, alone).values()];
  const what = `20000 on ${nodes}, ${tenants.length} tenants as queues, ${order}`;
  const [most, least] = [Math.max(...rho), Math.min(...rho)];
  return [
    ...tell(what, summarizeJobs(shared, TIMES.restartMs)),
    { what: `${what}: largest finish-time rho of a tenant (1/n: ${own} nodes)`, value: most, unit: '', target: '<= 1' },
    { what: `${what}: smallest rho`, value: least, unit: '' },
    { what: `${what}: largest / smallest rho`, value: most / least, unit: '' },
  ];
}
