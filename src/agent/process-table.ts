/**
 * What Linux tells of processes in /proc: identity, parents, memory and CPU. Elsewhere it knows nothing and says
 * so.
 */
import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessRow {
  readonly pid: number;
  readonly parentPid: number;
  readonly groupId: number;
  /** Clock ticks since boot; with the pid, the process's identity. */
  readonly startTicks: number;
  readonly cpuTicks: number;
  readonly residentBytes: number;
}

const PAGE_BYTES = 4096;
/** USER_HZ is 100 on every Linux that Node runs on. */
export const TICKS_PER_SECOND = 100;

/** The process, or undefined when it is gone (or is a zombie, or this is not Linux). */
export function findProcess(pid: number): ProcessRow | undefined {
  const text = readStat(pid);
  if (text === undefined) return undefined;
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const at = (index: number) => Number(fields[index] ?? 0);
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
  const residentBytes = at(21) * PAGE_BYTES;
  return { pid, parentPid: at(1), groupId: at(2), startTicks: at(19), cpuTicks: at(11) + at(12), residentBytes };
}

function readStat(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined; // gone between listing and reading, or no /proc: both mean "not there"
  }
}

/** Every process that can be seen. */
export function listProcesses(): ProcessRow[] {
  try {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return pids.map((pid) => findProcess(Number(pid))).filter((row) => row !== undefined);
  } catch {
    return []; // no /proc on this system
  }
}

/** The process and all its descendants among `rows`. */
export function findTree(pid: number, rows: readonly ProcessRow[]): ProcessRow[] {
  const children = Map.groupBy(rows, ({ parentPid }) => parentPid);
  const tree = rows.filter((row) => row.pid === pid);
  for (let index = 0; index < tree.length; index++) tree.push(...(children.get(tree[index]?.pid ?? -1) ?? []));
  return tree;
}
