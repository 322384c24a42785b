/** Control groups below the agent's own, where the kernel lets it make them: memory and CPU limits of one container. */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';

/** Folders of the agent's own groups by controller; absent where limits must be watched instead. */
export interface CgroupParents {
  readonly version: 1 | 2;
  readonly memory?: string;
  readonly cpu?: string;
}

export interface Cgroup {
  /** Puts a process, and all it will start, under the limits. */
  join(pid: number): void;
  /** True when the kernel killed for memory here. */
  wasOutOfMemory(): boolean;
  /** Removes the empty group. */
  remove(): void;
}

export interface CgroupLimits {
  readonly memoryBytes?: number | undefined;
  readonly cpuMillis?: number | undefined;
}

const CPU_PERIOD_US = 100_000;

/** Where a process's own groups lie, from the text of /proc/self/cgroup and the mount points of the hierarchies. */
export function parseCgroupParents(cgroupText: string, mountsText: string): CgroupParents {
  const lines = cgroupText.trim().split('\n');
  const mounts = mountsText.split('\n').map((line) => line.split(' '));
  const findMount = (controller: string) =>
    mounts.find(([, , type, options = '']) => type === 'cgroup' && options.split(',').includes(controller))?.[1];
  const findOwn = (controller: string): string | undefined => {
    const path = lines.find((line) => line.split(':')[1]?.split(',').includes(controller))?.split(':')[2];
    const mount = findMount(controller);
    return path === undefined || mount === undefined ? undefined : `${mount}${path === '/' ? '' : path}`;
  };
  const [memory, cpu] = [findOwn('memory'), findOwn('cpu')];
  if (memory !== undefined || cpu !== undefined) return { version: 1, ...(memory && { memory }), ...(cpu && { cpu }) };
  const unified = lines.find((line) => line.startsWith('0::'))?.slice(3);
  const mount = mounts.find(([, , type]) => type === 'cgroup2')?.[1];
  if (unified === undefined || mount === undefined) return { version: 2 };
  const path = `${mount}${unified === '/' ? '' : unified}`;
  return { version: 2, memory: path, cpu: path };
}

/**
 * The group for one container, or undefined where no group can be made (no hierarchy, no right, or version 2 without
 * delegated controllers): then the limits must be watched.
 */
export function createCgroup(parents: CgroupParents, name: string, limits: CgroupLimits): Cgroup | undefined {
  const made: string[] = [];
  try {
    const memory = limits.memoryBytes === undefined ? undefined : makeGroup(parents.memory, name, made);
    const cpu = limits.cpuMillis === undefined ? undefined : makeGroup(parents.cpu, name, made);
    if (memory !== undefined && limits.memoryBytes !== undefined) limitMemory(parents, memory, limits.memoryBytes);
    if (cpu !== undefined && limits.cpuMillis !== undefined) limitCpu(parents, cpu, limits.cpuMillis);
    return { join: (pid) => joinAll(made, pid), wasOutOfMemory: () => hasOom(memory), remove: () => removeAll(made) };
  } catch {
    removeAll(made); // the kernel refuses: the caller watches instead
    return undefined;
  }
}

function makeGroup(parent: string | undefined, name: string, made: string[]): string {
  if (parent === undefined) throw new Error('no hierarchy');
  const path = `${parent}/${name}`;
  if (made.includes(path)) return path;
  mkdirSync(path);
  made.push(path);
  return path;
}

function limitMemory({ version }: CgroupParents, path: string, bytes: number): void {
  writeFileSync(`${path}/${version === 1 ? 'memory.limit_in_bytes' : 'memory.max'}`, String(bytes));
}

function limitCpu({ version }: CgroupParents, path: string, cpuMillis: number): void {
  const quotaUs = Math.max(1000, Math.round((cpuMillis * CPU_PERIOD_US) / 1000));
  if (version === 2) return writeFileSync(`${path}/cpu.max`, `${quotaUs} ${CPU_PERIOD_US}`);
  writeFileSync(`${path}/cpu.cfs_period_us`, String(CPU_PERIOD_US));
  writeFileSync(`${path}/cpu.cfs_quota_us`, String(quotaUs));
}

function joinAll(paths: readonly string[], pid: number): void {
  for (const path of paths) writeFileSync(`${path}/cgroup.procs`, String(pid));
}

function hasOom(path: string | undefined): boolean {
  if (path === undefined) return false;
  return ['memory.oom_control', 'memory.events'].some((file) => /^oom_kill [1-9]/m.test(readOr(`${path}/${file}`)));
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // the file of the other version
  }
}

function removeAll(paths: readonly string[]): void {
  for (const path of paths) {
    try {
      rmdirSync(path);
    } catch {
      // still busy with a dying process: an empty group costs nothing and the next start of its name is another one
    }
  }
}
