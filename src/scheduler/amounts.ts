/** Amounts of resources by name: cpu in thousandths of a core, memory in bytes, everything else in whole units. */
import type { Container, Pod } from '../kube/pod.ts';
import { formatBytes, formatCpuMillis, parseCpuMillis, parseQuantity } from '../kube/quantity.ts';

export type Amounts = Readonly<Record<string, number>>;

export interface Filled {
  readonly capacity: Amounts;
  readonly used: Amounts;
}

/** From Kubernetes' quantities. */
export function toAmounts(quantities: Readonly<Record<string, string | number>>): Amounts {
  const entries = Object.entries(quantities).map(([name, amount]) => {
    return [name, name === 'cpu' ? parseCpuMillis(amount) : parseQuantity(amount)] as const;
  });
  return Object.fromEntries(entries);
}

/** Both amounts together. */
export function addAmounts(a: Amounts, b: Amounts): Amounts {
  const sum: Record<string, number> = { ...a };
  for (const [name, amount] of Object.entries(b)) sum[name] = (sum[name] ?? 0) + amount;
  return sum;
}

/**
 * What the pod needs at any moment: all its containers together, or its greediest init container. And one place among
 * the node's pods.
 */
export function requestsOf({ spec }: Pod): Amounts {
  const together = spec.containers.map(containerRequests).reduce(addAmounts, {});
  const needed: Record<string, number> = { ...together };
  for (const container of spec.initContainers ?? []) {
    for (const [name, amount] of Object.entries(containerRequests(container)))
      needed[name] = Math.max(needed[name] ?? 0, amount);
  }
  return { ...needed, pods: 1 };
}

/** A limit without a request counts as a request, as Kubernetes has it. */
function containerRequests({ resources = {} }: Container): Amounts {
  return toAmounts({ ...resources.limits, ...resources.requests });
}

/** True when the amounts fit into what is left. A resource the node does not name has none left, except for pods. */
export function fits(requests: Amounts, room: Filled): boolean {
  return missingOf(requests, room).length === 0;
}

/** `Insufficient cpu` for each resource that does not fit. */
export function missingOf(requests: Amounts, { capacity, used }: Filled): readonly string[] {
  return Object.entries(requests)
    .filter(
      ([name, amount]) => amount > 0 && amount > (capacity[name] ?? (name === 'pods' ? 110 : 0)) - (used[name] ?? 0),
    )
    .map(([name]) => (name === 'pods' ? 'Too many pods' : `Insufficient ${name}`));
}

/** Amounts as Kubernetes writes them: cores, bytes with their suffix, and numbers. Nothing for none. */
export function formatAmounts(amounts: Amounts): Readonly<Record<string, string>> {
  const entries = Object.entries(amounts)
    .filter(([resource, amount]) => Math.abs(amount) > 1e-6 && resource !== 'pods')
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([resource, amount]) => [resource, formatAmount(resource, amount)] as const);
  return Object.fromEntries(entries);
}

/** One amount. */
export function formatAmount(resource: string, amount: number): string {
  if (resource === 'cpu') return formatCpuMillis(Math.round(amount));
  if (resource === 'memory' || resource === 'ephemeral-storage') return formatBytes(Math.round(amount));
  return String(Math.round(amount * 1000) / 1000);
}
