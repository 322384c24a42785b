/** How long workloads of a name ran before: the longest of the last few, once there are enough of them. */

/** Fewer say nothing. */
const LEAST_RUNS = 3;
const KEPT_RUNS = 8;
/** Names that are remembered; the one that was heard of longest ago goes first. */
const MOST_NAMES = 10_000;

/** Learns run times by key. */
export class Estimates {
  readonly #runs = new Map<string, readonly number[]>();

  /** A workload of this key has run this long. */
  learn(key: string, runMs: number): void {
    const runs = [...(this.#runs.get(key) ?? []), runMs].slice(-KEPT_RUNS);
    this.#runs.delete(key);
    this.#runs.set(key, runs);
    const [oldest] = this.#runs.keys();
    if (this.#runs.size > MOST_NAMES && oldest !== undefined) this.#runs.delete(oldest);
  }

  /** Undefined while too few have run. */
  find(key: string): number | undefined {
    const runs = this.#runs.get(key) ?? [];
    return runs.length < LEAST_RUNS ? undefined : Math.max(...runs);
  }
}
