/** Machines, jobs and queues for the tests of plans. */
import type { PoolNode } from '../pool/pool.ts';
import { QUEUE_DEFAULTS, type QueueDeclaration } from '../queues/queue-tree.ts';
import type { CyclePlan } from './plan-cycle.ts';
import type { Workload } from './workload.ts';

const DEVICES_PER_NODE = 4;

/** A machine with devices. */
export function machine(name: string, { devices = DEVICES_PER_NODE, cpu = 32_000, labels = {} } = {}): PoolNode {
  return {
    name,
    labels,
    capacity: { cpu, pods: 110 },
    devices: Array.from({ length: devices }, (_, index) => ({
      id: String(index),
      deviceClass: 'gpu',
      model: 'A',
      memoryMiB: 0,
    })),
  };
}

/** What a job may be told. */
export interface Ask extends Partial<Omit<Workload, 'members'>> {
  readonly size?: number;
  readonly milli?: number;
  readonly count?: number;
  /** Node of each member that has one. */
  readonly on?: readonly string[];
}

/** A job of equal members. */
export function job(key: string, { size = 1, milli = 1000, count = 1, on = [], ...more }: Ask = {}): Workload {
  const demand = {
    key: `${count}x${milli}`,
    amounts: { cpu: 1000, pods: 1 },
    ...(count > 0 && { share: { count, milli, memoryMiB: 0, admits: () => true } }),
  };
  const members = Array.from({ length: size }, (_, index) => {
    const node = on[index];
    return { key: `${key}-${index}`, demand, ...(node !== undefined && { on: { node } }) };
  });
  return {
    key,
    queue: 'default',
    priority: 0,
    isPreemptible: true,
    createdAtMs: 0,
    minMember: size,
    members,
    ...(on.length > 0 && { startedAtMs: 0 }),
    ...more,
  };
}

/** A queue that says nothing else. */
export const queue = (name: string, more: Partial<QueueDeclaration> = {}): QueueDeclaration => ({
  ...QUEUE_DEFAULTS,
  name,
  ...more,
});

/** `member on node`, sorted. */
export function startsOf({ starts, ledger }: CyclePlan): readonly string[] {
  return starts
    .flatMap(({ holdings }) => holdings)
    .map(({ member, placement }) => `${member.key} on ${ledger.pool.nodes[placement.node]?.name}`)
    .sort();
}
