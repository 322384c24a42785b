/**
 * Room that is kept for the workloads that name it. While a reservation lasts it holds its room as a workload of its
 * own, which nobody may stop; before it begins, nodes are kept from those who would not have ended by then.
 */
import type { Demand } from '../pool/pool.ts';
import type { Fitter } from './fit.ts';
import type { Refusal } from './gates.ts';
import type { Workload } from './workload.ts';

/** A reservation, and where it holds room. */
export interface Reserved {
  readonly name: string;
  readonly queue: string;
  readonly demand: Demand;
  /** Members whose room is not in use by workloads that name it. */
  readonly members: number;
  readonly startMs: number;
  readonly endMs: number;
  /** Nodes that it has; at most as many as members. */
  readonly nodes: readonly string[];
}

/** Nodes are kept this long before a reservation begins. */
const AHEAD_MS = 3_600_000;
/** Before all others of its queue. */
const FIRST_PRIORITY = 2_000_000;

interface Times {
  readonly nowMs: number;
  readonly reservations?: readonly Reserved[] | undefined;
}

/** Reservations that last now, as workloads. */
export function listActive({ nowMs, reservations = [] }: Times): readonly Workload[] {
  return reservations
    .filter(({ startMs, endMs, members }) => startMs <= nowMs && nowMs < endMs && members > 0)
    .map(toWorkload);
}

/** Those that begin soon. */
export function listUpcoming({ nowMs, reservations = [] }: Times): readonly { workload: Workload; startMs: number }[] {
  return reservations
    .filter(({ startMs, endMs }) => startMs > nowMs && startMs - nowMs <= AHEAD_MS && endMs > startMs)
    .map((reserved) => ({ workload: toWorkload({ ...reserved, nodes: [] }), startMs: reserved.startMs }));
}

/** Under which key a reservation holds its room. */
export function reservationKey(name: string): string {
  return `reservation/${name}`;
}

/** True for the workload that a reservation is. */
export function isReservation({ key }: Workload): boolean {
  return key.startsWith(reservationKey(''));
}

function toWorkload({ name, queue, demand, members, startMs, nodes }: Reserved): Workload {
  const key = reservationKey(name);
  return {
    key,
    queue,
    priority: FIRST_PRIORITY,
    isPreemptible: false,
    createdAtMs: startMs,
    minMember: 1,
    ...(nodes.length > 0 && { startedAtMs: startMs }),
    members: Array.from({ length: members }, (_, index) => {
      const node = nodes[index];
      return { key: `${key}#${index}`, demand, ...(node !== undefined && { on: { node } }) };
    }),
  };
}

/** Starts the workload in the room of its reservation; what it does not use stays reserved. */
export function startReserved(fitter: Fitter, workload: Workload, all: readonly Reserved[]): Refusal | undefined {
  const { ledger } = fitter;
  const name = workload.reservation ?? '';
  if (!all.some((one) => one.name === name))
    return { reason: 'Unusable', message: `there is no reservation ${name}, or it is over` };
  const holdings = [...(ledger.held.get(reservationKey(name))?.values() ?? [])];
  if (holdings.length === 0) return { reason: 'Reserved', message: `the reservation ${name} holds no room now` };
  const count = fitter.needed(workload).length;
  const mark = ledger.mark();
  const allowed = new Uint8Array(ledger.pool.nodes.length);
  for (const holding of holdings) {
    ledger.release(holding);
    allowed[holding.placement.node] = 1;
  }
  const refusal = fitter.start(workload, allowed);
  if (refusal !== undefined) {
    ledger.rollback(mark);
    return refusal;
  }
  let spare = holdings.length - count;
  for (const holding of holdings) {
    if (spare <= 0 || !fitter.canReturn(holding)) continue;
    ledger.take(holding);
    spare -= 1;
  }
  return undefined;
}
