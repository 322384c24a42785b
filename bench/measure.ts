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
