/** The scene that the planner is shown: everything the informers know, at one moment. */
import type { DeviceClassSpec } from '../../kinds/device-class/kind.ts';
import type { PodGroup } from '../../kinds/pod-group/kind.ts';
import { findCondition } from '../../kube/condition.ts';
import type { ObjectOf } from '../../kube/object.ts';
import { isPodFinished, type Node, type Pod } from '../../kube/pod.ts';
import { toAmounts } from '../amounts.ts';
import type { Reserved } from '../cycle/reservations.ts';
import {
  buildDeviceClasses,
  type DeviceClasses,
  isDeviceResource,
  readNodeDevices,
} from '../objects/device-classes.ts';
import { isInPool, type NodePool, type Queue } from '../objects/read-queues.ts';
import { type Reservation, readReservation } from '../objects/read-reservations.ts';
import { groupKeyOf, type PodAsks, readWorkloads, type WorkloadReading } from '../objects/read-workloads.ts';
import type { PoolNode } from '../pool/pool.ts';
import type { QueueTree } from '../queues/queue-tree.ts';
import { KnownScene } from './known-scene.ts';

/** A DeviceClass object. */
export type DeviceClass = ObjectOf<DeviceClassSpec>;

/** All that plans depend on. */
export interface Sources {
  readonly pods: Listed<Pod>;
  readonly nodes: Listed<Node>;
  readonly groups: Listed<PodGroup>;
  readonly queues: Listed<Queue>;
  readonly classes: Listed<DeviceClass>;
  readonly pools: Listed<NodePool>;
  readonly reservations: Listed<Reservation>;
}

/** All objects of a kind, in order of key: an informer is one. */
export interface Listed<T> {
  list(): readonly T[];
}

/** What they say, as the planner takes it. */
export interface Reading extends WorkloadReading {
  readonly nodes: readonly PoolNode[];
  readonly tree: QueueTree;
  readonly classes: DeviceClasses;
  readonly drained: ReadonlySet<string>;
  /** Nodes whose pool stops what runs on devices that are not well. */
  readonly drainedDevices: ReadonlySet<string>;
  readonly reservations: readonly Reserved[];
}

/** What reading depends on beside the informers. */
export interface ReadOptions {
  readonly nowMs: number;
  readonly schedulerNames: ReadonlySet<string>;
  readonly asks: PodAsks;
  readonly classes: DeviceClasses;
  readonly estimateMs: (key: string) => number | undefined;
  /** Where reservations hold room, newer than their status. */
  readonly nodesOf: (reservation: Reservation) => readonly string[];
  /** The pod as it will be seen once what was done has come back. */
  readonly withAssumed: (pod: Pod) => Pod;
  /** What was read before. Default: everything is read anew. */
  readonly known?: KnownScene;
}

/** O(pods + nodes), little for what was read before. */
export function readSources(sources: Sources, options: ReadOptions): Reading {
  const { classes, schedulerNames, asks, estimateMs, nowMs, known = new KnownScene() } = options;
  const { nodes, pools, tree, rules, poolNodes } = known.ground({
    nodes: sources.nodes.list(),
    pools: sources.pools.list(),
    queues: sources.queues.list(),
    classes,
    readNode,
  });
  const { pods, ended } = sortPods(sources.pods.list(), options.withAssumed);
  const groups = sources.groups.list();
  const from = { schedulerNames, classes, rules, asks, estimateMs, known: known.workloads };
  const reading = readWorkloads({ ...from, pods, ended, groups });
  const drained = new Set(
    nodes.filter((node) => isToBeDrained(node, pools, nowMs)).map(({ metadata }) => metadata.name),
  );
  const drains = pools.filter(({ spec }) => spec.drainUnhealthy);
  const drainedDevices = new Set(
    nodes.filter((node) => drains.some((pool) => isInPool(node, pool))).map(({ metadata }) => metadata.name),
  );
  const { workloads } = reading;
  const reservations = sources.reservations
    .list()
    .map((one) => readReservation(one, { workloads, classes, rules, nodesOf: options.nodesOf }));
  return { ...reading, nodes: poolNodes, tree, classes, drained, drainedDevices, reservations };
}

/** Pods that have not ended, and of those that have ended well the members of gangs, by the key of their group. */
function sortPods(all: readonly Pod[], withAssumed: (pod: Pod) => Pod) {
  const pods: Pod[] = [];
  const ended = new Map<string, Pod[]>();
  for (const pod of all) {
    if (!isPodFinished(pod)) {
      pods.push(withAssumed(pod));
      continue;
    }
    const key = pod.status?.phase === 'Succeeded' ? groupKeyOf(pod) : undefined;
    if (key === undefined) continue;
    const gang = ended.get(key);
    if (gang === undefined) ended.set(key, [pod]);
    else gang.push(pod);
  }
  return { pods, ended };
}

/** Classes by the version of their objects: read anew only when one has changed. */
export class ClassReader {
  #known: { readonly key: string; readonly classes: DeviceClasses } | undefined;

  read(objects: readonly DeviceClass[]): DeviceClasses {
    const key = objects.map(({ metadata }) => `${metadata.uid} ${metadata.resourceVersion}`).join(',');
    if (this.#known?.key !== key) this.#known = { key, classes: buildDeviceClasses(objects) };
    return this.#known.classes;
  }
}

/** Pods that one node takes when it does not say, as in Kubernetes. */
const PODS_PER_NODE = 110;

/** The node with its amounts and devices. */
export function readNode(node: Node, classes: DeviceClasses): PoolNode {
  const all = toAmounts(node.status?.allocatable ?? node.status?.capacity ?? {});
  const amounts = Object.entries(all).filter(([name]) => !isDeviceResource(name, classes));
  return {
    name: node.metadata.name,
    labels: node.metadata.labels ?? {},
    capacity: { pods: PODS_PER_NODE, ...Object.fromEntries(amounts) },
    devices: readNodeDevices(node, classes),
  };
}

/** Not ready for longer than its pool allows, when its pool says anything. */
function isToBeDrained(node: Node, pools: readonly NodePool[], nowMs: number): boolean {
  if (pools.length === 0) return false;
  const ready = findCondition(node.status?.conditions, 'Ready');
  if (ready === undefined || ready.status === 'True') return false;
  const sinceMs = Date.parse(ready.lastTransitionTime ?? '') || 0;
  return pools.some(
    (pool) => isInPool(node, pool) && pool.spec.drainUnhealthy && nowMs - sinceMs >= pool.spec.drainAfterSeconds * 1000,
  );
}
