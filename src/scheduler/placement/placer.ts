/** Chooses the node of a task: asks the policy once per class of task and state of a node, and remembers the answer. */
import { at, type Placement, type Pool, type TaskClass } from '../pool/pool.ts';
import type { Preference } from './policy.ts';

interface Scores {
  /** The version of each node that the score is of. */
  readonly seen: Int32Array;
  /** -Infinity where the task does not fit. */
  readonly values: Float64Array;
}

/** O(nodes) a decision, plus one score per node that has changed since a like task was placed. */
export class Placer {
  readonly pool: Pool;
  readonly #preference: Preference;
  readonly #scores: Scores[] = [];

  constructor(pool: Pool, preference: Preference) {
    this.pool = pool;
    this.#preference = preference;
  }

  /** The best place among all nodes, or among those marked 1 in `allowed`; it is not taken yet. */
  find(task: TaskClass, allowed?: Uint8Array): Placement | undefined {
    const node = this.#findNode(task, allowed);
    if (node < 0) return undefined;
    return { task, node, devices: this.#preference.chooseDevices(task, node) };
  }

  /** Finds and takes. */
  place(task: TaskClass, allowed?: Uint8Array): Placement | undefined {
    const placement = this.find(task, allowed);
    if (placement !== undefined) this.pool.take(placement);
    return placement;
  }

  #findNode(task: TaskClass, allowed: Uint8Array | undefined): number {
    const { version, slack } = this.pool;
    const { seen, values } = this.#scoresOf(task);
    const { isFleeting = false } = this.#preference;
    const sign = { 'first-name': 0, fullest: 1, emptiest: -1 }[this.#preference.tie];
    let best = -1;
    let bestValue = Number.NEGATIVE_INFINITY;
    for (let node = 0; node < version.length; node += 1) {
      if (isFleeting || seen[node] !== version[node]) this.#score(task, node);
      const value = values[node] ?? Number.NEGATIVE_INFINITY;
      if (value < bestValue || value === Number.NEGATIVE_INFINITY || (allowed !== undefined && allowed[node] !== 1))
        continue;
      if (value > bestValue || sign * (slack[node] ?? 0) < sign * (slack[best] ?? 0)) {
        best = node;
        bestValue = value;
      }
    }
    return best;
  }

  #score(task: TaskClass, node: number): void {
    const { seen, values } = this.#scoresOf(task);
    seen[node] = at(this.pool.version, node);
    values[node] = this.pool.fits(task, node) ? this.#preference.score(task, node) : Number.NEGATIVE_INFINITY;
  }

  #scoresOf(task: TaskClass): Scores {
    const known = this.#scores[task.index];
    if (known !== undefined) return known;
    const size = this.pool.nodes.length;
    const scores = { seen: new Int32Array(size), values: new Float64Array(size) };
    this.#scores[task.index] = scores;
    return scores;
  }
}
