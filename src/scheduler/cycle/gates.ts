/** What queues allow: their limits, their users' limits, and how much of them may be held for good. */
import { type Amounts, formatAmount } from '../amounts.ts';
import type { TaskClass } from '../pool/pool.ts';
import { lineOf, type QueueNode } from '../queues/queue-tree.ts';
import { type Ledger, userKey } from './ledger.ts';
import type { Workload } from './workload.ts';

/** Why a workload waits: a word for programs, a sentence for people. */
export interface Refusal {
  readonly reason:
    | 'NoRoom'
    | 'QueueLimit'
    | 'UserLimit'
    | 'OverGuaranteed'
    | 'Members'
    | 'Unusable'
    | 'Reserved'
    | 'Topology'
    | 'Nominated';
  readonly message: string;
}

/** Sums of shares are not exact. */
const DUST = 1e-6;

/** Undefined when the queue, all above it and the user's limit allow the tasks on top of what is held. */
export function checkGates(ledger: Ledger, workload: Workload, tasks: readonly TaskClass[]): Refusal | undefined {
  const queue = ledger.queueOf(workload);
  if (queue === undefined) return { reason: 'Unusable', message: describeMissing(workload) };
  const wanted = sumQuota(ledger, tasks);
  for (const level of lineOf(queue)) {
    const refusal = checkLevel(ledger, level, { workload, wanted });
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

/** What the tasks count for quotas, together. */
export function sumQuota(ledger: Ledger, tasks: readonly TaskClass[]): Amounts {
  const sum: Record<string, number> = {};
  for (const task of tasks)
    for (const [resource, amount] of Object.entries(ledger.quotaOf(task)))
      sum[resource] = (sum[resource] ?? 0) + amount;
  return sum;
}

function describeMissing({ queue }: Workload): string {
  return `there is no queue ${queue}, or it is not valid`;
}

function checkLevel(
  ledger: Ledger,
  level: QueueNode,
  { workload, wanted }: { readonly workload: Workload; readonly wanted: Amounts },
): Refusal | undefined {
  const { name, limit, guaranteed, userLimit } = level;
  const over = findOver(ledger.allocated.get(name), wanted, limit);
  if (over !== undefined) return { reason: 'QueueLimit', message: `queue ${name} would hold ${over}` };
  if (workload.user !== undefined) {
    const ofUser = findOver(ledger.byUser.get(userKey(name, workload.user)), wanted, userLimit);
    if (ofUser !== undefined)
      return { reason: 'UserLimit', message: `user ${workload.user} would hold ${ofUser} in queue ${name}` };
  }
  if (workload.isPreemptible) return undefined;
  const fixed = findOver(ledger.fixed.get(name), wanted, guaranteed);
  if (fixed === undefined) return undefined;
  const message = `queue ${name} guarantees less: not preemptible workloads would hold ${fixed}; make it preemptible`;
  return { reason: 'OverGuaranteed', message };
}

/** `12 of 8 devices` for the first resource whose bound would be crossed; what is not named has none. */
function findOver(held: Amounts | undefined, wanted: Amounts, bounds: Amounts): string | undefined {
  for (const [resource, bound] of Object.entries(bounds)) {
    const more = wanted[resource] ?? 0;
    const after = (held?.[resource] ?? 0) + more;
    if (more > 0 && after > bound + DUST)
      return `${formatAmount(resource, after)} of ${formatAmount(resource, bound)} ${resource}`;
  }
  return undefined;
}
