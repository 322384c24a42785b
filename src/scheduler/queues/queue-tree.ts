/** Queues as a tree with their amounts, and what holds of every tree. Knows no workload. */
import type { Amounts } from '../amounts.ts';

/** A queue as it was declared. Amounts by resource; `devices` counts accelerators of all classes. */
export interface QueueDeclaration {
  readonly name: string;
  readonly parent?: string | undefined;
  /** What it gets before anybody borrows. A resource that is not named: 0. */
  readonly guaranteed: Amounts;
  /** What it may hold at most. A resource that is not named: no limit. */
  readonly limit: Amounts;
  /** How much of what it does not use others may borrow. A resource that is not named: all of it. */
  readonly lendingLimit: Amounts;
  /** Share of what is over, against its siblings; 0 takes none. */
  readonly overQuotaWeight: number;
  /** Siblings of a higher priority are given what is over first. */
  readonly priority: number;
  /** Which of its waiting workloads of one priority goes first, and whether they take turns. */
  readonly order: 'Priority' | 'LeastAttainedService';
  /** What the workloads of one user may hold at most. A resource that is not named: no limit. */
  readonly userLimit: Amounts;
  /** A workload of this queue runs at least so long before another queue takes its room, and one of its own queue. */
  readonly reclaimMinRuntimeMs: number;
  /** And at least so long before it is moved to make room. */
  readonly moveMinRuntimeMs: number;
  readonly preemptMinRuntimeMs: number;
}

/** A queue in its tree. */
export interface QueueNode extends QueueDeclaration {
  readonly up: QueueNode | undefined;
  readonly children: readonly QueueNode[];
}

/** One thing that is wrong with a set of queues. */
export interface QueueProblem {
  readonly queue: string;
  /** Field path within the Queue object. */
  readonly field: string;
  readonly message: string;
}

/** What a queue that says nothing else has. */
export const QUEUE_DEFAULTS = {
  guaranteed: {},
  limit: {},
  lendingLimit: {},
  overQuotaWeight: 1,
  priority: 0,
  order: 'Priority',
  userLimit: {},
  reclaimMinRuntimeMs: 0,
  moveMinRuntimeMs: 3_600_000,
  preemptMinRuntimeMs: 0,
} as const satisfies Omit<QueueDeclaration, 'name'>;

/** The queue of workloads that name none; it is there even when no Queue object is. */
export const DEFAULT_QUEUE = 'default';

/** Queues by name. Those without a place in the tree or with negative amounts are left out, with all below them. */
export interface QueueTree {
  readonly roots: readonly QueueNode[];
  readonly byName: ReadonlyMap<string, QueueNode>;
  readonly problems: readonly QueueProblem[];
}

/** O(queues). Adds the default queue when nobody declared it. */
export function buildQueueTree(declared: readonly QueueDeclaration[]): QueueTree {
  const hasDefault = declared.some(({ name }) => name === DEFAULT_QUEUE);
  const all: readonly QueueDeclaration[] = hasDefault
    ? declared
    : [...declared, { ...QUEUE_DEFAULTS, name: DEFAULT_QUEUE }];
  const problems = findQueueProblems(all);
  const wrong = new Set(problems.filter(isFatal).map(({ queue }) => queue));
  const byName = new Map<string, QueueNode>();
  const grow = (parent: string | undefined, up: QueueNode | undefined): QueueNode[] =>
    all
      .filter((queue) => queue.parent === parent && !wrong.has(queue.name))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((queue) => {
        const children: QueueNode[] = [];
        const node: QueueNode = { ...queue, up, children };
        byName.set(queue.name, node);
        children.push(...grow(queue.name, node));
        return node;
      });
  return { roots: grow(undefined, undefined), byName, problems };
}

/** Promises that are too large are scaled down to what there is; everything else leaves no meaning to a queue. */
function isFatal({ field, message }: QueueProblem): boolean {
  return !field.startsWith('spec.guaranteed.') || message.endsWith('want 0 or more');
}

/** The queue and all above it, itself first. */
export function lineOf(queue: QueueNode): readonly QueueNode[] {
  const line: QueueNode[] = [];
  for (let node: QueueNode | undefined = queue; node !== undefined; node = node.up) line.push(node);
  return line;
}

/** What is wrong, by queue and field: negative amounts, missing parents and circles, promises too large. */
export function findQueueProblems(queues: readonly QueueDeclaration[]): readonly QueueProblem[] {
  const byName = new Map(queues.map((queue) => [queue.name, queue]));
  return queues.flatMap((queue) => [
    ...findNegative(queue),
    ...findBadBounds(queue),
    ...findBadParent(queue, byName),
    ...findOverPromise(queue, queues),
  ]);
}

function findNegative(queue: QueueDeclaration): readonly QueueProblem[] {
  const fields = ['guaranteed', 'limit', 'lendingLimit', 'userLimit'] as const;
  const amounts = fields.flatMap((field) =>
    Object.entries(queue[field])
      .filter(([, amount]) => !(amount >= 0))
      .map(([resource, amount]) => ({
        queue: queue.name,
        field: `spec.${field}.${resource}`,
        message: `is ${amount}, want 0 or more`,
      })),
  );
  if (queue.overQuotaWeight >= 0) return amounts;
  const message = `is ${queue.overQuotaWeight}, want 0 or more`;
  return [...amounts, { queue: queue.name, field: 'spec.overQuotaWeight', message }];
}

function findBadBounds({ name, guaranteed, limit }: QueueDeclaration): readonly QueueProblem[] {
  return Object.entries(guaranteed)
    .filter(([resource, amount]) => amount > (limit[resource] ?? Number.POSITIVE_INFINITY))
    .map(([resource, amount]) => ({
      queue: name,
      field: `spec.guaranteed.${resource}`,
      message: `is ${amount}, more than the limit of ${limit[resource]}`,
    }));
}

function findBadParent(
  queue: QueueDeclaration,
  byName: ReadonlyMap<string, QueueDeclaration>,
): readonly QueueProblem[] {
  const problem = (message: string) => [{ queue: queue.name, field: 'spec.parent', message }];
  const path = [queue.name];
  for (let parent = queue.parent; parent !== undefined; parent = byName.get(parent)?.parent) {
    if (!byName.has(parent)) return path.length === 1 ? problem(`there is no queue ${parent}`) : [];
    if (path.includes(parent))
      return parent === queue.name ? problem(`makes a circle: ${[...path, parent].join(' > ')}`) : [];
    path.push(parent);
  }
  return [];
}

/** Children may not be promised more than their parent has been. */
function findOverPromise(queue: QueueDeclaration, queues: readonly QueueDeclaration[]): readonly QueueProblem[] {
  const children = queues.filter(({ parent }) => parent === queue.name);
  const resources = new Set(children.flatMap(({ guaranteed }) => Object.keys(guaranteed)));
  return [...resources].flatMap((resource) => {
    const promised = children.reduce((sum, { guaranteed }) => sum + (guaranteed[resource] ?? 0), 0);
    const own = queue.guaranteed[resource] ?? 0;
    if (promised <= own) return [];
    const names = children.filter(({ guaranteed }) => (guaranteed[resource] ?? 0) > 0).map(({ name }) => name);
    const message = `is ${own}, less than the ${promised} guaranteed to its children ${names.join(', ')}`;
    return [{ queue: queue.name, field: `spec.guaranteed.${resource}`, message }];
  });
}
