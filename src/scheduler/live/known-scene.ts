/** What readings keep from one to the next, so that a reading costs what has changed and not what there is. */
import { isEqual } from '../../base/json.ts';
import { type KubeObject, keyOf } from '../../kube/object.ts';
import type { Node } from '../../kube/pod.ts';
import type { DeviceClasses } from '../objects/device-classes.ts';
import { KnownWorkloads } from '../objects/known-workloads.ts';
import { type NodePool, PoolRules, type Queue, readQueue } from '../objects/read-queues.ts';
import type { PoolNode } from '../pool/pool.ts';
import { buildQueueTree, type QueueTree } from '../queues/queue-tree.ts';
import { isNodeChanged } from './matters.ts';

/** Everything but pods and groups, and what follows from it alone. */
export interface Ground {
  readonly nodes: readonly Node[];
  readonly pools: readonly NodePool[];
  readonly classes: DeviceClasses;
  readonly tree: QueueTree;
  readonly rules: PoolRules;
  readonly poolNodes: readonly PoolNode[];
}

/** Objects that the ground is made of. */
export interface GroundSources {
  readonly nodes: readonly Node[];
  readonly pools: readonly NodePool[];
  readonly queues: readonly Queue[];
  readonly classes: DeviceClasses;
  readonly readNode: (node: Node, classes: DeviceClasses) => PoolNode;
}

/** Made once per reader. */
export class KnownScene {
  readonly workloads = new KnownWorkloads();
  readonly #nodes = new Steady<Node>((before, after) => !isNodeChanged(before, after));
  readonly #pools = new Steady<NodePool>(isSpecEqual);
  readonly #queues = new Steady<Queue>(isSpecEqual);
  #queuesOf: readonly Queue[] | undefined;
  #ground: Ground | undefined;

  /** The same object as before while nothing has changed that plans read. */
  ground(sources: GroundSources): Ground {
    const { classes, readNode } = sources;
    const nodes = this.#nodes.keep(sources.nodes);
    const pools = this.#pools.keep(sources.pools);
    const queues = this.#queues.keep(sources.queues);
    const known = this.#ground;
    const isOfNodes = known?.nodes === nodes && known.classes === classes;
    if (isOfNodes && known.pools === pools && this.#queuesOf === queues) return known;
    const tree = known !== undefined && this.#queuesOf === queues ? known.tree : buildQueueTree(queues.map(readQueue));
    const poolNodes = isOfNodes ? known.poolNodes : nodes.map((node) => readNode(node, classes));
    this.#queuesOf = queues;
    this.#ground = { nodes, pools, classes, tree, rules: new PoolRules(nodes, pools, tree), poolNodes };
    return this.#ground;
  }
}

function isSpecEqual<T extends KubeObject & { readonly spec: unknown }>(before: T, after: T): boolean {
  return before.metadata.uid === after.metadata.uid && isEqual(before.spec, after.spec);
}

/** Objects of a list, each as it was when something that matters last changed. */
class Steady<T extends KubeObject> {
  readonly #isAlike: (before: T, after: T) => boolean;
  #fresh: readonly T[] | undefined;
  #kept: readonly T[] = [];
  #byKey = new Map<string, { readonly latest: T; readonly kept: T }>();

  constructor(isAlike: (before: T, after: T) => boolean) {
    this.#isAlike = isAlike;
  }

  /** The same array as before while nothing that matters has changed. */
  keep(fresh: readonly T[]): readonly T[] {
    if (fresh === this.#fresh) return this.#kept;
    const byKey = new Map<string, { readonly latest: T; readonly kept: T }>();
    const kept = fresh.map((latest) => {
      const key = keyOf(latest);
      const known = this.#byKey.get(key);
      const isKept = known !== undefined && (known.latest === latest || this.#isAlike(known.kept, latest));
      const one = isKept ? known.kept : latest;
      byKey.set(key, { latest, kept: one });
      return one;
    });
    const isSame = kept.length === this.#kept.length && kept.every((one, index) => one === this.#kept[index]);
    this.#fresh = fresh;
    this.#byKey = byKey;
    if (!isSame) this.#kept = kept;
    return this.#kept;
  }
}
