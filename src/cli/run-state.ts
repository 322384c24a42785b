/**
 * What a running Athanor leaves in its home for other commands: who it is and where it answers. And the lock that lets
 * only one run.
 */
import { readFileSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { StatusError } from '../kube/status-error.ts';
import { pathsOf } from './config.ts';

export interface Endpoints {
  readonly kubernetes: string;
  readonly tracking: string;
  readonly gateway: string;
}

export interface RunState {
  readonly pid: number;
  readonly startedAt: string;
  readonly endpoints: Endpoints;
  readonly kubeconfig: string;
}

/**
 * Held until the process ends, however it ends: the lock is the kernel's. @throws Conflict when another process has
 * it.
 */
export function takeLock(home: string): { release(): void } {
  const database = new DatabaseSync(pathsOf(home).lock);
  try {
    database.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    const state = findRunState(home);
    const who = state === undefined ? 'another Athanor is starting' : `Athanor (process ${state.pid}) is running`;
    throw new StatusError(
      'Conflict',
      `cannot start in ${home}: ${who} there, use it, stop it with 'athanor down', or choose another home with --home`,
      { cause },
    );
  }
  return { release: () => database.close() };
}

/** True while some process holds the lock. */
export function isLocked(home: string): boolean {
  try {
    takeLock(home).release();
    return false;
  } catch {
    return true; // why: takeLock refuses only because of another holder, or because there is no home to hold
  }
}

/** Written whole or not at all. */
export async function writeRunState(home: string, state: RunState): Promise<void> {
  const { run } = pathsOf(home);
  await writeFile(`${run}.new`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  await rename(`${run}.new`, run);
}

/** Says that nothing runs any more. */
export async function removeRunState(home: string): Promise<void> {
  await rm(pathsOf(home).run, { force: true });
}

/** What the last `up` wrote, whether it still runs or not. */
export function findRunState(home: string): RunState | undefined {
  try {
    return JSON.parse(readFileSync(pathsOf(home).run, 'utf8')) as RunState; // why: written by writeRunState
  } catch {
    return undefined; // why: no file means nothing runs; it is never half-written
  }
}
