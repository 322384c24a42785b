/**
 * What will become of a scene when nothing new comes: the scheduler's own plans, one after the other, with workloads
 * ending when they are believed to. Answers "when do I run".
 */
import { expectedEndMs } from '../cycle/backfill.ts';
import { type CyclePlan, type Scene } from '../cycle/plan-cycle.ts';
import type { Workload } from '../cycle/workload.ts';
import { SimulatedCluster } from './cluster.ts';

/** What was foreseen. */
export interface Forecast {
  /** When each waiting workload is expected to start, by key; who is not there never did within the steps. */
  readonly startMs: ReadonlyMap<string, number>;
  /** The first plan: what would be done now. */
  readonly now: CyclePlan;
}

/** Plans after which it gives up. */
const MOST_STEPS = 500;
/** Cycles at one moment: who was made room for takes it in the next. */
const CYCLES_EACH = 4;

/** O(steps x plan). `isEnough` ends it early. */
export function forecast(
  scene: Scene,
  isEnough: (startMs: ReadonlyMap<string, number>) => boolean = () => false,
): Forecast {
  const { workloads, nowMs, nominations: _nominations, ...options } = scene;
  const cluster = new SimulatedCluster(options);
  for (const workload of workloads) cluster.submit(settle(workload));
  const isWaiting = new Set(workloads.filter(({ startedAtMs }) => startedAtMs === undefined).map(({ key }) => key));
  const startMs = new Map<string, number>();
  let at = nowMs;
  let now: CyclePlan | undefined;
  for (let step = 0; step < MOST_STEPS; step += 1) {
    for (let cycle = 0; cycle < CYCLES_EACH; cycle += 1) {
      const plan = cluster.cycle(at);
      now ??= plan;
      if (plan.starts.length + plan.victims.length === 0) break;
    }
    for (const { key, startedAtMs } of cluster.workloads())
      if (startedAtMs !== undefined && isWaiting.has(key) && !startMs.has(key)) startMs.set(key, at);
    if (isEnough(startMs) || startMs.size === isWaiting.size) break;
    const next = endNext(cluster, at);
    if (next === undefined) break;
    at = next;
  }
  return { startMs, now: now ?? cluster.cycle(nowMs) };
}

/** Pods that are leaving have left. */
function settle(workload: Workload): Workload {
  return { ...workload, members: workload.members.filter(({ isLeaving }) => isLeaving !== true) };
}

/** The workloads that end next, and when. */
function endNext(cluster: SimulatedCluster, nowMs: number): number | undefined {
  const ends = cluster
    .workloads()
    .filter(({ startedAtMs }) => startedAtMs !== undefined)
    .map((workload) => ({ key: workload.key, endMs: expectedEndMs(workload, nowMs) }));
  if (ends.length === 0) return undefined;
  const next = ends.reduce((least, { endMs }) => Math.min(least, endMs), Number.POSITIVE_INFINITY);
  for (const { key, endMs } of ends) if (endMs === next) cluster.remove(key);
  return next;
}
