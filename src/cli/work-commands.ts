/** The verbs of the daily work: logs, run, wait, predict, and folders in and out. */
import type { Command } from 'commander';
import type { GlobalFlags } from './context.ts';
import type { RunFlags } from './run.ts';
import { collect, contextOf, NAMESPACE, OUTPUT, verb } from './verb.ts';

/** Adds logs, run, wait and predict. */
export function addWorkVerbs(program: Command): void {
  verb(program, 'logs <target> [name]', 'logs of a pod, or of all pods of a job, data set or service')
    .option(...NAMESPACE)
    .option('-f, --follow', 'until it ends')
    .option('-c, --container <name>', 'container')
    .option('--tail <lines>', 'only the last lines')
    .option('-p, --previous', 'of the container before its last restart')
    .action(async (target: string, name: string | undefined, flags: GlobalFlags) => {
      const { printLogs } = await import('./logs.ts');
      await printLogs(await contextOf(program, flags), target, { ...flags, names: name === undefined ? [] : [name] });
    });
  verb(
    program,
    'run <script> [args...]',
    'run a script, a folder with main.py, or a git+https URL as a training job; exits with its code',
  )
    .passThroughOptions()
    .option(...NAMESPACE)
    .option('--name <name>', 'name of the job')
    .option('-p, --package <requirement>', 'Python package; may be repeated', collect, [])
    .option('--python <version>', 'Python version', '3')
    .option('--replicas <n>', 'pods of the gang', '1')
    .option('--cpu <cores>', 'CPU of each pod')
    .option('--memory <bytes>', 'memory of each pod')
    .option('--gpu <n>', 'GPUs of each pod')
    .option('--dataset <name[:path]>', 'data set, mounted at /data/<name>; may be repeated', collect, [])
    .option('-e, --env <NAME=VALUE>', 'variable; may be repeated', collect, [])
    .option('--outputs <path>', 'keep what rank 0 writes there')
    .option('--restart-limit <n>', 'restarts after a failure', '0')
    .option('--ref <ref>', 'git branch, tag or commit', 'HEAD')
    .option('--detach', 'do not wait')
    .option(...OUTPUT)
    .action(async (script: string, args: string[], flags: GlobalFlags & RunFlags) => {
      const { runScript } = await import('./run.ts');
      process.exitCode = await runScript(await contextOf(program, flags), script, { args, flags });
    });
  verb(program, 'wait <target> [name]', 'wait until a condition of an object is true')
    .option(...NAMESPACE)
    .option('--for <condition>', 'Ready, Complete, ...', 'Ready')
    .option('--timeout <seconds>', 'give up after this long', '600')
    .action(
      async (
        target: string,
        name: string | undefined,
        flags: GlobalFlags & { namespace: string; for: string; timeout: string },
      ) => {
        const { waitFor } = await import('./wait.ts');
        await waitFor(await contextOf(program, flags), target, { ...flags, names: name === undefined ? [] : [name] });
      },
    );
  verb(program, 'predict <service>', 'ask a service; without --input, print what it takes')
    .option(...NAMESPACE)
    .option(...OUTPUT)
    .option('-i, --input <json>', 'JSON text or file: rows, or a whole Open Inference request')
    .option('--gateway <url>', "the gateway's address")
    .action(async (service: string, flags: GlobalFlags & { namespace: string }) => {
      const { predict } = await import('./predict.ts');
      await predict(await contextOf(program, flags), service, flags);
    });
}

/** Adds push and pull. */
export function addFolderVerbs(program: Command): void {
  verb(program, 'push <folder>', 'keep a folder in the blob store and print its digest')
    .option(...OUTPUT)
    .action(async (folder: string, flags: GlobalFlags & { output?: string }) => {
      const { pushFolder } = await import('./folders.ts');
      await pushFolder(await contextOf(program, flags), folder, flags.output);
    });
  verb(program, 'pull <digest> <folder>', 'lay a kept folder out in a new one').action(
    async (digest: string, folder: string, flags: GlobalFlags) => {
      const { pullFolder } = await import('./folders.ts');
      await pullFolder(await contextOf(program, flags), digest, folder);
    },
  );
}
