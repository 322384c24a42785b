/**
 * Since when gangs have had room for some of their members only. Kept in memory: a scheduler that starts anew counts
 * from its start, so that nobody is stopped too early.
 */
import type { Workload } from '../cycle/workload.ts';

/** Remembers from one look to the next. */
export class Partials {
  #sinceMs: ReadonlyMap<string, number> = new Map();

  /** The workloads, those that are cut with the time since when they are. */
  tell(workloads: readonly Workload[], nowMs: number): readonly Workload[] {
    const sinceMs = new Map<string, number>();
    for (const workload of workloads)
      if (isCut(workload)) sinceMs.set(workload.key, this.#sinceMs.get(workload.key) ?? nowMs);
    this.#sinceMs = sinceMs;
    if (sinceMs.size === 0) return workloads;
    return workloads.map((workload) => {
      const partialSinceMs = sinceMs.get(workload.key);
      return partialSinceMs === undefined ? workload : { ...workload, partialSinceMs };
    });
  }
}

function isCut({ members, minMember }: Workload): boolean {
  if (minMember < 2) return false;
  let held = 0;
  for (const { on, isLeaving } of members) if (on !== undefined && isLeaving !== true) held += 1;
  return held > 0 && held < minMember;
}
