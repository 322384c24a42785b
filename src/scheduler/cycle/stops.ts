/** What is stopped for nobody: gangs that were cut for too long, and what stands on nodes that are to be emptied. */
import type { Holding, Ledger } from './ledger.ts';
import type { Victim } from './victims.ts';
import type { Workload } from './workload.ts';

/** Gangs with room for some members only since longer than their time-out: what they hold serves nobody. */
export function listStale(ledger: Ledger, workloads: readonly Workload[], nowMs: number): readonly Victim[] {
  return workloads
    .filter((workload) => {
      const { partialSinceMs, startTimeoutMs } = workload;
      if (partialSinceMs === undefined || startTimeoutMs === undefined) return false;
      const held = ledger.countHeld(workload);
      return held > 0 && held < workload.minMember && nowMs - partialSinceMs >= startTimeoutMs;
    })
    .map((workload) => ({ workload, holdings: ledger.holdingsOf(workload), kind: 'whole', cause: 'stale' }));
}

/** Where nothing is to go on. */
export interface Unwell {
  /** Names of nodes that are to be emptied. */
  readonly nodes: ReadonlySet<string>;
  /** Names of nodes of which only those devices are to be emptied that are not well. */
  readonly deviceNodes: ReadonlySet<string>;
}

/** Workloads with a member on what is not well; a gang goes whole unless it can do without. */
export function listUnwell(
  ledger: Ledger,
  workloads: readonly Workload[],
  { nodes, deviceNodes }: Unwell,
): readonly Victim[] {
  if (nodes.size + deviceNodes.size === 0) return [];
  const { pool } = ledger;
  const isLost = ({ placement: { node, devices } }: Holding) => {
    const name = pool.nodes[node]?.name ?? '';
    const isSick = () => devices.some((device) => pool.devices[device]?.isHealthy === false);
    return nodes.has(name) || (deviceNodes.has(name) && isSick());
  };
  return workloads.flatMap((workload): readonly Victim[] => {
    const holdings = ledger.holdingsOf(workload);
    const lost = holdings.filter(isLost);
    if (lost.length === 0) return [];
    const isSurplus = holdings.length - lost.length >= workload.minMember && (workload.subGroups ?? []).length === 0;
    const parts = isSurplus ? ({ holdings: lost, kind: 'surplus' } as const) : ({ holdings, kind: 'whole' } as const);
    return [{ workload, ...parts, cause: 'unhealthy' }];
  });
}
