/**
 * Who had least goes first, without a word on how long anybody will run: least attained service in few levels, as in
 * Tiresias' 2D-LAS (Gu et al., NSDI 2019), with ageing. What a workload has had counts as
 *
 *   x = attained x (attained / what it would have had, had it run since it came)^2
 *
 * in device-time: the first factor puts large and long ones behind, the second brings those forward that mostly wait,
 * so that nobody starves. Between one priority of a queue a waiting workload a may stop a running workload b when
 * b has had its quantum and x(b) >= 2 x(a).
 *
 * Why two never stop each other in turn: at one moment x depends on neither's having room (what is stopped keeps what
 * it has had), and whoever stops has strictly the smaller x. List all workloads by priority, then x: every stop gives
 * room to one that stands before all that lose it, so the row of "has room" grows as a binary number, and comes to
 * rest. Over time they do take turns, which is the purpose; but for b to stop a in return, x(a) must have grown from
 * x(b) / 2 or less to 2 x(b) or more, against a falling x(b): at least a factor of 4 in x between two turns of a pair,
 * and never within a quantum.
 */
import type { QueueNode } from '../queues/queue-tree.ts';
import { livingMembers, type Member, type Workload } from './workload.ts';

const HOUR_MS = 3_600_000;
/** Device-time that nobody of equal priority interrupts, and the end of the first level: five device-hours. */
export const QUANTUM_MS = 5 * HOUR_MS;
/** Each level reaches as many times as far as the one before. */
const LEVEL_FACTOR = 5;
/** How much more than the one that waits somebody must have had to be stopped for it. */
const TURN_FACTOR = 2;

/** What workloads have had, at one moment; each is looked at once. */
export class Service {
  readonly #nowMs: number;
  readonly #known = new Map<Workload, number>();

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  /** The aged service x, in device-milliseconds. */
  of(workload: Workload): number {
    const known = this.#known.get(workload);
    if (known !== undefined) return known;
    const { attainedMs = 0 } = workload;
    const ageMs = Math.max(1, this.#nowMs - workload.createdAtMs);
    const service = attainedMs * Math.min(1, attainedMs / (ageMs * devicesAsked(workload))) ** 2;
    this.#known.set(workload, service);
    return service;
  }

  /** 0 for the first quantum, then one more for each factor. */
  levelOf(workload: Workload): number {
    const service = this.of(workload);
    return service < QUANTUM_MS ? 0 : 1 + Math.floor(Math.log(service / QUANTUM_MS) / Math.log(LEVEL_FACTOR));
  }

  /** True when of two workloads of one queue and priority the first may have the room of the second. */
  mayStop(waiting: Workload, running: Workload): boolean {
    return this.of(running) >= Math.max(QUANTUM_MS, TURN_FACTOR * this.of(waiting));
  }
}

/** Whether workloads of the queue take turns by what they have had. */
export function isByService(queue: QueueNode | undefined): boolean {
  return queue?.order === 'LeastAttainedService';
}

/** Devices that its members hold now. */
export function countDevicesHeld({ members }: Workload): number {
  return members.reduce((sum, member) => (member.on === undefined ? sum : sum + devicesOf(member)), 0);
}

/** Devices of the members that it needs, were all alike. */
function devicesAsked(workload: Workload): number {
  const members = livingMembers(workload);
  const all = members.reduce((sum, member) => sum + devicesOf(member), 0);
  return members.length === 0 ? 1 : (all * Math.min(workload.minMember, members.length)) / members.length;
}

/** Whole devices' worth; a member without any counts as one. */
function devicesOf({ demand: { share } }: Member): number {
  if (share === undefined || share.count === 0) return 1;
  const part = Math.max(share.milli, share.memoryMilli ?? 0);
  return (share.count * (part === 0 ? 1000 : part)) / 1000;
}
