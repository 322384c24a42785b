/**
 * The scheduler as an engine: watches pods, nodes and groups, asks plan.ts, binds, and tells why the rest must wait.
 */
import type { Cancel, Clock } from '../base/clock.ts';
import { createEventRecorder, type RecordEvent } from '../client/events.ts';
import { createInformer } from '../client/informer.ts';
import type { ApiClient, Informer } from '../client/types.ts';
import { type PodGroupSpec, type PodGroupStatus, podGroup } from '../kinds/pod-group/kind.ts';
import { mergeConditions } from '../kube/condition.ts';
import { type KubeObject, keyOf, type ObjectOf } from '../kube/object.ts';
import { isPodFinished, type Node, type Pod } from '../kube/pod.ts';
import { isStatusError } from '../kube/status-error.ts';
import { WELL_KNOWN } from '../kube/well-known.ts';
import { type Binding, groupKeyOf, planPlacements, type Refusal } from './plan.ts';

export interface SchedulerOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  /** Values of spec.schedulerName that it answers to. */
  readonly schedulerNames: readonly string[];
  readonly report: (error: unknown) => void;
}

export interface Scheduler {
  readonly synced: Promise<void>;
  close(): Promise<void>;
}

type PodGroup = ObjectOf<PodGroupSpec, PodGroupStatus>;

/** Changes that come this close together are planned for together. */
const GATHER_MS = 5;
/** A cycle that could not bind is tried again after this long even when nothing changes. */
const RETRY_MS = 5_000;

/** Starts at once. */
export function startScheduler(options: SchedulerOptions): Scheduler {
  const { client, clock, report } = options;
  const pods = createInformer<Pod>({ client, clock, report, ref: WELL_KNOWN.Pod });
  const nodes = createInformer<Node>({ client, clock, report, ref: WELL_KNOWN.Node });
  const groups = createInformer<PodGroup>({ client, clock, report, ref: podGroup });
  const informers = [pods, nodes, groups];
  const cycle = new Cycle({
    ...options,
    pods,
    nodes,
    groups,
    record: createEventRecorder({ client, clock, component: 'athanor-scheduler', report }),
  });
  const synced = Promise.all(informers.map((informer) => informer.synced)).then(() => cycle.request());
  for (const informer of informers) informer.onChange(() => cycle.request());
  pods.onChange(({ type, object }) => (type === 'deleted' ? cycle.forget(object) : undefined));
  return {
    synced,
    close: async () => {
      await cycle.close();
      for (const informer of informers) informer.close();
    },
  };
}

interface CycleOptions extends SchedulerOptions {
  readonly pods: Informer<Pod>;
  readonly nodes: Informer<Node>;
  readonly groups: Informer<PodGroup>;
  readonly record: RecordEvent;
}

class Cycle {
  readonly #options: CycleOptions;
  /** Nodes given to pods whose new state has not come back yet, by uid. */
  readonly #assumed = new Map<string, string>();
  readonly #told = new Map<string, string>();
  #cancel: Cancel | undefined;
  #running: Promise<void> | undefined;
  #isWanted = false;
  #closed = false;

  constructor(options: CycleOptions) {
    this.#options = options;
  }

  /** Plans soon; many requests make one plan. */
  request(delayMs = GATHER_MS): void {
    if (this.#closed) return;
    if (this.#running !== undefined) {
      this.#isWanted = true;
      return;
    }
    if (this.#cancel !== undefined) {
      if (delayMs > GATHER_MS) return;
      this.#cancel();
    }
    this.#cancel = this.#options.clock.after(delayMs, () => {
      this.#cancel = undefined;
      this.#running = this.#run()
        .catch((error: unknown) => {
          this.#options.report(error);
          return true;
        })
        .then((isUnfinished) => {
          this.#running = undefined;
          if (this.#isWanted) this.request();
          else if (isUnfinished) this.request(RETRY_MS);
          this.#isWanted = false;
        });
    });
  }

  /** The pod is gone. */
  forget({ metadata: { uid = '' } }: Pod): void {
    this.#assumed.delete(uid);
    this.#told.delete(uid);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#running;
  }

  /** True when something is left that has to be tried again even when nothing changes. */
  async #run(): Promise<boolean> {
    const { nodes, groups, schedulerNames } = this.#options;
    await Promise.all([this.#options.pods, nodes, groups].map(({ synced }) => synced));
    const pods = this.#options.pods
      .list()
      .filter((pod) => !isPodFinished(pod))
      .map((pod) => this.#withAssumed(pod));
    const demands = groups.list().map((group) => ({ key: keyOf(group), minMember: group.spec.minMember }));
    const plan = planPlacements({
      nodes: nodes.list(),
      pods,
      groups: demands,
      schedulerNames: new Set(schedulerNames),
    });
    const bound: Binding[] = [];
    for (const unit of splitUnits(plan.bindings)) bound.push(...(await this.#bindUnit(unit)));
    for (const refusal of plan.refusals) await this.#refuse(refusal);
    await this.#tellGroups(pods, bound, plan.refusals);
    return plan.refusals.length > 0 || bound.length < plan.bindings.length;
  }

  /**
   * Binds a pod, or the members of a gang one after the other: once all could be bound, and none after one that could
   * not. Returns those that were.
   */
  async #bindUnit(unit: readonly Binding[]): Promise<readonly Binding[]> {
    const bound: Binding[] = [];
    const isGang = unit.length > 1;
    for (const binding of isGang ? unit : []) if (!(await this.#tryBinding(binding, '?dryRun=All'))) return [];
    for (const binding of unit) {
      if (!(await this.#bind(binding))) break;
      bound.push(binding);
    }
    return bound;
  }

  #withAssumed(pod: Pod): Pod {
    const uid = pod.metadata.uid ?? '';
    const nodeName = this.#assumed.get(uid);
    if (nodeName === undefined) return pod;
    if (pod.spec.nodeName === undefined) return { ...pod, spec: { ...pod.spec, nodeName } };
    this.#assumed.delete(uid);
    return pod;
  }

  async #bind(binding: Binding): Promise<boolean> {
    const { pod, nodeName } = binding;
    const { name, namespace, uid = '' } = pod.metadata;
    this.#assumed.set(uid, nodeName);
    if (!(await this.#tryBinding(binding))) {
      this.#assumed.delete(uid);
      return false;
    }
    this.#told.delete(uid);
    const message = `Successfully assigned ${namespace}/${name} to ${nodeName}`;
    void this.#options.record(pod, { type: 'Normal', reason: 'Scheduled', message });
    return true;
  }

  /** False when the API server refuses: the pod is gone, going, or bound by somebody else. */
  async #tryBinding({ pod, nodeName }: Binding, query = ''): Promise<boolean> {
    const { client, report } = this.#options;
    const { name, namespace, uid = '' } = pod.metadata;
    const target = { apiVersion: 'v1', kind: 'Node', name: nodeName };
    const body = { apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace, uid }, target };
    try {
      await client.request('POST', `/api/v1/namespaces/${namespace}/pods/${name}/binding${query}`, body);
      return true;
    } catch (error) {
      if (!isStatusError(error, 'Conflict') && !isStatusError(error, 'NotFound')) report(error);
      return false;
    }
  }

  /** The reason stands in the pod's condition and in an event; said again only when it has changed. */
  async #refuse({ pod, message }: Refusal): Promise<void> {
    const { client, clock, record } = this.#options;
    const { uid = '', name, namespace } = pod.metadata;
    if (this.#told.get(uid) === message) return;
    const condition = { type: 'PodScheduled', status: 'False' as const, reason: 'Unschedulable', message };
    const conditions = mergeConditions(pod.status?.conditions, [condition], clock.nowMs());
    await client
      .patch(WELL_KNOWN.Pod, {
        name,
        namespace,
        subresource: 'status',
        type: 'merge',
        body: { metadata: { uid }, status: { conditions } },
      })
      .catch(ignoreGone);
    this.#told.set(uid, message);
    void record(pod, { type: 'Warning', reason: 'FailedScheduling', message });
  }

  async #tellGroups(pods: readonly Pod[], bindings: readonly Binding[], refusals: readonly Refusal[]): Promise<void> {
    const { groups, client } = this.#options;
    for (const group of groups.list()) {
      const key = keyOf(group);
      const bound = pods.filter((pod) => pod.spec.nodeName !== undefined && groupKeyOf(pod) === key).length;
      const scheduled = bound + bindings.filter(({ pod }) => groupKeyOf(pod) === key).length;
      const message = refusals.find(({ pod }) => groupKeyOf(pod) === key)?.message;
      const status = this.#describeGroup(group, scheduled, message);
      const isSame = JSON.stringify(status) === JSON.stringify(group.status);
      const isOver = scheduled < (group.status?.scheduled ?? 0);
      if (!isSame && !isOver)
        // why: a group is an object
        await client.updateStatus<KubeObject>(podGroup, { ...group, status } as KubeObject).catch(ignoreGone);
    }
  }

  #describeGroup({ spec, status }: PodGroup, scheduled: number, message: string | undefined): PodGroupStatus {
    const isScheduled = scheduled >= spec.minMember;
    const said = message ?? `${scheduled} of ${spec.minMember} members have a node`;
    const condition = {
      type: 'Scheduled',
      status: isScheduled ? ('True' as const) : ('False' as const),
      reason: isScheduled ? 'Scheduled' : 'Waiting',
      message: said,
    };
    const conditions = [...mergeConditions(status?.conditions, [condition], this.#options.clock.nowMs())];
    return { phase: isScheduled ? 'Scheduled' : 'Pending', scheduled, conditions };
  }
}

/** Members of one gang together, in the order of the plan. */
function splitUnits(bindings: readonly Binding[]): readonly (readonly Binding[])[] {
  const units = new Map<string, Binding[]>();
  for (const binding of bindings) {
    const key = groupKeyOf(binding.pod) ?? `pod ${binding.pod.metadata.uid}`;
    units.set(key, [...(units.get(key) ?? []), binding]);
  }
  return [...units.values()];
}

function ignoreGone(error: unknown): void {
  if (!isStatusError(error, 'NotFound') && !isStatusError(error, 'Conflict')) throw error;
}
