/** How long workloads of a name ran before: the longest of the last few, once there are enough of them. */
import type { Pod } from '../../kube/pod.ts';
import { readRun } from '../objects/learning.ts';

/** Fewer say nothing. */
const LEAST_RUNS = 3;
const KEPT_RUNS = 8;
/** Names that are remembered; the one that was heard of longest ago goes first. */
const MOST_NAMES = 10_000;

/** Learns run times by key. */
export class Estimates {
  /** By key, the runs in the order in which they were learned. */
  readonly #runs = new Map<string, Map<string, number>>();

  /** From a pod that has ended; the longest member of a gang is its run. The same pod again adds nothing. */
  learn(pod: Pod): void {
    const learned = readRun(pod);
    if (learned === undefined) return;
    const { key, run, runMs } = learned;
    const runs = this.#runs.get(key) ?? new Map<string, number>();
    runs.set(run, Math.max(runMs, runs.get(run) ?? 0));
    dropOldest(runs, KEPT_RUNS);
    this.#runs.delete(key);
    this.#runs.set(key, runs);
    dropOldest(this.#runs, MOST_NAMES);
  }

  /** Undefined while too few have run. */
  find(key: string): number | undefined {
    const runs = this.#runs.get(key);
    return runs === undefined || runs.size < LEAST_RUNS ? undefined : Math.max(...runs.values());
  }
}

function dropOldest(entries: Map<string, unknown>, most: number): void {
  const [oldest] = entries.keys();
  if (entries.size > most && oldest !== undefined) entries.delete(oldest);
}
