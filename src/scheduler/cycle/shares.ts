/** How full each queue is against its fair share, at this point of a plan in the making. */
import type { Amounts } from '../amounts.ts';
import { computeFairShares, type FairShares } from '../queues/fair-share.ts';
import { lineOf, type QueueNode } from '../queues/queue-tree.ts';
import type { Usage } from '../queues/usage.ts';
import { type Account, DEVICES, type Ledger } from './ledger.ts';
import { livingMembers, type Workload } from './workload.ts';

/** Sums of shares are not exact. */
const DUST = 1e-6;

/** What the shares depend on beside the ledger. */
export interface SharesOptions {
  readonly workloads: readonly Workload[];
  readonly usage?: Usage | undefined;
  readonly usageStrength?: number | undefined;
}

/** Fair shares of one cycle: they follow from what is asked for, which a cycle does not change. */
export class Shares {
  readonly fair: FairShares;
  /** All there is to share, by resource. */
  readonly capacity: Amounts;
  readonly #ledger: Ledger;
  /**
   * Resources of which somebody is guaranteed something, or all when nobody is: only these are taken back. Of what
   * nobody is promised, whoever comes first has it.
   */
  readonly #isPromised: (resource: string) => boolean;
  /** By queue, with the version of the ledger: they are asked for a thousand times between two steps. */
  readonly #saturations = new Map<string, { readonly version: number; readonly saturation: number }>();

  constructor(ledger: Ledger, { workloads, usage, usageStrength = 0 }: SharesOptions) {
    this.#ledger = ledger;
    const promised = new Set([...ledger.tree.byName.values()].flatMap(({ guaranteed }) => Object.keys(guaranteed)));
    this.#isPromised = (resource) => promised.size === 0 || promised.has(resource);
    this.capacity = capacityOf(ledger);
    this.fair = computeFairShares({
      tree: ledger.tree,
      capacity: this.capacity,
      requested: sumRequested(ledger, workloads),
      usageStrength,
      ...(usage !== undefined && { usage: usage.byQueue }),
    });
  }

  /** The largest part of its fair share that the queue holds, over all resources; above 1 it borrows. */
  saturationOf({ name }: QueueNode): number {
    const { version } = this.#ledger;
    const known = this.#saturations.get(name);
    if (known?.version === version) return known.saturation;
    const saturation = this.#measure(name);
    this.#saturations.set(name, { version, saturation });
    return saturation;
  }

  #measure(name: string): number {
    const fair = this.fair.get(name) ?? {};
    let most = 0;
    for (const [resource, amount] of Object.entries(this.#ledger.allocated.get(name) ?? {})) {
      if (amount <= DUST || !this.#isPromised(resource)) continue;
      const share = fair[resource] ?? 0;
      most = Math.max(most, share <= DUST ? Number.MAX_VALUE : amount / share);
    }
    return most;
  }

  /** True when the queue would hold no more than its fair share of everything in `more`. */
  allows({ name }: QueueNode, more: Amounts): boolean {
    const held = this.#ledger.allocated.get(name) ?? {};
    const fair = this.fair.get(name) ?? {};
    return Object.entries(more).every(
      ([resource, amount]) =>
        amount <= 0 || !this.#isPromised(resource) || (held[resource] ?? 0) + amount <= (fair[resource] ?? 0) + DUST,
    );
  }

  /** True when the queue holds more than its fair share of something in `wanted`. */
  isOver({ name }: QueueNode, wanted: Amounts): boolean {
    const held = this.#ledger.allocated.get(name) ?? {};
    const fair = this.fair.get(name) ?? {};
    return Object.entries(wanted).some(
      ([resource, amount]) =>
        amount > 0 && this.#isPromised(resource) && (held[resource] ?? 0) > (fair[resource] ?? 0) + DUST,
    );
  }
}

/** All that the nodes have, by resource, as quotas count it. */
export function capacityOf({ pool }: Ledger): Amounts {
  const capacity: Account = {};
  for (const { capacity: amounts, devices } of pool.nodes) {
    for (const [resource, amount] of Object.entries(amounts)) capacity[resource] = (capacity[resource] ?? 0) + amount;
    const healthy = devices.filter(({ isHealthy }) => isHealthy !== false);
    capacity[DEVICES] = (capacity[DEVICES] ?? 0) + healthy.length;
    for (const { resource } of healthy) if (resource !== undefined) capacity[resource] = (capacity[resource] ?? 0) + 1;
  }
  return capacity;
}

/** What the workloads of each queue hold or want, all members counted. */
function sumRequested(ledger: Ledger, workloads: readonly Workload[]): ReadonlyMap<string, Amounts> {
  const sums = new Map<string, Account>();
  for (const workload of workloads) {
    const queue = ledger.queueOf(workload);
    if (queue === undefined || workload.problem !== undefined) continue;
    const sum = sums.get(queue.name) ?? {};
    sums.set(queue.name, sum);
    for (const { demand } of livingMembers(workload))
      for (const [resource, amount] of Object.entries(ledger.quotaOf(ledger.pool.classOf(demand))))
        sum[resource] = (sum[resource] ?? 0) + amount;
  }
  return sums;
}

/** `queue` and those above it that `other` is not below: whose share moves when one gives to the other. */
export function lineBelowCommon(queue: QueueNode, other: QueueNode): readonly QueueNode[] {
  const others = new Set(lineOf(other));
  return lineOf(queue).filter((node) => !others.has(node));
}
