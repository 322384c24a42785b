/** Domains of nodes: those with one value of a label, such as one rack. */
import { at, type Pool, type TaskClass, WHOLE_MILLI } from '../pool/pool.ts';
import type { Topology } from './workload.ts';

/** What a domain must have. */
export interface DomainWish {
  readonly tasks: readonly TaskClass[];
  /** Nodes that the workload uses already: only their domain will do. */
  readonly there: readonly number[];
  readonly mask: Uint8Array | undefined;
}

/** Looks up domains by label, once per label. */
export class Topologies {
  readonly #pool: Pool;
  readonly #domains = new Map<string, ReadonlyMap<string, readonly number[]>>();

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /**
   * Masks to try in order: for each preferred label its domains, then those of the required one, or all nodes when
   * none is required. Within a label the domain with the least room that may be enough comes first.
   */
  *domainsFor({ required, preferred = [] }: Topology, wish: DomainWish): Generator<Uint8Array | undefined> {
    const outer = required === undefined ? [wish.mask] : this.#masksOf(required, wish);
    for (const mask of outer) {
      for (const key of preferred) yield* this.#masksOf(key, { ...wish, mask });
      yield mask;
    }
  }

  *#masksOf(key: string, { tasks, there, mask }: DomainWish): Generator<Uint8Array> {
    const domains = [...this.#domainsOf(key).values()]
      .map((nodes) => nodes.filter((node) => mask === undefined || mask[node] === 1))
      .filter((nodes) => there.every((node) => nodes.includes(node)) && this.#mayHold(nodes, tasks))
      .map((nodes) => ({ nodes, room: this.#roomOf(nodes) }))
      .sort((a, b) => a.room - b.room);
    for (const { nodes } of domains) {
      const allowed = new Uint8Array(this.#pool.nodes.length);
      for (const node of nodes) allowed[node] = 1;
      yield allowed;
    }
  }

  #domainsOf(key: string): ReadonlyMap<string, readonly number[]> {
    const known = this.#domains.get(key);
    if (known !== undefined) return known;
    const domains = new Map<string, number[]>();
    for (const [node, { labels }] of this.#pool.nodes.entries()) {
      const value = labels[key];
      if (value === undefined) continue;
      const nodes = domains.get(value) ?? [];
      domains.set(value, nodes);
      nodes.push(node);
    }
    this.#domains.set(key, domains);
    return domains;
  }

  /** False when all the room together is too little; true says nothing yet. */
  #mayHold(nodes: readonly number[], tasks: readonly TaskClass[]): boolean {
    const needed = tasks.reduce((sum, { count, milli }) => sum + count * milli, 0);
    const fitting = tasks.length === 0 || nodes.some((node) => tasks.some((task) => this.#pool.fits(task, node)));
    return fitting && needed <= this.#idleOf(nodes);
  }

  #idleOf(nodes: readonly number[]): number {
    let idle = 0;
    for (const node of nodes)
      for (let device = at(this.#pool.firstDevice, node); device < at(this.#pool.firstDevice, node + 1); device += 1)
        idle += at(this.#pool.idle, device);
    return idle;
  }

  #roomOf(nodes: readonly number[]): number {
    return this.#idleOf(nodes) / WHOLE_MILLI + nodes.reduce((sum, node) => sum + at(this.#pool.slack, node), 0);
  }
}
