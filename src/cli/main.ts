/** The command line: names the verbs, their flags and help, and loads what a verb needs only when it is called. */
import { Command } from 'commander';
import { createContext, type GlobalFlags } from './context.ts';
import { explainError } from './exit.ts';
import { addPodVerbs } from './pod-verbs.ts';
import type { RunFlags } from './run.ts';

/** Runs one command; sets the exit code. */
export async function main(args: readonly string[]): Promise<void> {
  try {
    await createProgram().parseAsync(args, { from: 'user' });
  } catch (error) {
    process.exitCode = explainError(error, process.stderr, process.env['ATHANOR_DEBUG'] !== undefined);
  }
}

const collect = (value: string, before: readonly string[]) => [...before, value];
const OUTPUT = ['-o, --output <format>', 'json, yaml, name, or wide'] as const;
const NAMESPACE = ['-n, --namespace <name>', 'namespace', 'default'] as const;

function createProgram(): Command {
  const program = new Command('athanor')
    .description('A cloud-native AI platform on your own machine: data, training, models and serving behind the Kubernetes API.')
    .version('0.1.0').option('--home <folder>', 'everything Athanor keeps (default: $ATHANOR_HOME or ~/.athanor)')
    .enablePositionalOptions().showHelpAfterError('(see athanor --help)');
  addLifeVerbs(program);
  addObjectVerbs(program);
  addWorkVerbs(program);
  addPodVerbs(program);
  return program;
}

function contextOf(command: Command) {
  return createContext(command.optsWithGlobals<GlobalFlags>());
}

function addLifeVerbs(program: Command): void {
  program.command('up').description('start Athanor here; Ctrl-C stops it')
    .option('-d, --detach', 'start it in the background')
    .option('--kubernetes-port <port>', 'port of the Kubernetes API (default 7443; 0: any)')
    .option('--tracking-port <port>', 'port of tracking (default 7500; 0: any)')
    .option('--gateway-port <port>', 'port of the gateway (default 7080; 0: any)')
    .option('--home <folder>', 'everything Athanor keeps')
    .action(async (flags: Record<string, string | boolean | undefined>, command: Command) => {
      const { runUp, runUpDetached } = await import('./up.ts');
      const context = createContext(command.optsWithGlobals());
      const ports = ['kubernetesPort', 'trackingPort', 'gatewayPort'].flatMap((name) =>
        flags[name] === undefined ? [] : [`--${name.replace('Port', '-port')}`, String(flags[name])]);
      if (flags['detach'] === true) await runUpDetached(context, ports);
      else await runUp(context);
    });
  program.command('down').description('stop the Athanor that runs in this home').action(async (_flags: unknown, command: Command) => {
    const { runDown } = await import('./up.ts');
    await runDown(contextOf(command));
  });
  program.command('status').description('what runs, and where').option(...OUTPUT)
    .action(async ({ output }: { output?: string }, command: Command) => {
      const { runStatus } = await import('./up.ts');
      runStatus(contextOf(command), output);
    });
}

function addObjectVerbs(program: Command): void {
  program.command('apply').description('create or change the objects of YAML or JSON files').option(...NAMESPACE).option(...OUTPUT)
    .requiredOption('-f, --filename <path>', 'file, or - for standard input; may be repeated', collect, [])
    .action(async (flags: { filename: string[]; namespace: string; output?: string }, command: Command) => {
      const { applyFiles } = await import('./object-verbs.ts');
      await applyFiles(contextOf(command), flags);
    });
  program.command('get <resource> [names...]').description('print objects: jobs (tj), data sets (ds), services (isvc), pods, ...')
    .option(...NAMESPACE).option('-A, --all-namespaces', 'of every namespace').option('-l, --selector <labels>', 'only those with these labels').option(...OUTPUT)
    .action(async (resource: string, names: string[], flags: { namespace: string }, command: Command) => {
      const { getObjects } = await import('./object-verbs.ts');
      await getObjects(contextOf(command), resource, { ...flags, names });
    });
  program.command('describe <resource> [name]').description('everything about one object, with its events').option(...NAMESPACE)
    .action(async (resource: string, name: string | undefined, flags: { namespace: string }, command: Command) => {
      const { describeObject } = await import('./object-verbs.ts');
      await describeObject(contextOf(command), resource, { ...flags, names: name === undefined ? [] : [name] });
    });
  program.command('delete <resource> [names...]').description('delete objects and all they own').option(...NAMESPACE).option('--no-wait', 'do not wait until they are gone')
    .action(async (resource: string, names: string[], flags: { namespace: string; wait: boolean }, command: Command) => {
      const { deleteObjects } = await import('./object-verbs.ts');
      await deleteObjects(contextOf(command), resource, { ...flags, names });
    });
}

function addWorkVerbs(program: Command): void {
  program.command('logs <target> [name]').description('logs of a pod, or of all pods of a job, data set or service').option(...NAMESPACE)
    .option('-f, --follow', 'until it ends').option('-c, --container <name>', 'container').option('--tail <lines>', 'only the last lines')
    .option('-p, --previous', 'of the container before its last restart')
    .action(async (target: string, name: string | undefined, flags: object, command: Command) => {
      const { printLogs } = await import('./logs.ts');
      await printLogs(contextOf(command), target, { ...flags, names: name === undefined ? [] : [name] });
    });
  program.command('run <script> [args...]').description('run a script, a folder with main.py, or a git+https URL as a training job; exits with its code')
    .passThroughOptions().option(...NAMESPACE).option('--name <name>', 'name of the job').option('-p, --package <requirement>', 'Python package; may be repeated', collect, [])
    .option('--python <version>', 'Python version', '3').option('--replicas <n>', 'pods of the gang', '1').option('--cpu <cores>', 'CPU of each pod')
    .option('--memory <bytes>', 'memory of each pod').option('--gpu <n>', 'GPUs of each pod')
    .option('--dataset <name[:path]>', 'data set, mounted at /data/<name>; may be repeated', collect, []).option('-e, --env <NAME=VALUE>', 'variable; may be repeated', collect, [])
    .option('--outputs <path>', 'keep what rank 0 writes there').option('--restart-limit <n>', 'restarts after a failure', '0').option('--ref <ref>', 'git branch, tag or commit', 'HEAD')
    .option('--detach', 'do not wait').option(...OUTPUT)
    .action(async (script: string, args: string[], flags: RunFlags, command: Command) => {
      const { runScript } = await import('./run.ts');
      process.exitCode = await runScript(contextOf(command), script, { args, flags });
    });
  program.command('predict <service>').description('ask a service; without --input, print what it takes').option(...NAMESPACE).option(...OUTPUT)
    .option('-i, --input <json>', 'JSON text or file: rows, or a whole Open Inference request').option('--gateway <url>', "the gateway's address")
    .action(async (service: string, flags: { namespace: string }, command: Command) => {
      const { predict } = await import('./predict.ts');
      await predict(contextOf(command), service, flags);
    });
}
