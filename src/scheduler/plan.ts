/**
 * Decides which pending pods go to which nodes: a pure function of a snapshot. Gangs get room for all at once, or
 * none.
 */

import type { Node, Pod, Taint, Toleration } from '../kube/pod.ts';
import { POD_GROUP_LABEL } from '../kube/pod.ts';
import { matchesLabels, type Selector } from '../kube/selector.ts';
import { type Amounts, addAmounts, fits, missingOf, requestsOf, toAmounts } from './amounts.ts';

export interface GroupDemand {
  /** `namespace/name`. */
  readonly key: string;
  readonly minMember: number;
}

export interface Snapshot {
  readonly nodes: readonly Node[];
  /** All pods that are not finished, bound or not. */
  readonly pods: readonly Pod[];
  readonly groups: readonly GroupDemand[];
  /** Pods without a node are ours only when they name one of these. */
  readonly schedulerNames: ReadonlySet<string>;
}

export interface Binding {
  readonly pod: Pod;
  readonly nodeName: string;
}

/** A pod that must wait, and why, in a sentence for people. */
export interface Refusal {
  readonly pod: Pod;
  readonly message: string;
}

export interface Plan {
  readonly bindings: readonly Binding[];
  readonly refusals: readonly Refusal[];
}

interface Room {
  readonly node: Node;
  readonly capacity: Amounts;
  used: Amounts;
}

/** Gangs that are half placed first, then higher priority, then the older one. O(pending x nodes). */
export function planPlacements(snapshot: Snapshot): Plan {
  const rooms = snapshot.nodes.map((node) => toRoom(node, snapshot.pods));
  const bindings: Binding[] = [];
  const refusals: Refusal[] = [];
  for (const unit of listUnits(snapshot)) {
    const outcome = placeUnit(unit, rooms);
    bindings.push(...outcome.bindings);
    refusals.push(...outcome.refusals);
  }
  return { bindings, refusals };
}

function toRoom(node: Node, pods: readonly Pod[]): Room {
  const mine = pods.filter(({ spec }) => spec.nodeName === node.metadata.name);
  return {
    node,
    capacity: toAmounts(node.status?.allocatable ?? node.status?.capacity ?? {}),
    used: mine.reduce<Amounts>((sum, pod) => addAmounts(sum, requestsOf(pod)), {}),
  };
}

/** Pods that are placed together: a gang, or one pod alone. */
interface Unit {
  readonly pods: readonly Pod[];
  readonly group?: GroupDemand;
  /** Members that have a node already. */
  readonly bound: number;
  /** True when the pods name a group that does not exist. */
  readonly isOrphan: boolean;
}

function listUnits({ pods, groups, schedulerNames }: Snapshot): readonly Unit[] {
  const byGroup = new Map<string, Pod[]>();
  const units: Unit[] = [];
  for (const pod of pods.filter((candidate) => isPending(candidate, schedulerNames)).sort(comparePods)) {
    const key = groupKeyOf(pod);
    if (key === undefined) units.push({ pods: [pod], bound: 0, isOrphan: false });
    else byGroup.set(key, [...(byGroup.get(key) ?? []), pod]);
  }
  for (const [key, members] of byGroup) {
    const group = groups.find((candidate) => candidate.key === key);
    const bound = pods.filter((pod) => pod.spec.nodeName !== undefined && groupKeyOf(pod) === key).length;
    units.push({ pods: members, bound, isOrphan: group === undefined, ...(group && { group }) });
  }
  // why: until the rest of a gang has a node too, what it holds already serves nobody
  const isHalf = ({ bound, group }: Unit) => Number(bound > 0 && bound < (group?.minMember ?? 0));
  return units.sort((a, b) => isHalf(b) - isHalf(a) || comparePods(a.pods[0], b.pods[0]));
}

function isPending({ spec, metadata }: Pod, schedulerNames: ReadonlySet<string>): boolean {
  return (
    spec.nodeName === undefined &&
    metadata.deletionTimestamp === undefined &&
    schedulerNames.has(spec.schedulerName ?? 'default-scheduler')
  );
}

/** `namespace/name` of the pod's group, if it names one. */
export function groupKeyOf({ metadata }: Pod): string | undefined {
  const name = metadata.labels?.[POD_GROUP_LABEL];
  return name === undefined ? undefined : `${metadata.namespace}/${name}`;
}

function comparePods(a: Pod | undefined, b: Pod | undefined): number {
  const byPriority = (b?.spec.priority ?? 0) - (a?.spec.priority ?? 0);
  if (byPriority !== 0) return byPriority;
  const ages = [a, b].map(
    (pod) => `${pod?.metadata.creationTimestamp} ${pod?.metadata.namespace}/${pod?.metadata.name}`,
  );
  return (ages[0] ?? '') < (ages[1] ?? '') ? -1 : 1;
}

function placeUnit(unit: Unit, rooms: readonly Room[]): Plan {
  const refuse = (message: string): Plan => ({ bindings: [], refusals: unit.pods.map((pod) => ({ pod, message })) });
  if (unit.isOrphan)
    // why: a unit has a pod
    return refuse(`the pod names the pod group ${groupKeyOf(unit.pods[0] as Pod)}, which does not exist`);
  const needed = unit.group?.minMember ?? 1;
  const there = unit.pods.length + unit.bound;
  if (there < needed)
    return refuse(`pod group ${unit.group?.key} has ${there} of ${needed} members, waiting for the others`);
  const before = rooms.map(({ used }) => used);
  const bindings: Binding[] = [];
  const refusals: Refusal[] = [];
  for (const pod of unit.pods) {
    const room = chooseRoom(pod, rooms);
    if (room === undefined) refusals.push({ pod, message: explain(pod, rooms) });
    else {
      room.used = addAmounts(room.used, requestsOf(pod));
      bindings.push({ pod, nodeName: room.node.metadata.name });
    }
  }
  const [refusal] = refusals;
  if (refusal === undefined) return { bindings, refusals };
  if (bindings.length + unit.bound >= needed && unit.group !== undefined) return { bindings, refusals };
  for (const [index, room] of rooms.entries()) room.used = before[index] ?? room.used;
  if (unit.group === undefined) return refuse(refusal.message);
  const fit = bindings.length + unit.bound;
  return refuse(`pod group ${unit.group.key} needs ${needed} pods at once, ${fit} would fit: ${refusal.message}`);
}

/** The fullest node that has room keeps big holes for big pods (best fit). */
function chooseRoom(pod: Pod, rooms: readonly Room[]): Room | undefined {
  const requests = requestsOf(pod);
  const usable = rooms.filter((room) => refuses(pod, room.node) === undefined && fits(requests, room));
  const fullness = ({ used, capacity }: Room) => (used['cpu'] ?? 0) / Math.max(1, capacity['cpu'] ?? 1);
  return usable.reduce<Room | undefined>(
    (best, room) => (best === undefined || fullness(room) > fullness(best) ? room : best),
    undefined,
  );
}

/** Why a node will not take the pod whatever room it has. */
function refuses({ spec }: Pod, node: Node): string | undefined {
  if (!node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'))
    return 'node(s) were not ready';
  if (node.spec?.unschedulable === true) return 'node(s) were unschedulable';
  const selector: Selector = Object.entries(spec.nodeSelector ?? {}).map(([key, value]) => ({
    key,
    operator: 'in',
    values: [value],
  }));
  if (!matchesLabels(selector, node.metadata.labels)) return "node(s) didn't match Pod's node selector";
  const taint = (node.spec?.taints ?? []).find(
    (one) => one.effect !== 'PreferNoSchedule' && !tolerates(spec.tolerations ?? [], one),
  );
  return taint && `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`;
}

function tolerates(tolerations: readonly Toleration[], taint: Taint): boolean {
  return tolerations.some(({ key, operator = 'Equal', value = '', effect }) => {
    if (effect !== undefined && effect !== '' && effect !== taint.effect) return false;
    if (operator === 'Exists') return key === undefined || key === '' || key === taint.key;
    return key === taint.key && value === (taint.value ?? '');
  });
}

/** `0/3 nodes are available: 2 Insufficient cpu, 1 node(s) were not ready.` as kube-scheduler says it. */
function explain(pod: Pod, rooms: readonly Room[]): string {
  const counts = new Map<string, number>();
  for (const room of rooms) {
    const reasons = [refuses(pod, room.node) ?? missingOf(requestsOf(pod), room)].flat();
    for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  if (rooms.length === 0) return 'no nodes available to schedule pods';
  const parts = [...counts].map(([reason, count]) => `${count} ${reason}`);
  return `0/${rooms.length} nodes are available: ${parts.join(', ')}.`;
}
