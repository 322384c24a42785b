/** The cluster of this moment as the scheduler's planner takes it, read by a client. */
import type { ApiClient } from '../client/types.ts';
import { deviceClass } from '../kinds/device-class/kind.ts';
import { nodePool } from '../kinds/node-pool/kind.ts';
import { podGroup } from '../kinds/pod-group/kind.ts';
import { queue } from '../kinds/queue/kind.ts';
import { reservation } from '../kinds/reservation/kind.ts';
import type { KubeObject, ResourceRef } from '../kube/object.ts';
import { WELL_KNOWN } from '../kube/well-known.ts';
import { PROMISE_AFTER_MS } from '../scheduler/cycle/backfill.ts';
import type { Scene } from '../scheduler/cycle/plan-cycle.ts';
import { Estimates } from '../scheduler/live/estimates.ts';
import { ClassReader, type Listed, type Reading, readSources, type Sources } from '../scheduler/live/read-scene.ts';
import { PodAsks } from '../scheduler/objects/read-workloads.ts';
import { DEFAULT_POLICY, type PolicyName } from '../scheduler/placement/policies.ts';
import { SCHEDULER_NAMES } from './scheduler-names.ts';

/** Everything that plans depend on, as it is now. */
export async function listSources(client: ApiClient): Promise<Sources> {
  const listOf = async <T extends KubeObject>(ref: ResourceRef): Promise<Listed<T>> => {
    const { items } = await client.list<T>(ref);
    return { list: () => items };
  };
  const [pods, nodes, groups, queues, classes, pools, reservations] = await Promise.all([
    listOf<never>(WELL_KNOWN.Pod),
    listOf<never>(WELL_KNOWN.Node),
    listOf<never>(podGroup),
    listOf<never>(queue),
    listOf<never>(deviceClass),
    listOf<never>(nodePool),
    listOf<never>(reservation),
  ]);
  return { pods, nodes, groups, queues, classes, pools, reservations };
}

/** The reading of the sources, and the scene that the scheduler would plan for. */
export function toScene(sources: Sources, policy: PolicyName = DEFAULT_POLICY): { reading: Reading; scene: Scene } {
  const nowMs = Date.now();
  const estimates = new Estimates();
  for (const pod of sources.pods.list()) estimates.learn(pod);
  const reading = readSources(sources, {
    nowMs,
    schedulerNames: new Set(SCHEDULER_NAMES),
    asks: new PodAsks(),
    classes: new ClassReader().read(sources.classes.list()),
    estimateMs: (key) => estimates.find(key),
    nodesOf: ({ status }) => status?.nodes ?? [],
    withAssumed: (pod) => pod,
  });
  const { nodes, tree, workloads, drained, drainedDevices, reservations } = reading;
  const ground = { nodes, tree, drained, drainedDevices, reservations };
  return { reading, scene: { ...ground, nowMs, workloads, policy, promiseAfterMs: PROMISE_AFTER_MS } };
}
