/**
 * Runs the user's program inside a pod: its environment on PATH, its account's token, a place to report progress, its
 * outputs kept.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import type { BlobStore } from '../blobs/blob-store.ts';
import { hasCode } from '../blobs/file-error.ts';
import { importFolder } from './import-dataset.ts';
import { type ProgressServer, startProgressServer } from './progress-server.ts';

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
  let child: ChildProcess | undefined;
  const forward = (signal: NodeJS.Signals) => child?.kill(signal);
  // why: before the program starts, or a signal in between would end this process and leave the program alone
  process.on('SIGTERM', forward).on('SIGINT', forward);
  try {
    child = start(options, progress);
    const code = await waitForEnd(child, options);
    // why: a signal that comes now finds no program, and must not end the keeping of what it made
    if (code === 0 && options.outputs !== undefined) await keepOutputs(options, options.outputs);
    return code;
  } finally {
    process.off('SIGTERM', forward).off('SIGINT', forward);
    await progress.close();
  }
}

function start({ command, environment, env, token }: LaunchOptions, progress: ProgressServer): ChildProcess {
  const [program = '', ...args] = command;
  return spawn(program, args, {
    stdio: 'inherit',
    env: {
      ...env,
      ...progress.env,
      PATH: `${join(environment, 'bin')}${delimiter}${env['PATH'] ?? ''}`,
      VIRTUAL_ENV: environment,
      ...(token !== undefined && { MLFLOW_TRACKING_TOKEN: token }),
    },
  });
}

/** As a shell tells it: 127 for a program that is not there, 126 for one that cannot be run, 128 and the signal. */
function waitForEnd(child: ChildProcess, { command, say }: LaunchOptions): Promise<number> {
  return new Promise((resolve) => {
    child.on('error', (error) => {
      say(`cannot start ${command[0]}: ${error.message}`);
      resolve((error as NodeJS.ErrnoException).code === 'ENOENT' ? 127 : 126); // why: spawn errors carry a code
    });
    child.on('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 1 : constants.signals[signal])));
  });
}

async function keepOutputs(
  { say, writeResult }: LaunchOptions,
  { path, store }: NonNullable<LaunchOptions['outputs']>,
): Promise<void> {
  if (!(await hasFiles(path))) {
    say(`nothing was written to ${path}: there are no outputs to keep`);
    return;
  }
  const result = await importFolder(store, path);
  say(`kept ${result.files} files of ${path} as ${result.digest}`);
  await writeResult(result);
}

/** A folder that the program removed, or that holds folders only, has none. */
async function hasFiles(path: string): Promise<boolean> {
  try {
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    return entries.some((entry) => !entry.isDirectory());
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}
