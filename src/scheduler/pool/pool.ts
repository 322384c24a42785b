/**
 * Machines and their devices as columns of numbers: what is free, and who fits where. The one picture of room that
 * every planner and simulator works on. Knows no Kubernetes object, no queue and no preference among nodes.
 */
import { assert } from '../../base/assert.ts';
import type { Amounts } from '../amounts.ts';

/** One accelerator that can be shared. */
export interface PoolDevice {
  /** Its name within the node: an index or a UUID. */
  readonly id: string;
  /** Name of its DeviceClass, such as `nvidia`. */
  readonly deviceClass: string;
  /** Product name as its node says it, such as `A100-SXM4-80GB`. */
  readonly model: string;
  /** 0 when nobody said. */
  readonly memoryMiB: number;
  /** Resource under which quotas count it beside `devices`, such as `nvidia.com/gpu`. */
  readonly resource?: string;
  /** False: nobody new gets it. */
  readonly isHealthy?: boolean;
}

/** A machine. */
export interface PoolNode {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Allocatable amounts by resource, without the devices. */
  readonly capacity: Amounts;
  readonly devices: readonly PoolDevice[];
}

/** A share of each of `count` devices: the internal record under every vendor's way to ask for one. */
export interface DeviceShare {
  /** Devices, 1 or more, all of one node. */
  readonly count: number;
  /** Share of each one's cores in thousandths, 1..1000; 0 when only memory is held. */
  readonly milli: number;
  /** Memory held on each; 0 when nothing was said. */
  readonly memoryMiB: number;
  /** Memory held on each as thousandths of what the device has; 0 when nothing was said. */
  readonly memoryMilli?: number;
  /** Resource under which quotas count it beside `devices`, such as `nvidia.com/gpu`. */
  readonly resource?: string;
  /** Whether a device may serve at all. */
  readonly admits: (device: PoolDevice) => boolean;
}

/** What one pod needs. */
export interface Demand {
  /** Demands with equal keys are equal in everything below: the pool keeps what it learns about them under it. */
  readonly key: string;
  readonly amounts: Amounts;
  /** What quotas count beside the amounts and the share. */
  readonly extraQuota?: Amounts;
  readonly share?: DeviceShare;
  /** Why the node would not take the pod whatever room it has, or undefined. */
  readonly refuses?: (node: PoolNode) => string | undefined;
}

/** A demand as the pool has learned it. */
export interface TaskClass {
  readonly demand: Demand;
  /** Its place among the classes of the pool, from 0. */
  readonly index: number;
  readonly columns: readonly number[];
  readonly amounts: readonly number[];
  /** A resource that no node has. */
  readonly unknownResource: string | undefined;
  /** Per node: 1 when the node would take it, given room. */
  readonly admitted: Uint8Array;
  /** Per device: 1 when it may serve. */
  readonly eligible: Uint8Array;
  /** Thousandths of cores per device. */
  readonly milli: number;
  readonly count: number;
  readonly memoryMilli: number;
  readonly memoryMiB: number;
}

/** Where a task is: a node and, when it holds a share, the devices by their index in the pool. */
export interface Placement {
  readonly task: TaskClass;
  readonly node: number;
  readonly devices: readonly number[];
}

/** A whole device in thousandths. */
export const WHOLE_MILLI = 1000;
/** The largest node of the published measurements: what fullness is measured by. */
const FULL_NODE = { devices: 8, cpuMillis: 128_000 } as const;

/** Nodes are kept in order of name, so that equal snapshots make equal plans. */
export class Pool {
  readonly nodes: readonly PoolNode[];
  /** Names of the columns of `free`. */
  readonly resources: readonly string[];
  /** What is left, [nodes, resources]; negative where more is taken than there is. */
  readonly free: Float64Array;
  readonly devices: readonly PoolDevice[];
  /** The node's devices are those from `firstDevice[node]` up to `firstDevice[node + 1]`. */
  readonly firstDevice: Int32Array;
  /** Idle cores of each device, 0..1000. */
  readonly idleCores: Int32Array;
  /** Idle memory of each device in MiB. */
  readonly idleMiB: Float64Array;
  /** The smaller of both idle shares of each device, 0..1000: what a newcomer may hope for. */
  readonly idle: Int32Array;
  /** Grows with each change of the node. */
  readonly version: Int32Array;
  /** How empty the node is: idle devices and CPU against the largest node; smaller is fuller. */
  readonly slack: Float64Array;
  readonly #cpu: number;
  /** Devices that are alike in all that a share may ask for, and of which sort each device is. */
  readonly #sorts: readonly PoolDevice[];
  readonly #sortOf: Int32Array;
  readonly #classes = new Map<string, TaskClass>();
  readonly #indexes: ReadonlyMap<string, number>;

  constructor(nodes: readonly PoolNode[]) {
    this.nodes = nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    this.resources = [...new Set(nodes.flatMap(({ capacity }) => Object.keys(capacity)))].sort();
    this.#cpu = this.resources.indexOf('cpu');
    this.#indexes = new Map(this.nodes.map(({ name }, index) => [name, index]));
    this.free = Float64Array.from(
      this.nodes.flatMap(({ capacity }) => this.resources.map((resource) => capacity[resource] ?? 0)),
    );
    this.devices = this.nodes.flatMap((node) => node.devices);
    const sorts = sortDevices(this.devices);
    this.#sorts = sorts.sorts;
    this.#sortOf = sorts.sortOf;
    this.firstDevice = new Int32Array(this.nodes.length + 1);
    for (const [index, node] of this.nodes.entries())
      this.firstDevice[index + 1] = at(this.firstDevice, index) + node.devices.length;
    this.idleCores = new Int32Array(this.devices.length).fill(WHOLE_MILLI);
    this.idle = new Int32Array(this.devices.length).fill(WHOLE_MILLI);
    this.idleMiB = Float64Array.from(this.devices.map(({ memoryMiB }) => memoryMiB));
    this.version = new Int32Array(this.nodes.length).fill(1);
    this.slack = new Float64Array(this.nodes.length);
    for (const index of this.nodes.keys()) this.#touch(index);
  }

  /** Index of the node, or -1. */
  indexOf(nodeName: string): number {
    return this.#indexes.get(nodeName) ?? -1;
  }

  /** The class of the demand; O(nodes + devices) the first time its key is met. */
  classOf(demand: Demand): TaskClass {
    const known = this.#classes.get(demand.key);
    if (known !== undefined) return known;
    const wanted = Object.entries(demand.amounts).filter(([, amount]) => amount > 0);
    const { share, refuses } = demand;
    const task: TaskClass = {
      demand,
      index: this.#classes.size,
      unknownResource: wanted.find(([name]) => !this.resources.includes(name))?.[0],
      columns: wanted.map(([name]) => this.resources.indexOf(name)),
      amounts: wanted.map(([, amount]) => amount),
      admitted: Uint8Array.from(this.nodes, (node) => Number(refuses?.(node) === undefined)),
      eligible: this.#findEligible(share),
      milli: share?.milli ?? 0,
      count: share?.count ?? 0,
      memoryMilli: share?.memoryMilli ?? 0,
      memoryMiB: share?.memoryMiB ?? 0,
    };
    this.#classes.set(demand.key, task);
    return task;
  }

  #findEligible(share: DeviceShare | undefined): Uint8Array {
    const bySort = this.#sorts.map((device) => Number(device.isHealthy !== false && share?.admits(device) === true));
    const eligible = new Uint8Array(this.devices.length);
    if (!bySort.includes(1)) return eligible;
    for (let device = 0; device < eligible.length; device += 1)
      eligible[device] = bySort[at(this.#sortOf, device)] ?? 0;
    return eligible;
  }

  /** True when the node would take the task and has room for it. O(resources + devices of the node). */
  fits(task: TaskClass, node: number): boolean {
    return task.admitted[node] === 1 && this.hasAmounts(task, node) && this.countFitting(task, node) >= task.count;
  }

  /** True when everything but devices is there. */
  hasAmounts(task: TaskClass, node: number): boolean {
    if (task.unknownResource !== undefined) return false;
    const row = node * this.resources.length;
    for (let index = 0; index < task.columns.length; index += 1)
      if ((task.amounts[index] ?? 0) > (this.free[row + (task.columns[index] ?? 0)] ?? 0)) return false;
    return true;
  }

  /** Devices of the node that could give the share; counts no further than asked. */
  countFitting(task: TaskClass, node: number): number {
    let count = 0;
    const end = at(this.firstDevice, node + 1);
    for (let device = at(this.firstDevice, node); device < end && count < task.count; device += 1)
      if (this.deviceFits(task, device)) count += 1;
    return count;
  }

  /** True when the device may serve and has the share left. */
  deviceFits(task: TaskClass, device: number): boolean {
    return (
      task.eligible[device] === 1 &&
      (this.idleCores[device] ?? 0) >= task.milli &&
      (this.idleMiB[device] ?? 0) >= this.memoryOn(task, device)
    );
  }

  /** MiB that the task holds on the device. */
  memoryOn({ memoryMiB, memoryMilli }: TaskClass, device: number): number {
    if (memoryMilli === 0) return memoryMiB;
    // why: the device is one of the pool
    const whole = (this.devices[device] as PoolDevice).memoryMiB;
    return Math.max(memoryMiB, Math.floor((whole * memoryMilli) / WHOLE_MILLI));
  }

  /** Takes the room. It is not asked whether there is enough: what runs already runs. */
  take(placement: Placement): void {
    this.#move(placement, -1);
  }

  /** Gives the room of a placement back. */
  give(placement: Placement): void {
    this.#move(placement, 1);
  }

  #move({ task, node, devices }: Placement, sign: 1 | -1): void {
    assert(node >= 0 && node < this.nodes.length, 'the node is one of the pool');
    const row = node * this.resources.length;
    for (const [index, column] of task.columns.entries())
      if (column >= 0) this.free[row + column] = at(this.free, row + column) + sign * at(task.amounts, index);
    for (const device of devices) {
      this.idleCores[device] = at(this.idleCores, device) + sign * task.milli;
      this.idleMiB[device] = at(this.idleMiB, device) + sign * this.memoryOn(task, device);
      this.idle[device] = this.#idleOf(device);
    }
    this.version[node] = at(this.version, node) + 1;
    this.#touch(node);
  }

  #idleOf(device: number): number {
    // why: the device is one of the pool
    const { memoryMiB } = this.devices[device] as PoolDevice;
    const cores = at(this.idleCores, device);
    const memory = memoryMiB === 0 ? WHOLE_MILLI : (at(this.idleMiB, device) * WHOLE_MILLI) / memoryMiB;
    return Math.max(0, Math.min(cores, Math.floor(memory)));
  }

  #touch(node: number): void {
    let idle = 0;
    const end = at(this.firstDevice, node + 1);
    for (let device = at(this.firstDevice, node); device < end; device += 1) idle += at(this.idle, device);
    const cpu = this.#cpu < 0 ? 0 : at(this.free, node * this.resources.length + this.#cpu);
    this.slack[node] = idle / WHOLE_MILLI / FULL_NODE.devices + cpu / FULL_NODE.cpuMillis;
  }

  /** Idle thousandths of the cores of all devices. O(devices). */
  countIdleMilli(): number {
    let idle = 0;
    for (let device = 0; device < this.idleCores.length; device += 1) idle += Math.max(0, this.idleCores[device] ?? 0);
    return idle;
  }

  /** What is left of a resource over the nodes that have some left, by its column; 0 for none. O(nodes). */
  countFree(column: number): number {
    let free = 0;
    if (column < 0) return free;
    for (let index = column; index < this.free.length; index += this.resources.length)
      free += Math.max(0, this.free[index] ?? 0);
    return free;
  }

  /** CPU left on the node, in thousandths of a core. */
  cpuLeft(node: number): number {
    return this.#cpu < 0 ? 0 : at(this.free, node * this.resources.length + this.#cpu);
  }
}

/** One device of each sort, and which sort each device is of. Pools are made for every plan: this is quick. */
function sortDevices(devices: readonly PoolDevice[]): { readonly sorts: PoolDevice[]; readonly sortOf: Int32Array } {
  const sorts: PoolDevice[] = [];
  const sortOf = new Int32Array(devices.length);
  let sort = -1;
  for (const [index, device] of devices.entries()) {
    const known = sorts[sort];
    if (known === undefined || !isAlike(known, device)) sort = sorts.findIndex((one) => isAlike(one, device));
    if (sort < 0) sort = sorts.push(device) - 1;
    sortOf[index] = sort;
  }
  return { sorts, sortOf };
}

function isAlike(a: PoolDevice, b: PoolDevice): boolean {
  return (
    a.deviceClass === b.deviceClass && a.model === b.model && a.memoryMiB === b.memoryMiB && a.isHealthy === b.isHealthy
  );
}

/**
 * The value at an index that is known to be within the array. Loops that run a million times say `?? 0` instead: one
 * function for all kinds of arrays is not compiled well.
 */
export function at(values: ArrayLike<number>, index: number): number {
  return values[index] as number; // why: callers stay within the array
}
