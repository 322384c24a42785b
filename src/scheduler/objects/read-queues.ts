/** Queues, node pools and reservations as the planner takes them. */
import type { NodePoolSpec, NodePoolStatus } from '../../kinds/node-pool/kind.ts';
import type { QueueSpec, QueueStatus } from '../../kinds/queue/kind.ts';
import type { ObjectOf } from '../../kube/object.ts';
import type { Node } from '../../kube/pod.ts';
import { toAmounts } from '../amounts.ts';
import type { QueueDeclaration, QueueTree } from '../queues/queue-tree.ts';
import { lineOf } from '../queues/queue-tree.ts';
import type { NodeRules } from './read-demand.ts';

/** A Queue object. */
export type Queue = ObjectOf<QueueSpec, QueueStatus>;
/** A NodePool object. */
export type NodePool = ObjectOf<NodePoolSpec, NodePoolStatus>;

/** The queue as it was declared. */
export function readQueue({ metadata, spec }: Queue): QueueDeclaration {
  return {
    name: metadata.name,
    parent: spec.parent,
    guaranteed: toAmounts(spec.guaranteed),
    limit: toAmounts(spec.limit),
    lendingLimit: toAmounts(spec.lendingLimit),
    overQuotaWeight: spec.overQuotaWeight,
    priority: spec.priority,
    order: spec.order,
    userLimit: toAmounts(spec.userLimit),
    reclaimMinRuntimeMs: spec.reclaimMinRuntimeSeconds * 1000,
    moveMinRuntimeMs: spec.moveMinRuntimeSeconds * 1000,
    preemptMinRuntimeMs: spec.preemptMinRuntimeSeconds * 1000,
  };
}

/** True when the node has the labels of the pool. */
export function isInPool({ metadata }: Node, { spec }: NodePool): boolean {
  return Object.entries(spec.nodeSelector).every(([key, value]) => metadata.labels?.[key] === value);
}

/** What pools say of the pods of a queue, or of one that names a pool. */
export interface PoolQuestion {
  readonly queue: string;
  readonly pool: string | undefined;
}

/** Answers what pools allow; the same rules object for the same question. */
export class PoolRules {
  readonly #nodes: ReadonlyMap<string, Node>;
  readonly #pools: readonly NodePool[];
  readonly #tree: QueueTree;
  readonly #rules = new Map<string, NodeRules>();

  constructor(nodes: readonly Node[], pools: readonly NodePool[], tree: QueueTree) {
    this.#nodes = new Map(nodes.map((node) => [node.metadata.name, node]));
    this.#pools = pools;
    this.#tree = tree;
  }

  /** Whether there is a pool of that name. */
  has(pool: string): boolean {
    return this.#pools.some(({ metadata }) => metadata.name === pool);
  }

  /** What they refuse; a pool that is not there has no node. */
  for({ queue, pool }: PoolQuestion): NodeRules {
    const key = this.#pools.length === 0 && pool === undefined ? '' : `${queue} ${pool ?? ''}`;
    const known = this.#rules.get(key);
    if (known !== undefined) return known;
    const rules = { nodes: this.#nodes, key, refuses: (node: Node) => this.#refuse(node, { queue, pool }) };
    this.#rules.set(key, rules);
    return rules;
  }

  #refuse(node: Node, { queue, pool }: PoolQuestion): string | undefined {
    const pools = this.#pools.filter((one) => isInPool(node, one));
    if (pool !== undefined && !pools.some(({ metadata }) => metadata.name === pool))
      return `node(s) are not in the node pool ${pool}`;
    const found = this.#tree.byName.get(queue);
    const line = new Set(found === undefined ? [queue] : lineOf(found).map(({ name }) => name));
    const closed = pools.find(({ spec }) => spec.queues.length > 0 && !spec.queues.some((name) => line.has(name)));
    return closed && `node(s) are in the node pool ${closed.metadata.name}, which is not open to the queue ${queue}`;
  }
}
