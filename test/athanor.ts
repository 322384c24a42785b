/** A whole Athanor in a home of its own, driven by its command line alone, as people do. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const PROGRAM = join(import.meta.dirname, '..', 'bin', 'athanor');
const READY_MAX_MS = 60_000;
const COMMAND_MAX_MS = 600_000;

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Endpoints {
  readonly kubernetes: string;
  readonly tracking: string;
  readonly gateway: string;
}

/** One home; Athanor may be started, killed and started again in it. */
export class TestAthanor {
  readonly home: string;
  readonly #more: Readonly<Record<string, string>>;
  #child: ChildProcess | undefined;

  /** `more` are further variables of every command. */
  constructor(home = mkdtempSync(join(tmpdir(), 'athanor-test-')), more: Readonly<Record<string, string>> = {}) {
    this.home = home;
    this.#more = more;
  }

  get env(): NodeJS.ProcessEnv {
    const ports = { ATHANOR_KUBERNETES_PORT: '0', ATHANOR_TRACKING_PORT: '0', ATHANOR_GATEWAY_PORT: '0' };
    return { ...process.env, ...ports, ATHANOR_HOME: this.home, NODE_V8_COVERAGE: '', ...this.#more };
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Starts it in the foreground; resolves when it answers. @throws with what it printed when it ends instead. */
  async up(): Promise<void> {
    const child = spawn(PROGRAM, ['up'], { env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    let said = '';
    const ready = new Promise<void>((resolve, reject) => {
      child.stdout.on('data', (text) => {
        said += String(text);
        if (said.includes('Athanor is up')) resolve();
      });
      child.stderr.on('data', (text) => (said += String(text)));
      child.on('exit', (code) => reject(new Error(`athanor up ended with ${code}: ${said}`)));
    });
    await Promise.race([
      ready,
      sleep(READY_MAX_MS, undefined, { ref: false }).then(() =>
        Promise.reject(new Error(`athanor is not up: ${said}`)),
      ),
    ]);
  }

  /** Ends it with a signal and waits for the end. */
  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  /** Runs one command to its end; never throws for its exit code. */
  run(...args: readonly string[]): Promise<Outcome> {
    return this.runWithInput('', ...args);
  }

  /** As `run`, with a text on standard input. */
  runWithInput(input: string, ...args: readonly string[]): Promise<Outcome> {
    return new Promise((resolve) => {
      const options = { env: this.env, timeout: COMMAND_MAX_MS, maxBuffer: 64 * 1024 * 1024 };
      const child = execFile(PROGRAM, [...args], options, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 255, stdout, stderr });
      });
      child.stdin?.end(input);
    });
  }

  /** Runs a command that must succeed, and parses the JSON it prints. */
  async ask<T>(...args: readonly string[]): Promise<T> {
    const { code, stdout, stderr } = await this.run(...args, '-o', 'json');
    if (code !== 0) throw new Error(`athanor ${args.join(' ')} ended with ${code}: ${stderr}`);
    return JSON.parse(stdout) as T;
  }

  async endpoints(): Promise<Endpoints> {
    return (await this.ask<{ endpoints: Endpoints }>('status')).endpoints;
  }

  log(): string {
    return readFileSync(join(this.home, 'logs', 'athanor.log'), 'utf8');
  }

  /** Stops it and removes the home. */
  async close(): Promise<void> {
    await this.end();
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** A folder outside the repository that outlives test runs; what is in it is keyed by version. */
export function testCache(name: string): string {
  const folder = join(process.env['ATHANOR_TEST_CACHE'] ?? join(homedir(), '.cache', 'athanor'), name);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Looks until `find` gives something. @throws after `maxMs`, with what was waited for. */
export async function eventually<T>(
  what: string,
  find: () => Promise<T | undefined> | T | undefined,
  maxMs = 60_000,
): Promise<T> {
  for (const endMs = Date.now() + maxMs; Date.now() < endMs; await sleep(50)) {
    const found = await find();
    if (found !== undefined) return found;
  }
  throw new Error(`waited ${maxMs / 1000} s in vain for ${what}`);
}
