<<<<<<< HEAD
/** What benches share: percentiles, memory of a process, the machine's facts, and the form of a result. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';

/** One measured thing, ours or a peer's. */
export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** What the issue asks for, in words. */
  readonly target?: string;
}

/** What a bench file exports as `bench`: it measures and gives its figures. */
export type Bench = () => Promise<readonly Figure[]>;

/** The value below which the share `p` (0..1) of the samples lies; nearest rank. */
export function percentile(samples: readonly number[], p: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(p * sorted.length) - 1))] ?? Number.NaN;
}

/** Resident memory of a process in MB (10^6 bytes), from /proc. */
export function residentMb(pid: number): number {
  const kilobytes = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return (Number(kilobytes) * 1024) / 1e6;
}

/** Where the figures were taken. */
export function describeMachine(): Readonly<Record<string, string>> {
  return {
    cpu: `${availableParallelism()} x ${cpus()[0]?.model ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: release(),
    node: process.version,
    load: loadavg()
      .map((load) => load.toFixed(2))
      .join(' '),
    date: new Date().toISOString().slice(0, 10),
  };
}
=======
/** What benches share: percentiles, facts of the machine, a platform of its own to measure. Knows no single bench. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '../src/client/client.ts';
import type { ApiClient } from '../src/client/types.ts';

/** One line of a bench's table. */
export interface Row {
  readonly what: string;
  readonly measured: string;
  /** What we want; empty where nothing is promised. */
  readonly target: string;
  /** The same thing elsewhere, measured in this run or quoted with its source. */
  readonly peer: string;
}

/** What a bench gives: rows for people, samples for machines. */
export interface BenchResult {
  readonly rows: readonly Row[];
  readonly samples: Readonly<Record<string, readonly number[]>>;
}

/** Program of this checkout. */
export const ATHANOR = join(import.meta.dirname, '..', 'bin', 'athanor');
const START_MAX_MS = 60_000;
const POLL_MS = 5;

/** The sample below which `share` of all lie (nearest rank). */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** `median (least to most)` in the unit. */
export function describeSamples(samples: readonly number[], unit: string, digits = 0): string {
  const text = (value: number) => value.toFixed(digits);
  return `${text(percentile(samples, 0.5))} ${unit} (${text(Math.min(...samples))} to ${text(Math.max(...samples))}, n=${samples.length})`;
}

/** Facts without which figures say nothing. */
export function describeMachine(): Readonly<Record<string, string>> {
  const load = loadavg().map((value) => value.toFixed(2)); // of 1, 5 and 15 minutes
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: String(cpus().length),
    memory: `${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
    kernel: release(),
    node: process.version,
    load: load.join(' '),
    date: new Date().toISOString(),
  };
}

/** Resident memory of a process in MB. */
export function residentMb(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return (Number(/^VmRSS:\s+(\d+)/m.exec(text)?.[1]) * 1024) / 1e6;
}

/** A running platform of its own. */
export interface BenchPlatform {
  readonly pid: number;
  readonly home: string;
  readonly client: ApiClient;
  /** From the start of the process to its answer at /readyz. */
  readonly readyMs: number;
  close(): Promise<void>;
}

/** A folder that is gone when the process ends. */
export function temporaryHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'athanor-bench-'));
  process.on('exit', () => rmSync(home, { recursive: true, force: true }));
  return home;
}

/** `athanor up` in the home, on free ports. */
export async function startPlatform(home: string, env: NodeJS.ProcessEnv = {}): Promise<BenchPlatform> {
  rmSync(join(home, 'run.json'), { force: true });
  const startedMs = performance.now();
  const child = spawn(ATHANOR, ['up', '--kubernetes-port', '0', '--tracking-port', '0', '--gateway-port', '0'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ATHANOR_HOME: home, ...env },
  });
  const client = await connect(home, child);
  await client.request('GET', '/version');
  for await (const text of client.stream('/readyz', AbortSignal.timeout(START_MAX_MS))) void text;
  const readyMs = performance.now() - startedMs;
  const close = async () => {
    await client.close();
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  };
  return { pid: child.pid ?? 0, home, client, readyMs, close };
}

async function connect(home: string, child: ChildProcess): Promise<ApiClient> {
  for (const endMs = Date.now() + START_MAX_MS; Date.now() < endMs && child.exitCode === null; await sleep(POLL_MS)) {
    if (existsSync(join(home, 'run.json'))) return readClient(home);
  }
  throw new Error(`the platform in ${home} did not start`);
}

/** A client of the platform that runs in the home. */
export function readClient(home: string): ApiClient {
  const text = readFileSync(join(home, 'kubeconfig'), 'utf8');
  const field = (name: string) => new RegExp(`${name}: "?([^\\s"]+)`).exec(text)?.[1] ?? '';
  return createClient({
    url: field('server'),
    token: field('token'),
    caPem: Buffer.from(field('certificate-authority-data'), 'base64').toString(),
    userAgent: 'bench',
  });
}
>>>>>>> bench
