/** `athanor devices`: the accelerators of all nodes, what is free of them, and who holds them. */
import { planCycle } from '../scheduler/cycle/plan-cycle.ts';
import type { Workload } from '../scheduler/cycle/workload.ts';
import { listSources, toScene } from './cluster-scene.ts';
import { type CommandContext, withClient } from './context.ts';
import { formatTable, formatValue, parseFormat } from './output.ts';

/** Every accelerator with its class, what is free of it, and who holds a share. */
export async function showDevices(context: CommandContext, flags: { readonly output?: string }): Promise<void> {
  const format = parseFormat(flags.output);
  const { scene } = await withClient(context, async (client) => toScene(await listSources(client)));
  const plan = planCycle({ ...scene, workloads: scene.workloads.filter(isSeated), mayMove: false, mayStop: false });
  const { pool, held } = plan.ledger;
  const holders = new Map<number, string[]>();
  for (const own of held.values())
    for (const { workload, placement } of own.values())
      for (const device of placement.devices) holders.set(device, [...(holders.get(device) ?? []), workload.key]);
  const rows = pool.nodes.flatMap((node, index) =>
    node.devices.map((device, place) => {
      const at = (pool.firstDevice[index] ?? 0) + place;
      return {
        node: node.name,
        id: device.id,
        class: device.deviceClass,
        model: device.model,
        memoryMiB: device.memoryMiB,
        isHealthy: device.isHealthy !== false,
        free: (pool.idleCores[at] ?? 0) / 1000,
        freeMemoryMiB: pool.idleMiB[at] ?? 0,
        heldBy: holders.get(at) ?? [],
      };
    }),
  );
  if (format === 'json' || format === 'yaml') context.stdout.write(formatValue(rows, format));
  else if (rows.length === 0) context.stdout.write('no node has an accelerator\n');
  else {
    const cells = rows.map((row) => [
      row.node,
      row.id,
      row.class,
      row.model || '-',
      row.isHealthy ? 'yes' : 'no',
      `${Math.round(row.free * 100)} %`,
      row.memoryMiB === 0 ? '-' : `${row.freeMemoryMiB} of ${row.memoryMiB} MiB`,
      row.heldBy.join(', ') || '-',
    ]);
    const headings = ['node', 'device', 'class', 'model', 'healthy', 'free', 'free memory', 'held by'];
    context.stdout.write(formatTable(headings, cells));
  }
}

function isSeated({ members }: Workload): boolean {
  return members.some(({ on }) => on !== undefined);
}
