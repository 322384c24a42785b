/**
 * Who may hold how much: each queue first gets what it is guaranteed and asks for, then the rest is shared by weight
 * among those that still ask, the higher priority first; the same again below each queue. KAI-Scheduler's rule
 * (docs/fairness), with Kueue's lending limit. Over time: weights shrink with what was used before
 * (docs/time-based-fairshare).
 */
import type { Amounts } from '../amounts.ts';
import type { QueueNode, QueueTree } from './queue-tree.ts';

/** What the shares are made of. */
export interface FairShareInput {
  readonly tree: QueueTree;
  /** What there is to share, by resource. */
  readonly capacity: Amounts;
  /** What the workloads of each queue hold or want, by name of a queue without its children's. */
  readonly requested: ReadonlyMap<string, Amounts>;
  /** What each queue used before against the capacity, 0..1 by resource, decayed by half-life. */
  readonly usage?: ReadonlyMap<string, Amounts>;
  /** How strongly use before counts; 0: not at all. */
  readonly usageStrength?: number;
}

/** Fair share by queue and resource. */
export type FairShares = ReadonlyMap<string, Amounts>;

/** Amounts smaller than this are nothing: sums of shares are not exact. */
const DUST = 1e-9;

/** O(resources x queues x rounds); each round satisfies a queue or ends. */
export function computeFairShares(input: FairShareInput): FairShares {
  const shares = new Map<string, Record<string, number>>();
  const wanted = new Map<string, Amounts>();
  for (const root of input.tree.roots) sumRequests(root, input.requested, wanted);
  const resources = new Set([...wanted.values()].flatMap((amounts) => Object.keys(amounts)));
  for (const name of input.tree.byName.keys()) shares.set(name, {});
  for (const resource of [...resources, ...guaranteedResources(input.tree)])
    shareLevel(input.tree.roots, input.capacity[resource] ?? 0, { input, resource, wanted, shares });
  return shares;
}

function guaranteedResources({ byName }: QueueTree): readonly string[] {
  return [...new Set([...byName.values()].flatMap(({ guaranteed }) => Object.keys(guaranteed)))];
}

/** What the queue and all below it want, by resource, no more than its limit. */
function sumRequests(queue: QueueNode, own: ReadonlyMap<string, Amounts>, into: Map<string, Amounts>): Amounts {
  const sum: Record<string, number> = { ...own.get(queue.name) };
  for (const child of queue.children)
    for (const [resource, amount] of Object.entries(sumRequests(child, own, into)))
      sum[resource] = (sum[resource] ?? 0) + amount;
  for (const [resource, most] of Object.entries(queue.limit))
    if (sum[resource] !== undefined) sum[resource] = Math.min(sum[resource], most);
  into.set(queue.name, sum);
  return sum;
}

interface Level {
  readonly input: FairShareInput;
  readonly resource: string;
  readonly wanted: ReadonlyMap<string, Amounts>;
  readonly shares: Map<string, Record<string, number>>;
}

function shareLevel(queues: readonly QueueNode[], total: number, level: Level): void {
  const { resource, wanted, shares } = level;
  const wants = (queue: QueueNode) => wanted.get(queue.name)?.[resource] ?? 0;
  const given = new Map(queues.map((queue) => [queue, firstShare(queue, resource, wants(queue))]));
  const promised = [...given.values()].reduce((sum, amount) => sum + amount, 0);
  if (promised > total) for (const [queue, amount] of given) given.set(queue, (amount * total) / promised);
  let rest = Math.max(0, total - promised);
  const priorities = [...new Set(queues.map(({ priority }) => priority))].sort((a, b) => b - a);
  for (const priority of priorities) {
    const asking = queues.filter((queue) => queue.priority === priority && wants(queue) > 0);
    rest = shareRest(asking, rest, { given, wants, weigh: (queue) => weightOf(queue, asking, level) });
  }
  for (const queue of queues) {
    const share = given.get(queue) ?? 0;
    const own = shares.get(queue.name);
    if (own !== undefined) own[resource] = share;
    shareLevel(queue.children, share, level);
  }
}

/** What is guaranteed and asked for; what may not be lent is kept even when nobody asks. */
function firstShare({ guaranteed, lendingLimit }: QueueNode, resource: string, wanted: number): number {
  const promised = guaranteed[resource] ?? 0;
  const lendable = lendingLimit[resource] ?? promised;
  return Math.max(Math.min(promised, wanted), promised - lendable);
}

interface Sharing {
  readonly given: Map<QueueNode, number>;
  readonly wants: (queue: QueueNode) => number;
  readonly weigh: (queue: QueueNode) => number;
}

/** Shares by weight until nobody asks or nothing is left; returns what is left. */
function shareRest(queues: readonly QueueNode[], total: number, { given, wants, weigh }: Sharing): number {
  let rest = total;
  let asking = queues.filter((queue) => weigh(queue) > 0);
  while (rest > DUST) {
    asking = asking.filter((queue) => wants(queue) - (given.get(queue) ?? 0) > DUST);
    const weights = asking.reduce((sum, queue) => sum + weigh(queue), 0);
    if (weights <= 0) return rest;
    const round = rest;
    for (const queue of asking) {
      const has = given.get(queue) ?? 0;
      const more = Math.min(wants(queue) - has, (round * weigh(queue)) / weights);
      given.set(queue, has + more);
      rest -= more;
    }
  }
  return rest;
}

/** The declared weight, smaller for who used more than its part before, larger for who used less. */
function weightOf(queue: QueueNode, siblings: readonly QueueNode[], { input, resource }: Level): number {
  const { usage, usageStrength = 0 } = input;
  if (usage === undefined || usageStrength === 0) return queue.overQuotaWeight;
  const total = siblings.reduce((sum, { overQuotaWeight }) => sum + overQuotaWeight, 0);
  if (total === 0) return 0;
  const part = queue.overQuotaWeight / total;
  const used = usage.get(queue.name)?.[resource] ?? 0;
  const all = siblings.reduce((sum, { name }) => sum + (usage.get(name)?.[resource] ?? 0), 0);
  const usedPart = all === 0 ? part : used / all;
  return Math.max(0, part + usageStrength * (part - usedPart));
}
