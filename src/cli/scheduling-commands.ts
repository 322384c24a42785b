/** The verbs on scheduling: queue, devices, why, simulate. */
import type { Command } from 'commander';
import type { GlobalFlags } from './context.ts';
import type { SimulateFlags } from './simulate.ts';
import { collect, contextOf, NAMESPACE, OUTPUT, verb } from './verb.ts';
import type { WhatIfFlags } from './what-if.ts';

/** Adds them. */
export function addSchedulingVerbs(program: Command): void {
  verb(program, 'queue [name]', 'queues with what they hold and may hold, or the workloads of one in their order')
    .option(...OUTPUT)
    .action(async (name: string | undefined, flags: GlobalFlags & { readonly output?: string }) => {
      const { showQueues } = await import('./queues.ts');
      await showQueues(await contextOf(program, flags), name, flags);
    });
  verb(program, 'devices', 'accelerators of all nodes, what is free of them, and who holds them')
    .option(...OUTPUT)
    .action(async (flags: GlobalFlags & { readonly output?: string }) => {
      const { showDevices } = await import('./devices.ts');
      await showDevices(await contextOf(program, flags), flags);
    });
  verb(program, 'why <job>', 'why a job or pod waits, who is before it, and when it will likely run')
    .option(...NAMESPACE)
    .option(...OUTPUT)
    .action(async (name: string, flags: GlobalFlags & { readonly namespace: string; readonly output?: string }) => {
      const { explainWaiting } = await import('./why.ts');
      await explainWaiting(await contextOf(program, flags), name, flags);
    });
  verb(program, 'simulate', "what the scheduler's own engine would do: with a trace, or with this cluster changed")
    .option('--nodes <file>', "a trace's nodes, as CSV in openb's columns: sn, cpu_milli, memory_mib, gpu, model")
    .option('--pods <file>', "a trace's pods: name, cpu_milli, memory_mib, num_gpu, gpu_milli, gpu_spec")
    .option('--policy <name>', 'athanor, fgd, best-fit, dot-product, random, pack or spread', 'athanor')
    .option('--seed <n>', 'of the order in which pods of a trace come', '42')
    .option('--inflate <factor>', 'draw more pods of a trace until they ask for this many times the devices')
    .option('--queues <file>', 'Queue objects in YAML, instead of those of this name in the cluster')
    .option('--add-node <name[=n]>', 'n more nodes like this one; may be repeated', collect, [])
    .option('--remove-node <name>', 'without this node; may be repeated', collect, [])
    .option(...OUTPUT)
    .action(async (flags: GlobalFlags & Partial<SimulateFlags> & WhatIfFlags) => {
      const context = await contextOf(program, flags);
      const { nodes, pods } = flags;
      if (nodes === undefined && pods === undefined) {
        const { simulateChange } = await import('./what-if.ts');
        await simulateChange(context, flags);
        return;
      }
      const { simulateTrace } = await import('./simulate.ts');
      await simulateTrace(context, { seed: '42', ...flags, nodes: nodes ?? '', pods: pods ?? '' });
    });
}
