/** Starts one container as processes and follows it to its end. Knows no pods, no restarts and no API. */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { isAbsolute, resolve as resolvePath } from 'node:path';
import type { Readable } from 'node:stream';
import { StatusError } from '../kube/status-error.ts';
import type { Cgroup, CgroupLimits, CgroupParents } from './cgroup.ts';
import { createCgroup } from './cgroup.ts';
import { entererWords, type Isolation, launcherWords, TOOLS_PATH } from './isolation.ts';
import { SETUP_TEXT_MAX_BYTES } from './limits.ts';
import { listFolder } from './list-folder.ts';
import type { LogWriter } from './log-writer.ts';
import type { MemoryWatch } from './memory-watch.ts';
import { type Mount, planMounts } from './plan-mounts.ts';
import { findProcess } from './process-table.ts';
import { rewritePaths } from './rewrite-paths.ts';
import { formatRunScript } from './run-script.ts';

/** What every container of the agent shares. */
export interface Launcher {
  readonly isolation: Isolation;
  readonly cgroups: CgroupParents;
  readonly memoryWatch: MemoryWatch;
  readonly hidden: readonly string[];
}

export interface RunRequest {
  /** The container's own folder on the host. */
  readonly folder: string;
  /** Unique on the machine; names the control group. */
  readonly id: string;
  readonly mounts: readonly Mount[];
  readonly hostName: string;
  readonly workingDir: string;
  readonly env: ReadonlyMap<string, string>;
  readonly command: readonly string[];
  readonly limits: CgroupLimits;
  readonly log: LogWriter;
}

export interface ContainerExit {
  /** 128 + n for signal n. */
  readonly exitCode: number;
  readonly isOutOfMemory: boolean;
}

/** A command line that runs inside the container. */
export interface InsideCommand {
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

export interface RunningContainer {
  readonly pid: number;
  readonly startTicks: number;
  /** Resolves when no process is left and all output is in the log. */
  readonly exited: Promise<ContainerExit>;
  /** Sends SIGTERM to the command. */
  terminate(): void;
  /** Kills every process of the container. */
  kill(): void;
  /** How to run another command beside the container's own. */
  inside(command: readonly string[]): InsideCommand;
}

/** Starts the container. @throws Invalid when its command cannot be started: a start error, not a crash. */
export async function runContainer(launcher: Launcher, request: RunRequest): Promise<RunningContainer> {
  mkdirSync(request.folder, { recursive: true, mode: 0o700 });
  const cgroup = createCgroup(launcher.cgroups, `athanor-${request.id}`, request.limits);
  try {
    return launcher.isolation.type === 'namespaces'
      ? await runInNamespaces(launcher, request, cgroup)
      : await runInGroup(launcher, request, cgroup);
  } catch (error) {
    cgroup?.remove();
    throw error;
  }
}

async function runInNamespaces(launcher: Launcher, request: RunRequest, cgroup?: Cgroup): Promise<RunningContainer> {
  const { folder, mounts, env, workingDir } = request;
  const { isolation, hidden } = launcher;
  const rootPath = `${folder}/root`;
  mkdirSync(rootPath, { recursive: true });
  const mountLines = planMounts({ mounts, hidden, list: listFolder });
  const scriptPath = `${folder}/run.sh`;
  writeFileSync(scriptPath, formatRunScript({ ...request, rootPath, mountLines }), { mode: 0o600 });
  const [tool = '', ...words] = launcherWords(isolation);
  const child = spawn(tool, [...words, scriptPath], {
    cwd: '/',
    env: { PATH: TOOLS_PATH },
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  });
  const closed = followLog(child, request.log);
  const pid = await awaitStarted(child, cgroup).catch(async (error: unknown) => {
    child.kill('SIGKILL');
    await closed;
    throw error;
  });
  rmSync(scriptPath, { force: true });
  return follow({ launcher, request, cgroup, child, closed, pid }, (command) => {
    const variables = [...env].map(([name, value]) => `${name}=${value}`);
    const enter = ['/bin/sh', '-c', 'cd -- "$1" && shift && exec "$@"', 'sh', workingDir];
    const words = [...entererWords(isolation, pid), '/usr/bin/env', '-i', ...variables, ...enter, ...command];
    return { words, env: { PATH: TOOLS_PATH }, cwd: '/' };
  });
}

async function runInGroup(launcher: Launcher, request: RunRequest, cgroup?: Cgroup): Promise<RunningContainer> {
  const rewrite = (text: string) => rewritePaths(text, request.mounts);
  const env = Object.fromEntries([...request.env].map(([name, value]) => [name, rewrite(value)]));
  const cwd = rewrite(request.workingDir);
  const [name = '', ...args] = request.command.map(rewrite);
  const words = [...launcherWords(launcher.isolation), findExecutable(name, env.PATH ?? '', cwd), ...args];
  const child = spawn(words[0] ?? '', words.slice(1), { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = followLog(child, request.log);
  const { pid } = child;
  if (pid === undefined) {
    const error = await new Promise<Error>((resolve) => child.once('error', resolve));
    throw new StatusError('Invalid', `cannot start '${name}': ${error.message}`, { cause: error });
  }
  cgroup?.join(pid);
  return follow({ launcher, request, cgroup, child, closed, pid }, (command) => ({
    words: command.map(rewrite),
    env,
    cwd,
  }));
}

interface Following {
  readonly launcher: Launcher;
  readonly request: RunRequest;
  readonly cgroup: Cgroup | undefined;
  readonly child: ChildProcess;
  readonly closed: Promise<number>;
  readonly pid: number;
}

function follow(following: Following, inside: RunningContainer['inside']): RunningContainer {
  const { launcher, request, cgroup, child, closed, pid } = following;
  const target = launcher.isolation.type === 'groups' ? -pid : pid;
  let isKilled = false;
  let isOverLimit = false;
  const kill = () => {
    isKilled ||= child.exitCode === null && child.signalCode === null;
    sendSignal(target, 'SIGKILL');
  };
  const limitBytes = cgroup === undefined ? request.limits.memoryBytes : undefined;
  const onExceeded = () => {
    isOverLimit = true;
    kill();
  };
  const stopWatch = limitBytes && launcher.memoryWatch.watch({ pid, limitBytes, onExceeded });
  // What the command has left behind in its group dies with it; a namespace does so by itself.
  if (launcher.isolation.type === 'groups') child.once('exit', kill);
  const exited = closed.then((code) => {
    if (stopWatch) stopWatch();
    const exitCode = isKilled ? 137 : code; // unshare does not tell the signal of its child
    const isOutOfMemory = isOverLimit || (exitCode !== 0 && (cgroup?.wasOutOfMemory() ?? false));
    cgroup?.remove();
    return { exitCode, isOutOfMemory };
  });
  const startTicks = findProcess(pid)?.startTicks ?? 0;
  return { pid, startTicks, exited, terminate: () => sendSignal(pid, 'SIGTERM'), kill, inside };
}

/** Signals a process, or a group by its negative number; one that is gone already is no trouble. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && (error.code === 'ESRCH' || error.code === 'EPERM'))) throw error;
  }
}

/** Leads the output into the log; resolves with the exit code once the process is gone and its pipes are closed. */
async function followLog(child: ChildProcess, log: LogWriter): Promise<number> {
  const exit = new Promise<number>((resolve) => {
    child.once('error', () => resolve(127));
    child.once('exit', (code, signal) => resolve(code ?? 128 + (osConstants.signals[signal ?? 'SIGKILL'] ?? 9)));
  });
  const pipes = [
    child.stdout && log.consume(child.stdout, 'stdout'),
    child.stderr && log.consume(child.stderr, 'stderr'),
  ];
  await Promise.all(pipes);
  const exitCode = await exit;
  await log.close();
  return exitCode;
}

/** Speaks the run script's protocol; resolves with the pid of the container's process 1. */
function awaitStarted(child: ChildProcess, cgroup: Cgroup | undefined): Promise<number> {
  const control = child.stdio[3] as Readable; // why: spawned with a pipe as descriptor 3
  const stdin = child.stdin;
  let text = '';
  let pid = 0;
  return new Promise((resolve, reject) => {
    const fail = (cause?: unknown) => {
      const said = text.replace(/^pid \d+\n/, '').replace(/^error /m, '');
      reject(new StatusError('Invalid', said.trim() || 'the container ended before its command began', { cause }));
    };
    stdin?.on('error', () => undefined); // the script is gone: `close` tells why
    child.once('error', fail);
    control.once('close', () => fail());
    control.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(-SETUP_TEXT_MAX_BYTES);
      const told = pid === 0 ? /^pid (\d+)\n/.exec(text)?.[1] : undefined;
      if (told !== undefined) {
        pid = Number(told);
        cgroup?.join(pid);
        stdin?.end('go\n');
      }
      if (/^started\n/m.test(text)) resolve(pid);
    });
  });
}

/** The file that a name of the command line means. @throws Invalid when there is none that can be executed. */
export function findExecutable(name: string, searchPath: string, cwd: string): string {
  const candidates = name.includes('/')
    ? [isAbsolute(name) ? name : resolvePath(cwd, name)]
    : searchPath.split(':').map((folder) => `${folder}/${name}`);
  const found = candidates.find((path) => isExecutable(path));
  if (found !== undefined) return found;
  throw new StatusError('Invalid', `exec: "${name}": executable file not found in $PATH`);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false; // not there, or not ours to run
  }
}
