/** The verbs of Athanor's own life: up, down, status. */
import type { Command } from 'commander';
import type { GlobalFlags } from './context.ts';
import { contextOf, OUTPUT, verb } from './verb.ts';

/** Adds them. */
export function addLifeVerbs(program: Command): void {
  verb(program, 'up', 'start Athanor here; Ctrl-C stops it')
    .option('-d, --detach', 'start it in the background')
    .option('--kubernetes-port <port>', 'port of the Kubernetes API (default 7443; 0: any)')
    .option('--tracking-port <port>', 'port of tracking (default 7500; 0: any)')
    .option('--gateway-port <port>', 'port of the gateway (default 7080; 0: any)')
    .action(async (flags: Record<string, string | boolean | undefined>) => {
      const { runUp, runUpDetached } = await import('./up.ts');
      const context = await contextOf(program, flags);
      const ports = ['kubernetesPort', 'trackingPort', 'gatewayPort'].flatMap((name) =>
        flags[name] === undefined ? [] : [`--${name.replace('Port', '-port')}`, String(flags[name])],
      );
      if (flags['detach'] === true) await runUpDetached(context, ports);
      else await runUp(context);
    });
  verb(program, 'down', 'stop the Athanor that runs in this home').action(async (flags: GlobalFlags) => {
    const { runDown } = await import('./up.ts');
    await runDown(await contextOf(program, flags));
  });
  verb(program, 'status', 'what runs, and where')
    .option(...OUTPUT)
    .action(async (flags: GlobalFlags & { output?: string }) => {
      const { runStatus } = await import('./up.ts');
      runStatus(await contextOf(program, flags), flags.output);
    });
}
