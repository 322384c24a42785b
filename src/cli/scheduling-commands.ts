/** The verbs on scheduling: simulate. */
import type { Command } from 'commander';
import type { GlobalFlags } from './context.ts';
import type { SimulateFlags } from './simulate.ts';
import { contextOf, OUTPUT, verb } from './verb.ts';

/** Adds them. */
export function addSchedulingVerbs(program: Command): void {
  verb(program, 'simulate', "place a trace's pods on a list of nodes, by the scheduler's own engine")
    .requiredOption('--nodes <file>', "nodes, as CSV in openb's columns: sn, cpu_milli, memory_mib, gpu, model")
    .requiredOption('--pods <file>', 'pods, as CSV: name, cpu_milli, memory_mib, num_gpu, gpu_milli, gpu_spec')
    .option('--policy <name>', 'athanor, fgd, best-fit, dot-product, random, pack or spread', 'athanor')
    .option('--seed <n>', 'of the order in which pods come', '42')
    .option('--inflate <factor>', 'draw more pods until they ask for this many times the devices, such as 1.3')
    .option(...OUTPUT)
    .action(async (flags: GlobalFlags & SimulateFlags) => {
      const { simulateTrace } = await import('./simulate.ts');
      await simulateTrace(await contextOf(program, flags), flags);
    });
}
