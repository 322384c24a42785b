/**
 * Pods as workloads: the members of a group together, every other pod alone. Understands our own words for queues and
 * places, and those of KAI, Kueue, Volcano and Koordinator.
 */
import { SCHEDULING_ANNOTATION, Scheduling } from '../../kinds/fields/scheduling.ts';
import { POD_SUB_GROUP_LABEL, type PodGroup, QUEUED_AT_ANNOTATION } from '../../kinds/pod-group/kind.ts';
import { keyOf } from '../../kube/object.ts';
import { POD_GROUP_LABEL, type Pod } from '../../kube/pod.ts';
import type { Member, Workload } from '../cycle/workload.ts';
import type { Demand } from '../pool/pool.ts';
import { DEFAULT_QUEUE } from '../queues/queue-tree.ts';
import { readAssigned } from './assignment.ts';
import type { DeviceClasses } from './device-classes.ts';
import { KnownWorkloads, type ReadFrom } from './known-workloads.ts';
import { learningKey } from './learning.ts';
import { type NodeRules, type PodAsk, readPodAsk, toDemand } from './read-demand.ts';
import { upstreamGroupName } from './upstream-groups.ts';

/** Label that names a pod's queue. */
export const QUEUE_LABEL = 'athanor.dev/queue';
/** Queue of pods that others placed: they hold room, and count against nobody. */
const NO_QUEUE = ' ';

/** Sorts of pods that are remembered; then all are forgotten. */
const MOST_SORTS = 10_000;

/**
 * What pods ask for, by pod object: objects are frozen, and are read once for the same classes. Pods that ask for the
 * same share one ask and one demand.
 */
export class PodAsks {
  readonly #asks = new WeakMap<Pod, { readonly classes: DeviceClasses; readonly ask: PodAsk }>();
  readonly #demands = new WeakMap<NodeRules, Map<PodAsk, Demand>>();
  #sorts = new Map<string, PodAsk>();
  #classes: DeviceClasses | undefined;

  of(pod: Pod, classes: DeviceClasses): PodAsk {
    const known = this.#asks.get(pod);
    if (known?.classes === classes) return known.ask;
    const ask = this.#share(readPodAsk(pod, classes), classes);
    this.#asks.set(pod, { classes, ask });
    return ask;
  }

  #share(ask: PodAsk, classes: DeviceClasses): PodAsk {
    if (ask.problem !== undefined) return ask;
    if (this.#classes !== classes || this.#sorts.size >= MOST_SORTS) this.#sorts = new Map();
    this.#classes = classes;
    const known = this.#sorts.get(ask.key) ?? ask;
    this.#sorts.set(ask.key, known);
    return known;
  }

  /** The ask against nodes. */
  demandOf(ask: PodAsk, rules: NodeRules, classes: DeviceClasses): Demand {
    const demands = this.#demands.get(rules) ?? new Map<PodAsk, Demand>();
    this.#demands.set(rules, demands);
    const known = demands.get(ask);
    if (known !== undefined) return known;
    if (demands.size >= MOST_SORTS) demands.clear();
    const demand = toDemand(ask, rules, classes);
    demands.set(ask, demand);
    return demand;
  }
}

/** What workloads are read from. */
export interface WorkloadSources extends ReadFrom {
  readonly pods: readonly Pod[];
  readonly groups: readonly PodGroup[];
  /** Pods that have ended well, by the key of their group: a gang that has had them needs them no more. */
  readonly ended: ReadonlyMap<string, readonly Pod[]>;
  readonly asks: PodAsks;
  /** What was read before. Default: everything is read anew. */
  readonly known?: KnownWorkloads;
}

/** Workloads, and which pod each member is. */
export interface WorkloadReading {
  readonly workloads: readonly Workload[];
  readonly pods: ReadonlyMap<string, Pod>;
  /** The group of a workload, by the workload's key. */
  readonly groups: ReadonlyMap<string, PodGroup>;
}

/** `namespace/name` of the pod's group, if it names one. */
export function groupKeyOf(pod: Pod): string | undefined {
  const { metadata } = pod;
  const name = metadata.labels?.[POD_GROUP_LABEL] ?? upstreamGroupName(pod);
  return name === undefined ? undefined : `${metadata.namespace}/${name}`;
}

/** O(pods), little for those that were read before. */
export function readWorkloads(sources: WorkloadSources): WorkloadReading {
  const { pods, groups, known = new KnownWorkloads() } = sources;
  const groupsByKey = new Map(groups.map((group) => [keyOf(group), group]));
  const gangs = new Map<string, Pod[]>();
  const workloads: Workload[] = [];
  const groupOf = new Map<string, PodGroup>();
  const podOf = new Map<string, Pod>();
  for (const pod of pods) {
    const key = groupKeyOf(pod);
    if (pod.spec.nodeName === undefined && !isOurs(pod, sources)) continue;
    if (key !== undefined) {
      const gang = gangs.get(key);
      if (gang === undefined) gangs.set(key, [pod]);
      else gang.push(pod);
      continue;
    }
    const workload = known.single(pod, sources, (from) => readSingle(pod, from));
    workloads.push(workload);
    for (const member of workload.members) podOf.set(member.key, pod);
  }
  for (const [key, own] of gangs) {
    const group = groupsByKey.get(key);
    const ended = sources.ended.get(key) ?? [];
    const workload = known.gang({ key, group, pods: own, ended }, sources, (from) =>
      group === undefined ? readOrphans(key, own, from) : readGroup(group, { pods: own, ended }, from),
    );
    workloads.push(workload);
    for (const [index, pod] of own.entries()) podOf.set(workload.members[index]?.key ?? '', pod);
    if (group !== undefined) groupOf.set(workload.key, group);
  }
  known.finish(pods);
  return { workloads, pods: podOf, groups: groupOf };
}

/** Uids tell pods of one name apart that come one after the other. */
export function podKey({ metadata }: Pod): string {
  return `${metadata.namespace}/${metadata.name} ${metadata.uid ?? ''}`;
}

interface Gang {
  readonly pods: readonly Pod[];
  readonly ended: readonly Pod[];
}

function readGroup(group: PodGroup, { pods, ended }: Gang, sources: WorkloadSources): Workload {
  const { spec, status, metadata } = group;
  const minMember = Math.max(0, spec.minMember - ended.length);
  const endedOf = (name: string) => ended.filter((pod) => pod.metadata.labels?.[POD_SUB_GROUP_LABEL] === name).length;
  const fields = readScheduling(spec, pods[0]);
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  const key = owner === undefined ? `podgroup/${keyOf(group)}` : `${owner.kind}/${metadata.namespace}/${owner.name}`;
  const held = pods.filter((pod) => pod.spec.nodeName !== undefined && !isLeaving(pod));
  const startedAtMs = status?.startTime === undefined ? latestBinding(held) : Date.parse(status.startTime);
  return {
    ...describe(fields, { ...metadata, key: key.toLowerCase(), pods, sources }),
    createdAtMs: Date.parse(metadata.annotations?.[QUEUED_AT_ANNOTATION] || metadata.creationTimestamp || '') || 0,
    minMember,
    subGroups: spec.subGroups.map((part) => ({
      ...part,
      minMember: Math.max(0, part.minMember - endedOf(part.name)),
    })),
    startedAtMs: held.length > 0 && held.length >= minMember ? startedAtMs : undefined,
  };
}

function readSingle(pod: Pod, sources: WorkloadSources): Workload {
  const { metadata, spec } = pod;
  const given = metadata.annotations?.[SCHEDULING_ANNOTATION];
  const parsed = Scheduling.safeParse(given === undefined ? {} : parseJson(given));
  const fields = readScheduling(parsed.data ?? Scheduling.parse({}), pod);
  const key = `pod/${metadata.namespace}/${metadata.name}`;
  const workload = describe(fields, { ...metadata, key, pods: [pod], sources });
  const problem = parsed.success ? workload.problem : `annotation ${SCHEDULING_ANNOTATION} is not valid`;
  return {
    ...workload,
    ...(problem !== undefined && { problem }),
    ...(!isOurs(pod, sources) && { queue: NO_QUEUE, isPreemptible: false }),
    createdAtMs: Date.parse(metadata.creationTimestamp ?? '') || 0,
    minMember: 1,
    startedAtMs: spec.nodeName === undefined ? undefined : latestBinding([pod]),
  };
}

function readOrphans(group: string, pods: readonly Pod[], sources: WorkloadSources): Workload {
  const [first] = pods;
  const fields = readScheduling(Scheduling.parse({}), first);
  return {
    ...describe(fields, { key: `podgroup/${group}`, namespace: first?.metadata.namespace, name: group, pods, sources }),
    createdAtMs: Date.parse(first?.metadata.creationTimestamp ?? '') || 0,
    minMember: 1,
    problem: `the pod names the pod group ${group}, which does not exist`,
  };
}

/** The group's own words, and where it says nothing those of other schedulers on its first pod. */
function readScheduling(own: Scheduling, pod: Pod | undefined): Scheduling {
  const { labels = {}, annotations = {} } = pod?.metadata ?? {};
  const queue =
    labels[QUEUE_LABEL] ??
    labels['kai.scheduler/queue'] ??
    labels['kueue.x-k8s.io/queue-name'] ??
    annotations['scheduling.volcano.sh/queue-name'] ??
    labels['quota.scheduling.koordinator.sh/name'];
  const required =
    annotations['kai.scheduler/topology-required-placement'] ?? annotations['kueue.x-k8s.io/podset-required-topology'];
  const preferred =
    annotations['kai.scheduler/topology-preferred-placement'] ??
    annotations['kueue.x-k8s.io/podset-preferred-topology'];
  const topology = {
    ...(required !== undefined && { required }),
    ...(preferred !== undefined && { preferred: [preferred] }),
  };
  const hami = annotations['hami.io/node-scheduler-policy'];
  const placement = hami === 'spread' ? ('spread' as const) : hami === 'binpack' ? ('pack' as const) : undefined;
  const isFixed = labels['kai.scheduler/preemptibility'] === 'non-preemptible';
  return {
    ...(Object.keys(topology).length > 0 && { topology }),
    ...(placement !== undefined && { placement }),
    ...own,
    queue: own.queue === DEFAULT_QUEUE && queue !== undefined ? queue : own.queue,
    priority: own.priority === 0 ? (pod?.spec.priority ?? 0) : own.priority,
    preemptible: own.preemptible && !isFixed,
  };
}

interface Described {
  readonly key: string;
  readonly namespace?: string | undefined;
  readonly name: string;
  readonly pods: readonly Pod[];
  readonly sources: WorkloadSources;
}

function describe(
  fields: Scheduling,
  { key, namespace, name, pods, sources }: Described,
): Omit<Workload, 'createdAtMs' | 'minMember'> {
  const { queue, pool } = fields;
  const { classes } = sources;
  const rules = sources.rules.for({ queue, pool });
  const members = pods.map((pod): Member => {
    const demand = sources.asks.demandOf(sources.asks.of(pod, classes), rules, classes);
    const subGroup = pod.metadata.labels?.[POD_SUB_GROUP_LABEL];
    return { key: podKey(pod), demand, on: readAssigned(pod), isLeaving: isLeaving(pod), subGroup };
  });
  const problem =
    pods.map((pod) => sources.asks.of(pod, classes).problem).find((one) => one !== undefined) ??
    (pool !== undefined && !sources.rules.has(pool) ? `there is no node pool ${pool}` : undefined);
  const declared = fields.estimatedRuntimeSeconds;
  return {
    key,
    queue,
    user: fields.user,
    priority: fields.priority,
    isPreemptible: fields.preemptible,
    members,
    topology: fields.topology,
    placement: fields.placement,
    isExclusive: fields.exclusive,
    reservation: fields.reservation,
    estimateMs: declared === undefined ? sources.estimateMs(learningKey(namespace, name)) : declared * 1000,
    startTimeoutMs: fields.startTimeoutSeconds * 1000,
    ...(problem !== undefined && { problem }),
  };
}

function isOurs({ spec }: Pod, { schedulerNames }: WorkloadSources): boolean {
  return schedulerNames.has(spec.schedulerName ?? 'default-scheduler');
}

function isLeaving({ metadata }: Pod): boolean {
  return metadata.deletionTimestamp !== undefined;
}

/** When the last of the pods got its node. */
function latestBinding(pods: readonly Pod[]): number {
  const times = pods.map(({ status, metadata }) => {
    const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled');
    return Date.parse(scheduled?.lastTransitionTime ?? metadata.creationTimestamp ?? '') || 0;
  });
  return Math.max(0, ...times);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // why: said as not valid
  }
}
