/** `athanor up`: starts the platform in this process, or in one that goes on alone; and `down`, which ends it. */
import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { StatusError } from '../kube/status-error.ts';
import { assemble } from './assemble.ts';
import { pathsOf } from './config.ts';
import type { CommandContext } from './context.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { LogFile } from './log-file.ts';
import { ATHANOR_PROGRAM } from './node-options.ts';
import { formatValue } from './output.ts';
import {
  type Endpoints,
  findRunState,
  isLocked,
  type RunState,
  removeRunState,
  takeLock,
  writeRunState,
} from './run-state.ts';

const START_MAX_MS = 60_000;
const STOP_MAX_MS = 60_000;
const POLL_MS = 50;

/** Runs until SIGINT or SIGTERM. @throws Conflict when another runs in this home or a port is taken. */
export async function runUp(context: CommandContext): Promise<void> {
  const { config, env, stdout } = context;
  const paths = pathsOf(config.home);
  const startedMs = performance.now();
  await mkdir(config.home, { recursive: true, mode: 0o700 });
  await mkdir(dirname(paths.log), { recursive: true });
  const lock = takeLock(config.home);
  const logFile = new LogFile(paths.log);
  const log = pino({ base: null, level: env['ATHANOR_LOG_LEVEL'] ?? 'info' }, logFile);
  const stopped = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
  });
  process.on('unhandledRejection', (error) => log.error({ err: error }, 'surprise'));
  process.on('uncaughtException', (error) => log.error({ err: error }, 'surprise'));
  const platform = await assemble({ config, log, env, say: (line) => stdout.write(`${line}\n`) });
  const { endpoints, credentials } = platform;
  try {
    const { caPem, ownerToken: token } = credentials;
    await writeKubeconfig(paths.kubeconfig, { url: endpoints.kubernetes, caPem, token });
    const startedAt = new Date().toISOString();
    await writeRunState(config.home, { pid: process.pid, startedAt, endpoints, kubeconfig: paths.kubeconfig });
  } catch (error) {
    await platform.close(); // why: nobody could find what runs here
    throw error;
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  stdout.write(
    `Athanor is up (${seconds} s).\n${describeEndpoints(endpoints, paths.kubeconfig)}Press Ctrl-C to stop.\n`,
  );
  const signal = await stopped;
  stdout.write(`${signal}: stopping pods and servers\n`);
  await platform.close();
  await removeRunState(config.home);
  lock.release();
  await logFile.close();
}

function describeEndpoints(endpoints: Endpoints, kubeconfig: string): string {
  return [
    `  kubernetes   ${endpoints.kubernetes}   export KUBECONFIG=${kubeconfig}`,
    `  tracking     ${endpoints.tracking}    export MLFLOW_TRACKING_URI=${endpoints.tracking}`,
    `  gateway      ${endpoints.gateway}    ${endpoints.gateway}/<namespace>/<service>/v2/...`,
    '',
  ].join('\n');
}

/** Starts a process of its own and waits until it answers. */
export async function runUpDetached(context: CommandContext, flags: readonly string[]): Promise<RunState> {
  const { config, env, stdout } = context;
  const paths = pathsOf(config.home);
  await mkdir(dirname(paths.log), { recursive: true });
  const output = `${paths.log}.up`;
  const file = openSync(output, 'w', 0o600);
  const child = spawn(ATHANOR_PROGRAM, ['up', '--home', config.home, ...flags], {
    detached: true,
    stdio: ['ignore', file, file],
    env,
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const state = await Promise.race([waitReady(config.home, child.pid ?? 0), ended]);
  if (typeof state !== 'object' || state === null) {
    const said = (await readFile(output, 'utf8')).trim().replace(/^error: /, '');
    throw new StatusError('Conflict', said || `cannot start: the process ended with ${state}, see ${paths.log}`);
  }
  child.unref();
  stdout.write(
    `Athanor is up (process ${state.pid}).\n${describeEndpoints(state.endpoints, paths.kubeconfig)}Stop it with 'athanor down'.\n`,
  );
  return state;
}

async function waitReady(home: string, pid: number): Promise<RunState> {
  for (const endMs = Date.now() + START_MAX_MS; Date.now() < endMs; await sleep(POLL_MS)) {
    const state = findRunState(home);
    if (state?.pid === pid) return state;
  }
  throw new StatusError(
    'Timeout',
    `cannot start: nothing answered within ${START_MAX_MS / 1000} s, see ${pathsOf(home).log}`,
  );
}

/** Asks the running process to stop and waits until it has. */
export async function runDown({ config, stdout }: CommandContext): Promise<void> {
  const state = findRunState(config.home);
  if (state === undefined || !isLocked(config.home)) {
    stdout.write(`nothing runs in ${config.home}\n`);
    return;
  }
  process.kill(state.pid, 'SIGTERM');
  for (const endMs = Date.now() + STOP_MAX_MS; Date.now() < endMs; await sleep(POLL_MS)) {
    if (isLocked(config.home)) continue;
    stdout.write(`Athanor is down; what it keeps is in ${config.home}\n`);
    return;
  }
  throw new StatusError(
    'Timeout',
    `cannot stop process ${state.pid}: it still runs after ${STOP_MAX_MS / 1000} s, see ${pathsOf(config.home).log}`,
  );
}

/** What runs, and where. Exit code 3 when nothing does. */
export function runStatus({ config, stdout }: CommandContext, output: string | undefined): void {
  const state = findRunState(config.home);
  const isRunning = state !== undefined && isLocked(config.home);
  const status = { home: config.home, running: isRunning, ...(isRunning && state) };
  if (output === 'json' || output === 'yaml') stdout.write(formatValue(status, output));
  else if (output !== undefined && output !== 'table' && output !== 'name')
    throw new StatusError('BadRequest', `cannot print as '${output}': want json, yaml or name`);
  else if (output === 'name') stdout.write(isRunning ? `${state.pid}\n` : '');
  else if (isRunning)
    stdout.write(
      `Athanor runs (process ${state.pid}, since ${state.startedAt}).\n${describeEndpoints(state.endpoints, state.kubeconfig)}`,
    );
  else stdout.write(`nothing runs in ${config.home}; start it with 'athanor up'\n`);
  if (!isRunning) process.exitCode = 3;
}
