/** What is known of one container, kept on disk so that a crash of the agent loses no end. Decides nothing. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

export interface ContainerEnd {
  readonly id: string;
  readonly exitCode: number;
  readonly reason: string;
  readonly message?: string;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
}

export interface ContainerRun {
  readonly id: string;
  /** The process to kill: process 1 of its namespace, or the leader of its group. */
  readonly pid: number;
  /** Identity of that process beside its pid; 0 where the system does not tell. */
  readonly startTicks: number;
  readonly startedAtMs: number;
}

export interface ContainerRecord {
  /** Instances started so far, less one; 0 before the first. */
  readonly restartCount: number;
  /** Ends in a row without a long run between; decides the backoff. */
  readonly failures: number;
  readonly run?: ContainerRun;
  /** How the latest instance ended; absent while one runs. */
  readonly end?: ContainerEnd;
  /** How the instance before that ended. */
  readonly previousEnd?: ContainerEnd;
}

/** A container that has never run. */
export const NEW_RECORD: ContainerRecord = { restartCount: 0, failures: 0 };

/** The record after an instance has started. */
export function recordRun(record: ContainerRecord, run: ContainerRun): ContainerRecord {
  const { restartCount, failures, end } = record;
  if (end === undefined) return { restartCount, failures, run };
  return { restartCount: restartCount + 1, failures, run, previousEnd: end };
}

/** The record after the instance has ended; a run longer than `resetMs` forgets earlier failures. */
export function recordEnd(record: ContainerRecord, end: ContainerEnd, resetMs: number): ContainerRecord {
  const { restartCount, previousEnd } = record;
  const isLong = end.finishedAtMs - end.startedAtMs >= resetMs;
  const failures = isLong ? 0 : record.failures + 1;
  return { restartCount, failures, end, ...(previousEnd && { previousEnd }) };
}

/** The record of a start that failed before there was a process: it counts as an instance. */
export function recordFailedStart(record: ContainerRecord, end: ContainerEnd): ContainerRecord {
  const started =
    record.end === undefined ? record : { ...record, restartCount: record.restartCount + 1, previousEnd: record.end };
  return { ...started, failures: record.failures + 1, end };
}

/** Reads a JSON file that the agent wrote; undefined when it does not exist. */
export function readJsonFile<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T; // why: only `writeJsonFile` writes there
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Replaces the file as a whole: a reader, or the next start, sees the old one or the new one. */
export function writeJsonFile(path: string, value: unknown): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.new`;
  writeFileSync(draft, JSON.stringify(value), { mode: 0o600, flush: true });
  renameSync(draft, path);
}
