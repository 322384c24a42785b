/**
 * EASY backfill (Lifka, "The ANL/IBM SP scheduling system", 1995): the first workload that waits for room is promised
 * the nodes on which it will fit soonest; others may start before it only elsewhere, or when they will have ended by
 * then. Run times are declared or learned; of one about which nothing is known we believe that it has as long to go as
 * it has run.
 */
import type { Fitter } from './fit.ts';
import { findFewest } from './victims.ts';
import type { Workload } from './workload.ts';

/** Nodes kept for a workload. */
export interface NodePromise {
  readonly workload: Workload;
  /** When it is expected to start. */
  readonly startMs: number;
  /** 1 for nodes that are not kept. */
  readonly others: Uint8Array;
}

/** Who has waited this long for room is promised nodes, in a cluster and in what is foretold of it. */
export const PROMISE_AFTER_MS = 60_000;
/** What has just started is believed to run at least this long. */
const LEAST_MS = 60_000;

/** When the workload is believed to end. */
export function expectedEndMs({ startedAtMs, estimateMs }: Workload, nowMs: number): number {
  const elapsedMs = nowMs - (startedAtMs ?? nowMs);
  const isOverdue = estimateMs === undefined || elapsedMs > estimateMs;
  return nowMs + (isOverdue ? Math.max(LEAST_MS, elapsedMs) : estimateMs - elapsedMs);
}

/** Undefined when it would not fit even if all others had ended. Changes nothing. */
export function promiseNodes(
  fitter: Fitter,
  workload: Workload,
  { running, nowMs }: { readonly running: readonly Workload[]; readonly nowMs: number },
): NodePromise | undefined {
  const { ledger } = fitter;
  const ends = running
    .map((other) => ({ other, endMs: expectedEndMs(other, nowMs) }))
    .sort((a, b) => a.endMs - b.endMs);
  const mark = ledger.mark();
  fitter.isTelling = false;
  const found = findFewest(ledger, ends.length, (count) => {
    for (const { other } of ends.slice(0, count)) for (const held of ledger.holdingsOf(other)) ledger.release(held);
    if (fitter.start(workload) !== undefined) return undefined;
    const others = new Uint8Array(ledger.pool.nodes.length).fill(1);
    for (const { placement } of ledger.holdingsOf(workload)) others[placement.node] = 0;
    return { workload, startMs: ends[count - 1]?.endMs ?? nowMs, others };
  });
  fitter.isTelling = true;
  ledger.rollback(mark);
  return found;
}
