/**
 * Runs the user's program inside a pod: its environment on PATH, its account's token, a place to report progress, its
 * outputs kept.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import type { BlobStore } from '../blobs/blob-store.ts';
import { importFolder } from './import-dataset.ts';
import { type ProgressServer, startProgressServer } from './progress-server.ts';
import { readdir } from 'node:fs/promises';

export interface LaunchOptions {
  readonly command: readonly string[];
  /** Folder of the virtual environment. */
  readonly environment: string;
  readonly env: NodeJS.ProcessEnv;
  /** Bearer token of the pod's account, when it has one. */
  readonly token: string | undefined;
  /** Folder to keep when the program ends well, and where. */
  readonly outputs?: { readonly path: string; readonly store: BlobStore } | undefined;
  /** Called with each progress report of the program. */
  readonly onProgress: (report: unknown) => Promise<void>;
  readonly say: (line: string) => void;
  /** Receives the result of a program that ended well, for the pod's status. */
  readonly writeResult: (result: unknown) => Promise<void>;
}

/** Resolves to the exit code that the container should have. */
export async function launch(options: LaunchOptions): Promise<number> {
  const progress = await startProgressServer({
    host: options.env['POD_IP'] ?? '127.0.0.1',
    onReport: options.onProgress,
  });
  try {
    const code = await runCommand(options, progress);
    if (code === 0 && options.outputs !== undefined) await keepOutputs(options, options.outputs);
    return code;
  } finally {
    await progress.close();
  }
}

async function runCommand(options: LaunchOptions, progress: ProgressServer): Promise<number> {
  const { command, environment, env, token, say } = options;
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    stdio: 'inherit',
    env: {
      ...env,
      ...progress.env,
      PATH: `${join(environment, 'bin')}${delimiter}${env['PATH'] ?? ''}`,
      VIRTUAL_ENV: environment,
      ...(token !== undefined && { MLFLOW_TRACKING_TOKEN: token }),
    },
  });
  const forward = (signal: NodeJS.Signals) => child.kill(signal);
  process.on('SIGTERM', forward).on('SIGINT', forward);
  return new Promise((resolve) => {
    child.on('error', (error) => {
      say(`cannot start ${program}: ${error.message}`);
      resolve((error as NodeJS.ErrnoException).code === 'ENOENT' ? 127 : 126); // why: spawn errors carry a code
    });
    child.on('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 1 : constants.signals[signal])));
  });
}

async function keepOutputs(
  { say, writeResult }: LaunchOptions,
  { path, store }: NonNullable<LaunchOptions['outputs']>,
): Promise<void> {
  if ((await readdir(path)).length === 0) {
    say(`nothing was written to ${path}: there are no outputs to keep`);
    return;
  }
  const result = await importFolder(store, path);
  say(`kept ${result.files} files of ${path} as ${result.digest}`);
  await writeResult(result);
}
