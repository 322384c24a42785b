/**
 * Who holds what in a plan in the making: the pool's room and the queues' accounts move together, and every step can
 * be taken back.
 */
import { assert } from '../../base/assert.ts';
import type { Amounts } from '../amounts.ts';
import { type Placement, Pool, type PoolNode, type TaskClass, WHOLE_MILLI } from '../pool/pool.ts';
import { DEFAULT_QUEUE, lineOf, type QueueNode, type QueueTree } from '../queues/queue-tree.ts';
import type { Member, Workload } from './workload.ts';

/** Amounts by resource that may be changed. */
export type Account = Record<string, number>;

/** What a member holds and for whom. */
export interface Holding {
  readonly workload: Workload;
  readonly member: Member;
  readonly placement: Placement;
}

/** Resource that counts accelerators of all classes. */
export const DEVICES = 'devices';

/** Moves room and accounts together. */
export class Ledger {
  readonly pool: Pool;
  readonly tree: QueueTree;
  /** What each queue holds, those below it included. */
  readonly allocated = new Map<string, Account>();
  /** The part of it that nobody may take back. */
  readonly fixed = new Map<string, Account>();
  /** What each user of a queue holds, by `queue user`. */
  readonly byUser = new Map<string, Account>();
  /** What each workload holds, by its key. */
  readonly held = new Map<string, Map<string, Holding>>();
  /** Workloads on each node, with the number of their members. */
  readonly occupants: readonly Map<string, number>[];
  /** Nodes that one workload has for itself. */
  readonly exclusive = new Map<number, string>();
  /** Grows with each step, also with one that takes another back. */
  version = 0;
  readonly #steps: { readonly holding: Holding; readonly isTaking: boolean }[] = [];
  readonly #quota = new Map<TaskClass, Amounts>();

  constructor(nodes: readonly PoolNode[], tree: QueueTree) {
    this.pool = new Pool(nodes);
    this.tree = tree;
    this.occupants = this.pool.nodes.map(() => new Map());
  }

  /** Where to roll back to. */
  mark(): number {
    return this.#steps.length;
  }

  /** Takes back every step since the mark, the newest first. */
  rollback(mark: number): void {
    while (this.#steps.length > mark) {
      const step = this.#steps.pop();
      if (step !== undefined) this.#move(step.holding, !step.isTaking);
    }
  }

  /** The member takes its place. */
  take(holding: Holding): void {
    this.#move(holding, true);
    this.#steps.push({ holding, isTaking: true });
  }

  /** The member leaves its place. */
  release(holding: Holding): void {
    this.#move(holding, false);
    this.#steps.push({ holding, isTaking: false });
  }

  /** What the workload holds, in the order of its members; who is none of them comes last. */
  holdingsOf({ key, members }: Workload): readonly Holding[] {
    const own = this.held.get(key);
    if (own === undefined || own.size === 0) return [];
    const ordered = members.flatMap((member) => own.get(member.key) ?? []);
    if (ordered.length === own.size) return ordered;
    const known = new Set(ordered);
    return [...ordered, ...[...own.values()].filter((holding) => !known.has(holding))];
  }

  /** How many of its members have room. */
  countHeld({ key }: Pick<Workload, 'key'>): number {
    return this.held.get(key)?.size ?? 0;
  }

  /** The queue of the workload, or undefined when there is none of that name. */
  queueOf({ queue }: Workload): QueueNode | undefined {
    return this.tree.byName.get(queue === '' ? DEFAULT_QUEUE : queue);
  }

  /** What quotas count of a task: everything but its place among the pods of a node. */
  quotaOf(task: TaskClass): Amounts {
    const known = this.#quota.get(task);
    if (known !== undefined) return known;
    const { amounts, share, extraQuota } = task.demand;
    const { pods: _, ...quota }: Account = { ...amounts };
    addTo(quota, extraQuota ?? {}, 1);
    const part = (task.count * Math.max(task.milli, task.memoryMilli, this.#memoryPart(task))) / WHOLE_MILLI;
    if (share !== undefined) addTo(quota, { [DEVICES]: part }, 1);
    if (share?.resource !== undefined) addTo(quota, { [share.resource]: part }, 1);
    this.#quota.set(task, quota);
    return quota;
  }

  /** Memory asked for in MiB as thousandths of the smallest device that would do: which one it will be is not known. */
  #memoryPart({ memoryMiB, eligible }: TaskClass): number {
    if (memoryMiB === 0) return 0;
    const sizes = this.pool.devices.filter((device, index) => eligible[index] === 1 && device.memoryMiB > 0);
    const smallest = sizes.reduce((least, device) => Math.min(least, device.memoryMiB), Number.POSITIVE_INFINITY);
    return Math.min(WHOLE_MILLI, (memoryMiB * WHOLE_MILLI) / smallest);
  }

  #move(holding: Holding, isTaking: boolean): void {
    this.version += 1;
    const { workload, member, placement } = holding;
    if (isTaking) this.pool.take(placement);
    else this.pool.give(placement);
    this.#keep(holding, isTaking);
    const quota = this.quotaOf(placement.task);
    const queue = this.queueOf(workload);
    if (queue === undefined || member.isLeaving === true) return;
    const sign = isTaking ? 1 : -1;
    for (const { name } of lineOf(queue)) {
      addTo(accountOf(this.allocated, name), quota, sign);
      if (!workload.isPreemptible) addTo(accountOf(this.fixed, name), quota, sign);
      if (workload.user !== undefined) addTo(accountOf(this.byUser, userKey(name, workload.user)), quota, sign);
    }
  }

  #keep({ workload, member, placement }: Holding, isTaking: boolean): void {
    const { node } = placement;
    if (member.isLeaving !== true) {
      const own = this.held.get(workload.key) ?? new Map<string, Holding>();
      this.held.set(workload.key, own);
      assert(own.has(member.key) !== isTaking, 'a member has one place');
      if (isTaking) own.set(member.key, { workload, member, placement });
      else own.delete(member.key);
    }
    const there = this.occupants[node];
    const count = (there?.get(workload.key) ?? 0) + (isTaking ? 1 : -1);
    if (count > 0) there?.set(workload.key, count);
    else there?.delete(workload.key);
    if (workload.isExclusive !== true) return;
    if (count > 0) this.exclusive.set(node, workload.key);
    else this.exclusive.delete(node);
  }
}

/** Under which key a user's account of a queue stands. */
export function userKey(queue: string, user: string): string {
  return `${queue} ${user}`;
}

function accountOf(accounts: Map<string, Account>, key: string): Account {
  const account = accounts.get(key) ?? {};
  accounts.set(key, account);
  return account;
}

function addTo(account: Account, amounts: Amounts, sign: 1 | -1): void {
  for (const [resource, amount] of Object.entries(amounts))
    account[resource] = (account[resource] ?? 0) + sign * amount;
}
