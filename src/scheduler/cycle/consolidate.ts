/**
 * Makes room by moving others: only what may be preempted moves, and only when every one that moves has a place again
 * in the same plan. Nobody loses a place.
 */
import { at } from '../pool/pool.ts';
import type { Fitter } from './fit.ts';
import type { Holding, Ledger } from './ledger.ts';
import { findFewest, goBack, type Search, type Victim } from './victims.ts';
import type { Workload } from './workload.ts';

/** More are not moved for one workload: each move costs the moved its work since the last checkpoint. */
const MOST_MOVED = 32;
/** Sums of amounts are not exact. */
const DUST = 1e-6;

/** Moves others and takes the room. Undefined, and nothing changed, when moving would not do. */
export function consolidate({ fitter, running, nowMs }: Search, workload: Workload): readonly Victim[] | undefined {
  if (!hasRoomInAll(fitter, workload)) return undefined;
  const movable = running.filter(
    (other) => other.isPreemptible && other.key !== workload.key && isSettled(other, nowMs, fitter.ledger),
  );
  const candidates = rankByNode(fitter, workload, movable).slice(0, MOST_MOVED);
  if (candidates.length === 0) return undefined;
  fitter.isTelling = false;
  const moved = findFewest(fitter.ledger, candidates.length, (count) =>
    move(fitter, workload, candidates.slice(0, count)),
  );
  fitter.isTelling = true;
  return moved?.map(({ other, holdings }) => ({
    workload: other,
    holdings,
    kind: 'whole',
    cause: 'consolidate',
    by: workload,
  }));
}

/** Moving changes nothing of what is left over all nodes: where that is too little, none need be tried. */
function hasRoomInAll(fitter: Fitter, workload: Workload): boolean {
  const { pool } = fitter.ledger;
  const tasks = fitter.needed(workload).map((member) => fitter.classOf(member));
  const milli = tasks.reduce((sum, task) => sum + task.count * task.milli, 0);
  if (milli > pool.countIdleMilli()) return false;
  const wanted = new Map<number, number>();
  for (const task of tasks)
    for (const [index, column] of task.columns.entries())
      wanted.set(column, (wanted.get(column) ?? 0) + at(task.amounts, index));
  return [...wanted].every(([column, amount]) => amount <= pool.countFree(column) + DUST);
}

/** Whether it has run for as long as its queue promises. */
function isSettled(other: Workload, nowMs: number, ledger: Ledger): boolean {
  const queue = ledger.queueOf(other);
  return nowMs - (other.startedAtMs ?? nowMs) >= (queue?.moveMinRuntimeMs ?? 0);
}

interface Moved {
  readonly other: Workload;
  readonly holdings: readonly Holding[];
}

/** Undefined when the workload or one of the others finds no place. */
function move(fitter: Fitter, workload: Workload, others: readonly Workload[]): readonly Moved[] | undefined {
  const { ledger } = fitter;
  const before = others.map((other) => ({ other, holdings: ledger.holdingsOf(other) }));
  for (const { holdings } of before) for (const holding of holdings) ledger.release(holding);
  if (fitter.start(workload) !== undefined) return undefined;
  const moved: Moved[] = [];
  for (const entry of before) {
    if (goBack(fitter, entry.holdings)) continue;
    const members = entry.holdings.map(({ member }) => member);
    if (fitter.place(entry.other, members) !== undefined) return undefined;
    moved.push(entry);
  }
  return moved;
}

/** Those first that stand on nodes where few would have to move for one member more. */
function rankByNode(fitter: Fitter, workload: Workload, movable: readonly Workload[]): readonly Workload[] {
  const { pool, occupants } = fitter.ledger;
  const [first] = fitter.needed(workload);
  if (first === undefined) return [];
  const task = fitter.classOf(first);
  const byKey = new Map(movable.map((other) => [other.key, other]));
  const costs = occupants.map((there, node) => {
    const keys = [...there.keys()];
    const isMovable = keys.length > 0 && keys.some((key) => byKey.has(key)) && task.admitted[node] === 1;
    const stuck = keys.filter((key) => !byKey.has(key)).length;
    const members = keys.reduce((sum, key) => sum + fitter.ledger.countHeld({ key }), 0);
    return { node, cost: isMovable ? stuck * pool.nodes.length + members : Number.POSITIVE_INFINITY };
  });
  const ranked = costs
    .filter(({ cost }) => Number.isFinite(cost))
    .sort((a, b) => a.cost - b.cost || at(pool.slack, b.node) - at(pool.slack, a.node));
  // why sorted: tries that failed may have left them in another order
  const order = new Set(ranked.flatMap(({ node }) => [...(occupants[node]?.keys() ?? [])].sort()));
  return [...order].flatMap((key) => byKey.get(key) ?? []);
}
