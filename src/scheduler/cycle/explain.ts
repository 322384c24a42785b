/** Says in kube-scheduler's words what is missing where. */
import { at, type Pool, type TaskClass } from '../pool/pool.ts';

/** `0/3 nodes are available: 2 Insufficient cpu, 1 node(s) were not ready.` O(nodes). */
export function explainRoom(pool: Pool, task: TaskClass, mask?: Uint8Array): string {
  const counts = new Map<string, number>();
  for (const [node] of pool.nodes.entries())
    for (const reason of reasonsOf(pool, task, { node, mask })) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  if (pool.nodes.length === 0) return 'no nodes available to schedule pods';
  const parts = [...counts].map(([reason, count]) => `${count} ${reason}`);
  return `0/${pool.nodes.length} nodes are available: ${parts.join(', ')}.`;
}

function reasonsOf(
  pool: Pool,
  task: TaskClass,
  { node, mask }: { readonly node: number; readonly mask: Uint8Array | undefined },
): readonly string[] {
  const description = pool.nodes[node];
  const refusal = description === undefined ? undefined : task.demand.refuses?.(description);
  if (refusal !== undefined) return [refusal];
  if (mask !== undefined && mask[node] !== 1) return ['node(s) are kept for others or outside the topology'];
  const amounts = Object.entries(task.demand.amounts)
    .filter(([resource, amount]) => amount > leftOf(pool, node, resource) && amount > 0)
    .map(([resource]) => (resource === 'pods' ? 'Too many pods' : `Insufficient ${resource}`));
  const devices = explainDevices(pool, task, node);
  return [...amounts, ...(devices === undefined ? [] : [devices])];
}

function leftOf(pool: Pool, node: number, resource: string): number {
  const column = pool.resources.indexOf(resource);
  return column < 0 ? 0 : at(pool.free, node * pool.resources.length + column);
}

function explainDevices(pool: Pool, task: TaskClass, node: number): string | undefined {
  if (task.count === 0 || pool.countFitting(task, node) >= task.count) return undefined;
  const name = task.demand.share?.resource ?? 'devices';
  let eligible = 0;
  for (let device = at(pool.firstDevice, node); device < at(pool.firstDevice, node + 1); device += 1)
    eligible += at(task.eligible, device);
  if (eligible === 0 && pool.nodes[node]?.devices.length !== 0) return `node(s) have no ${name} that will do`;
  return eligible > 0 && eligible < task.count
    ? `node(s) have fewer than ${task.count} ${name}`
    : `Insufficient ${name}`;
}
