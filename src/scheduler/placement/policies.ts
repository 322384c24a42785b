/** The placement policies by name, the product's default first. */

import type { Random } from '../../base/random.ts';
import { StatusError } from '../../kube/status-error.ts';
import { type Pool, type TaskClass, WHOLE_MILLI } from '../pool/pool.ts';
import { preferLeastFragmentation, type TypicalTask } from './fgd.ts';
import { fullestDevices, idleOfNode, type Preference } from './policy.ts';

/** What a policy may look at. */
export interface PolicyContext {
  readonly pool: Pool;
  /** The tasks that usually come. */
  readonly typical: readonly TypicalTask[];
  readonly random: Random;
}

/** Name of the policy that is used when none is asked for. */
export const DEFAULT_POLICY = 'athanor';

/** What each one does, for help texts and the reference. */
export const POLICIES = {
  athanor: {
    description: 'least fragmentation (FGD), the fullest node among equals',
    prefer: ({ pool, typical }: PolicyContext) => preferLeastFragmentation(pool, typical, 'fullest'),
  },
  fgd: {
    description: 'least fragmentation as published (ATC 2023), the first name among equals',
    prefer: ({ pool, typical }: PolicyContext) => preferLeastFragmentation(pool, typical),
  },
  'best-fit': {
    description: 'the node with the least CPU and devices left over',
    prefer: ({ pool }: PolicyContext) => preferScore(pool, (task, node) => bestFit(pool, task, node)),
  },
  'dot-product': {
    description: 'the node whose free room is least alike what the task asks for',
    prefer: ({ pool }: PolicyContext) => preferScore(pool, (task, node) => dotProduct(pool, task, node)),
  },
  random: {
    description: 'any node that has room; what the others are measured against',
    prefer: ({ pool, random }: PolicyContext) => ({ ...preferScore(pool, random), isFleeting: true }),
  },
  pack: {
    description: 'the fullest node',
    prefer: ({ pool }: PolicyContext) => ({ ...preferScore(pool, () => 0), tie: 'fullest' as const }),
  },
  spread: {
    description: 'the emptiest node',
    prefer: ({ pool }: PolicyContext) => ({ ...preferScore(pool, () => 0), tie: 'emptiest' as const }),
  },
} satisfies Record<string, { description: string; prefer: (context: PolicyContext) => Preference }>;

/** A policy's name. */
export type PolicyName = keyof typeof POLICIES;

/** @throws BadRequest for a name that no policy has. */
export function parsePolicy(name: string): PolicyName {
  if (Object.hasOwn(POLICIES, name)) return name as PolicyName; // why: it is one of the table's own keys
  const known = Object.keys(POLICIES).join(', ');
  throw new StatusError('BadRequest', `cannot place by policy '${name}': want one of ${known}`);
}

function preferScore(pool: Pool, score: Preference['score']): Preference {
  return { tie: 'first-name', score, chooseDevices: (task, node) => fullestDevices(pool, task, node) };
}

/** Amounts against which the published baselines measure: the largest node of the trace. */
const LARGEST = { cpuMillis: 128_000, deviceMillis: 8 * WHOLE_MILLI } as const;

function bestFit(pool: Pool, task: TaskClass, node: number): number {
  const cpu = pool.cpuLeft(node) - (task.demand.amounts['cpu'] ?? 0);
  const devices = idleOfNode(pool, node) - task.count * task.milli;
  return Math.floor(100 * (1 - (0.5 * cpu) / LARGEST.cpuMillis - (0.5 * devices) / LARGEST.deviceMillis));
}

function dotProduct(pool: Pool, task: TaskClass, node: number): number {
  const cpu = (pool.cpuLeft(node) * (task.demand.amounts['cpu'] ?? 0)) / LARGEST.cpuMillis ** 2;
  const devices = (idleOfNode(pool, node) * task.count * task.milli) / LARGEST.deviceMillis ** 2;
  return Math.floor(100 * (1 - (cpu + devices) / 2));
}
