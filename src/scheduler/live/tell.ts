/** Tells people what was decided: why pods wait, how groups stand, and what queues hold. */
import type { Clock } from '../../base/clock.ts';
import type { ApiClient } from '../../client/types.ts';
import { type PodGroup, type PodGroupStatus, podGroup } from '../../kinds/pod-group/kind.ts';
import { type QueueStatus, queue } from '../../kinds/queue/kind.ts';
import { reservation } from '../../kinds/reservation/kind.ts';
import { formatTime, mergeConditions } from '../../kube/condition.ts';
import { type KubeObject, keyOf } from '../../kube/object.ts';
import type { Pod } from '../../kube/pod.ts';
import { isStatusError } from '../../kube/status-error.ts';
import { WELL_KNOWN } from '../../kube/well-known.ts';
import { formatAmounts } from '../amounts.ts';
import type { CyclePlan, Waiting } from '../cycle/plan-cycle.ts';
import type { Queue } from '../objects/read-queues.ts';
import { describeReservation, type Reservation } from '../objects/read-reservations.ts';
import { isUpstream } from '../objects/upstream-groups.ts';
import type { EventQueue } from './event-queue.ts';

/** What telling needs. */
export interface TellOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly events: EventQueue;
}

/** What became of a sentence; `changed`: the object is not as we read it, and must be looked at again. */
export type Outcome = 'said' | 'same' | 'changed' | 'gone';

/** Remembers what it said, so that nothing is said twice. */
export class Teller {
  readonly #options: TellOptions;
  readonly #told = new Map<string, string>();

  constructor(options: TellOptions) {
    this.#options = options;
  }

  /** The pod has its node, or is gone. */
  forget(uid: string): void {
    this.#told.delete(uid);
  }

  /** True when this was never said of the pod, or something else was. */
  isNews(pod: Pod, message: string): boolean {
    return this.#told.get(pod.metadata.uid ?? '') !== message;
  }

  /** True when nothing was ever said of the pod. */
  isFirst(pod: Pod): boolean {
    return !this.#told.has(pod.metadata.uid ?? '');
  }

  /**
   * The reason stands in the pod's condition and in an event; said again only when it has changed.
   * A pod that has changed meanwhile is not told: it may be bound by now.
   */
  async refuse(pod: Pod, message: string): Promise<Outcome> {
    const { client, clock, events } = this.#options;
    const { uid = '', name, namespace, resourceVersion } = pod.metadata;
    if (!this.isNews(pod, message)) return 'same';
    const condition = { type: 'PodScheduled', status: 'False' as const, reason: 'Unschedulable', message };
    const conditions = mergeConditions(pod.status?.conditions, [condition], clock.nowMs());
    const body = { metadata: { uid, resourceVersion }, status: { conditions } };
    const outcome = await write(
      client.patch(WELL_KNOWN.Pod, { name, namespace, subresource: 'status', type: 'merge', body }),
    );
    if (outcome !== 'said') return outcome;
    this.#told.set(uid, message);
    events.record(pod, { type: 'Warning', reason: 'FailedScheduling', message });
    return outcome;
  }

  /** How the group stands now. A group whose members have begun to end keeps what was said of it. */
  async describeGroup(group: PodGroup, now: GroupNow): Promise<Outcome> {
    if (isUpstream(group)) return 'same';
    const status = this.#toGroupStatus(group, now);
    const isOver = now.scheduled < (group.status?.scheduled ?? 0);
    if (isOver || JSON.stringify(status) === JSON.stringify(group.status)) return 'same';
    // why: a group is an object
    return write(this.#options.client.updateStatus(podGroup, { ...group, status } as KubeObject));
  }

  #toGroupStatus({ spec, status }: PodGroup, { scheduled, waiting }: GroupNow): PodGroupStatus {
    const isScheduled = scheduled >= spec.minMember;
    const nowMs = this.#options.clock.nowMs();
    const said = waiting?.refusal.message ?? `${scheduled} of ${spec.minMember} members have a node`;
    const reason = isScheduled ? 'Scheduled' : (waiting?.refusal.reason ?? 'Waiting');
    const condition = {
      type: 'Scheduled',
      status: isScheduled ? ('True' as const) : ('False' as const),
      reason,
      message: said,
    };
    const nominated = waiting?.refusal.reason === 'Nominated' ? ('Nominated' as const) : ('Pending' as const);
    return {
      phase: isScheduled ? 'Scheduled' : nominated,
      scheduled,
      ...(!isScheduled && waiting !== undefined && { reason, position: waiting.position }),
      ...(isScheduled && { startTime: status?.startTime ?? formatTime(nowMs) }),
      conditions: [...mergeConditions(status?.conditions, [condition], nowMs)],
    };
  }

  /** Whether the reservation's room is kept, and where. */
  async describeReservation(object: Reservation, plan: CyclePlan): Promise<Outcome> {
    const status = describeReservation(object, plan, this.#options.clock.nowMs());
    if (JSON.stringify(status) === JSON.stringify(object.status)) return 'same';
    // why: a reservation is an object
    const next = { ...object, status } as KubeObject;
    return write(this.#options.client.updateStatus(reservation, next));
  }

  /** What the queue and those below it hold, what is theirs, and what is wrong with it. */
  async describeQueue(object: Queue, plan: CyclePlan, counts: { running: number; pending: number }): Promise<Outcome> {
    const { name } = object.metadata;
    const problem = plan.ledger.tree.problems.find((one) => one.queue === name);
    const ready = {
      type: 'Ready',
      status: problem === undefined ? ('True' as const) : ('False' as const),
      reason: problem === undefined ? 'Ready' : 'Invalid',
      message: problem === undefined ? 'it has its place in the tree' : `${problem.field} ${problem.message}`,
    };
    const status: QueueStatus = {
      allocated: formatAmounts(plan.ledger.allocated.get(name) ?? {}),
      fairShare: formatAmounts(plan.shares.fair.get(name) ?? {}),
      ...counts,
      conditions: [...mergeConditions(object.status?.conditions, [ready], this.#options.clock.nowMs())],
    };
    if (JSON.stringify(status) === JSON.stringify(object.status)) return 'same';
    // why: a queue is an object
    return write(this.#options.client.updateStatus(queue, { ...object, status } as KubeObject));
  }
}

/** How a group stands after a plan. */
export interface GroupNow {
  readonly scheduled: number;
  readonly waiting: Waiting | undefined;
}

/** What a refusal says of a pod: a group speaks for its members. */
export function describeRefusal({ refusal: { message } }: Waiting, group: PodGroup | undefined): string {
  const isOfGang = group !== undefined && /^(has|needs) /.test(message);
  return isOfGang ? `pod group ${keyOf(group)} ${message}` : message;
}

async function write(request: Promise<unknown>): Promise<Outcome> {
  try {
    await request;
    return 'said';
  } catch (error) {
    if (isStatusError(error, 'Conflict')) return 'changed';
    if (isStatusError(error, 'NotFound')) return 'gone';
    throw error;
  }
}
