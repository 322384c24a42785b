/** What a placement policy is: a preference among the nodes that have room, and among the devices of a node. */
import { at, type Pool, type TaskClass } from '../pool/pool.ts';

/** How nodes of equal score are told apart: by name, or the fullest first (best fit), or the emptiest. */
export type TieBreak = 'first-name' | 'fullest' | 'emptiest';

/** Made anew for each pool. */
export interface Preference {
  readonly tie: TieBreak;
  /** True when a score holds for one decision only and must not be remembered. */
  readonly isFleeting?: boolean;
  /** Larger is better. Asked only when the task fits the node. */
  readonly score: (task: TaskClass, node: number) => number;
  /** The devices to take, as many as the task asks for; asked only when it fits. */
  readonly chooseDevices: (task: TaskClass, node: number) => readonly number[];
}

/** The fitting devices that have the least left, first index among equals. */
export function fullestDevices(pool: Pool, task: TaskClass, node: number): readonly number[] {
  if (task.count === 0) return [];
  const fitting: number[] = [];
  const end = at(pool.firstDevice, node + 1);
  for (let device = at(pool.firstDevice, node); device < end; device += 1)
    if (pool.deviceFits(task, device)) fitting.push(device);
  return fitting.sort((a, b) => at(pool.idle, a) - at(pool.idle, b) || a - b).slice(0, task.count);
}

/** Idle thousandths of all devices of the node. */
export function idleOfNode(pool: Pool, node: number): number {
  let idle = 0;
  const end = at(pool.firstDevice, node + 1);
  for (let device = at(pool.firstDevice, node); device < end; device += 1) idle += at(pool.idle, device);
  return idle;
}
