/** `athanor queue`: what queues hold and may hold, or the workloads of one in their order. */
import { StatusError } from '../kube/status-error.ts';
import { formatAmounts } from '../scheduler/amounts.ts';
import { sumQuota } from '../scheduler/cycle/gates.ts';
import { type CyclePlan, planCycle } from '../scheduler/cycle/plan-cycle.ts';
import type { Workload } from '../scheduler/cycle/workload.ts';
import { lineOf, type QueueNode } from '../scheduler/queues/queue-tree.ts';
import { listSources, toScene } from './cluster-scene.ts';
import { type CommandContext, withClient } from './context.ts';
import { formatTable, formatValue, parseFormat } from './output.ts';

interface QueueRow {
  readonly name: string;
  readonly parent: string | null;
  readonly depth: number;
  readonly guaranteed: Readonly<Record<string, string>>;
  readonly limit: Readonly<Record<string, string>>;
  readonly fairShare: Readonly<Record<string, string>>;
  readonly allocated: Readonly<Record<string, string>>;
  readonly running: number;
  readonly pending: number;
}

interface WorkloadRow {
  readonly workload: string;
  readonly state: 'Running' | 'Pending';
  readonly priority: number;
  readonly members: number;
  readonly holds: Readonly<Record<string, string>>;
  readonly position: number | null;
  readonly reason: string | null;
  readonly message: string | null;
}

/** All queues, or the workloads of one. @throws NotFound for a queue that is not there. */
export async function showQueues(
  context: CommandContext,
  name: string | undefined,
  flags: { readonly output?: string },
): Promise<void> {
  const format = parseFormat(flags.output);
  const { reading, scene } = await withClient(context, async (client) => toScene(await listSources(client)));
  const plan = planCycle({ ...scene, mayMove: false, mayStop: false });
  const queue = name === undefined ? undefined : scene.tree.byName.get(name);
  if (name !== undefined && queue === undefined) {
    const known = [...scene.tree.byName.keys()].sort().join(', ');
    throw new StatusError('NotFound', `cannot show queue ${name}: there is no such queue; there are ${known}`);
  }
  const { stdout } = context;
  if (queue !== undefined) {
    const rows = listWorkloads(queue, reading.workloads, plan);
    if (format === 'json' || format === 'yaml') stdout.write(formatValue(rows, format));
    else if (format === 'name') stdout.write(rows.map((row) => `${row.workload}\n`).join(''));
    else stdout.write(describeWorkloads(rows));
    return;
  }
  const rows = listQueues(plan, reading.workloads);
  if (format === 'json' || format === 'yaml') stdout.write(formatValue(rows, format));
  else if (format === 'name') stdout.write(rows.map((row) => `queue.athanor.dev/${row.name}\n`).join(''));
  else stdout.write(describeQueues(rows));
}

function listQueues({ ledger, shares, waiting }: CyclePlan, workloads: readonly Workload[]): readonly QueueRow[] {
  const waits = new Set(waiting.map(({ workload }) => workload.key));
  const grow = (queue: QueueNode): readonly QueueRow[] => {
    const own = workloads.filter((one) => one.queue === queue.name);
    const pending = own.filter(({ key }) => waits.has(key)).length;
    const row: QueueRow = {
      name: queue.name,
      parent: queue.parent ?? null,
      depth: lineOf(queue).length - 1,
      guaranteed: formatAmounts(queue.guaranteed),
      limit: formatAmounts(queue.limit),
      fairShare: formatAmounts(shares.fair.get(queue.name) ?? {}),
      allocated: formatAmounts(ledger.allocated.get(queue.name) ?? {}),
      running: own.length - pending,
      pending,
    };
    return [row, ...queue.children.flatMap(grow)];
  };
  return ledger.tree.roots.flatMap(grow);
}

function describeQueues(rows: readonly QueueRow[]): string {
  const brief = (amounts: Readonly<Record<string, string>>) =>
    ['devices', 'cpu']
      .flatMap((resource) => (amounts[resource] === undefined ? [] : [`${amounts[resource]} ${resource}`]))
      .join(', ') || '-';
  const cells = rows.map((row) => [
    `${'  '.repeat(row.depth)}${row.name}`,
    brief(row.guaranteed),
    brief(row.limit),
    brief(row.fairShare),
    brief(row.allocated),
    String(row.running),
    String(row.pending),
  ]);
  return formatTable(['queue', 'guaranteed', 'limit', 'fair share', 'allocated', 'running', 'pending'], cells);
}

function listWorkloads(queue: QueueNode, workloads: readonly Workload[], plan: CyclePlan): readonly WorkloadRow[] {
  const waits = new Map(plan.waiting.map((one) => [one.workload.key, one]));
  const rows = workloads
    .filter((one) => one.queue === queue.name && one.members.length > 0)
    .map((one): WorkloadRow => {
      const waiting = waits.get(one.key);
      const held = one.members.filter(({ on }) => on !== undefined);
      const sum = sumQuota(
        plan.ledger,
        held.map(({ demand }) => plan.ledger.pool.classOf(demand)),
      );
      return {
        workload: one.key,
        state: held.length >= one.minMember ? 'Running' : 'Pending',
        priority: one.priority,
        members: one.members.length,
        holds: formatAmounts(sum),
        position: waiting?.position ?? null,
        reason: waiting?.refusal.reason ?? null,
        message: waiting?.refusal.message ?? null,
      };
    });
  return rows.toSorted((a, b) => (a.position ?? -1) - (b.position ?? -1) || (a.workload < b.workload ? -1 : 1));
}

function describeWorkloads(rows: readonly WorkloadRow[]): string {
  if (rows.length === 0) return 'nothing runs and nothing waits\n';
  const cells = rows.map((row) => [
    row.workload,
    row.state,
    String(row.priority),
    String(row.members),
    row.holds['devices'] ?? '-',
    row.position === null ? '-' : String(row.position + 1),
    row.message ?? '',
  ]);
  return formatTable(['workload', 'state', 'priority', 'pods', 'devices', 'position', 'why it waits'], cells);
}
