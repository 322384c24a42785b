/** What is stopped for nobody: gangs that were cut for too long, and what stands on nodes that are to be emptied. */
import type { Ledger } from './ledger.ts';
import type { Victim } from './victims.ts';
import type { Workload } from './workload.ts';

/** Gangs with room for some members only since longer than their time-out: what they hold serves nobody. */
export function listStale(ledger: Ledger, workloads: readonly Workload[], nowMs: number): readonly Victim[] {
  return workloads
    .filter(({ partialSinceMs, startTimeoutMs, minMember, ...workload }) => {
      if (partialSinceMs === undefined || startTimeoutMs === undefined) return false;
      const held = ledger.countHeld(workload);
      return held > 0 && held < minMember && nowMs - partialSinceMs >= startTimeoutMs;
    })
    .map((workload) => ({ workload, holdings: ledger.holdingsOf(workload), kind: 'whole', cause: 'stale' }));
}

/** Workloads with a member on one of the nodes; a gang goes whole unless it can do without. */
export function listDrained(
  ledger: Ledger,
  workloads: readonly Workload[],
  drained: ReadonlySet<string>,
): readonly Victim[] {
  if (drained.size === 0) return [];
  return workloads.flatMap((workload): readonly Victim[] => {
    const holdings = ledger.holdingsOf(workload);
    const lost = holdings.filter(({ placement }) => drained.has(ledger.pool.nodes[placement.node]?.name ?? ''));
    if (lost.length === 0) return [];
    const isSurplus = holdings.length - lost.length >= workload.minMember && (workload.subGroups ?? []).length === 0;
    const parts = isSurplus ? ({ holdings: lost, kind: 'surplus' } as const) : ({ holdings, kind: 'whole' } as const);
    return [{ workload, ...parts, cause: 'unhealthy' }];
  });
}
