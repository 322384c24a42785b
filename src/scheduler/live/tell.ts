/** Tells people what was decided: why pods wait, how groups stand, and what queues hold. */

import type { Clock } from '../../base/clock.ts';
import type { RecordEvent } from '../../client/events.ts';
import type { ApiClient } from '../../client/types.ts';
import { type PodGroupStatus, podGroup } from '../../kinds/pod-group/kind.ts';
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
import type { PodGroup } from '../objects/read-workloads.ts';

/** What telling needs. */
export interface TellOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly record: RecordEvent;
}

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

  /** The reason stands in the pod's condition and in an event; said again only when it has changed. */
  async refuse(pod: Pod, message: string): Promise<void> {
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

  /** How the group stands now. A group whose members have begun to end keeps what was said of it. */
  async describeGroup(group: PodGroup, now: GroupNow): Promise<void> {
    const status = this.#toGroupStatus(group, now);
    const isOver = now.scheduled < (group.status?.scheduled ?? 0) && now.phase === undefined;
    if (isOver || JSON.stringify(status) === JSON.stringify(group.status)) return;
    // why: a group is an object
    await this.#options.client.updateStatus<KubeObject>(podGroup, { ...group, status } as KubeObject).catch(ignoreGone);
  }

  #toGroupStatus({ spec, status }: PodGroup, { scheduled, waiting, phase }: GroupNow): PodGroupStatus {
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
      phase: phase ?? (isScheduled ? 'Scheduled' : nominated),
      scheduled,
      ...(!isScheduled && waiting !== undefined && { reason, position: waiting.position }),
      ...(isScheduled && { startTime: status?.startTime ?? formatTime(nowMs) }),
      conditions: [...mergeConditions(status?.conditions, [condition], nowMs)],
    };
  }

  /** Whether the reservation's room is kept, and where. */
  async describeReservation(object: Reservation, plan: CyclePlan): Promise<void> {
    const status = describeReservation(object, plan, this.#options.clock.nowMs());
    if (JSON.stringify(status) === JSON.stringify(object.status)) return;
    // why: a reservation is an object
    const next = { ...object, status } as KubeObject;
    await this.#options.client.updateStatus<KubeObject>(reservation, next).catch(ignoreGone);
  }

  /** What the queue and those below it hold, what is theirs, and what is wrong with it. */
  async describeQueue(object: Queue, plan: CyclePlan, counts: { running: number; pending: number }): Promise<void> {
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
    if (JSON.stringify(status) === JSON.stringify(object.status)) return;
    // why: a queue is an object
    await this.#options.client.updateStatus<KubeObject>(queue, { ...object, status } as KubeObject).catch(ignoreGone);
  }
}

/** How a group stands after a plan. */
export interface GroupNow {
  readonly scheduled: number;
  readonly waiting: Waiting | undefined;
  /** Said instead of what follows from the numbers. */
  readonly phase?: PodGroupStatus['phase'];
}

/** What a refusal says of a pod: a group speaks for its members. */
export function describeRefusal({ refusal: { message } }: Waiting, group: PodGroup | undefined): string {
  const isOfGang = group !== undefined && /^(has|needs) /.test(message);
  return isOfGang ? `pod group ${keyOf(group)} ${message}` : message;
}

function ignoreGone(error: unknown): void {
  if (!isStatusError(error, 'NotFound') && !isStatusError(error, 'Conflict')) throw error;
}
