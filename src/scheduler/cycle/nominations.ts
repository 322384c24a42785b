/**
 * Room promised to a workload while those who were stopped for it are leaving: it is theirs before anybody else's,
 * for a limited time, so that one who never leaves blocks nobody but himself.
 */
import { fullestDevices } from '../placement/policy.ts';
import type { Demand } from '../pool/pool.ts';
import type { Fitter } from './fit.ts';
import type { Holding, Ledger } from './ledger.ts';
import type { Member, Workload } from './workload.ts';

/** A promise of places, by what members need: the pods themselves may be made again meanwhile. */
export interface Nomination {
  /** Of the workload. */
  readonly key: string;
  readonly sinceMs: number;
  /** As it was then. */
  readonly workload: Workload;
  readonly places: readonly { readonly demand: Demand; readonly node: string }[];
}

/** A promise that could not be kept within this time is planned anew. */
const PROMISED_MS = 120_000;

/** What the workload has just been given in the ledger. */
export function nominate(ledger: Ledger, workload: Workload, nowMs: number): Nomination {
  const places = ledger.holdingsOf(workload).map(({ placement }) => ({
    demand: placement.task.demand,
    node: ledger.pool.nodes[placement.node]?.name ?? '',
  }));
  return { key: workload.key, sinceMs: nowMs, workload, places };
}

/** What nominations are held against. */
export interface Promised {
  readonly nominations: readonly Nomination[];
  readonly workloads: readonly Workload[];
  readonly nowMs: number;
}

interface Honoured {
  readonly starts: readonly { readonly workload: Workload; readonly holdings: readonly Holding[] }[];
  /** Those whose room is still held by others. */
  readonly kept: readonly Nomination[];
}

/** Gives the promised places to those who can have them now, and keeps them from others for the rest. */
export function honourNominations(fitter: Fitter, { nominations, workloads, nowMs }: Promised): Honoured {
  const starts: { workload: Workload; holdings: readonly Holding[] }[] = [];
  const kept: Nomination[] = [];
  const byKey = new Map(workloads.map((workload) => [workload.key, workload]));
  for (const nomination of nominations) {
    if (nowMs - nomination.sinceMs >= PROMISED_MS) continue;
    const outcome = honour(fitter, byKey.get(nomination.key), nomination);
    if (outcome === 'kept') kept.push(nomination);
    else if (outcome !== 'void') starts.push(outcome);
  }
  return { starts, kept };
}

type Start = Honoured['starts'][number];

function honour(fitter: Fitter, workload: Workload | undefined, nomination: Nomination): Start | 'kept' | 'void' {
  const needed = workload === undefined ? [] : fitter.needed(workload);
  if (workload !== undefined && needed.length > 0) return seat(fitter, workload, { needed, nomination });
  const isThere = workload?.members.some(({ isLeaving }) => isLeaving !== true) === true;
  if (isThere) return 'void';
  // why: the pods of who was moved are made again by somebody else, after a while; their room is kept until then
  const stand = nomination.places.map(({ demand }, index): Member => ({ key: `${nomination.key}#${index}`, demand }));
  const outcome = seat(fitter, nomination.workload, { needed: stand, nomination });
  return outcome === 'void' ? 'void' : 'kept';
}

function seat(
  fitter: Fitter,
  workload: Workload,
  { needed, nomination }: { readonly needed: readonly Member[]; readonly nomination: Nomination },
): Start | 'kept' | 'void' {
  const { ledger } = fitter;
  const left = [...nomination.places];
  const mark = ledger.mark();
  let isFree = true;
  for (const member of needed) {
    const place = left.findIndex(({ demand }) => demand.key === member.demand.key);
    const node = ledger.pool.indexOf(left[place]?.node ?? '');
    const task = fitter.classOf(member);
    if (node < 0 || task.admitted[node] !== 1) {
      ledger.rollback(mark);
      return 'void';
    }
    left.splice(place, 1);
    if (!ledger.pool.fits(task, node)) isFree = false;
    // why: devices that others still hold cannot be taken yet; those that are free are kept
    ledger.take({ workload, member, placement: { task, node, devices: fullestDevices(ledger.pool, task, node) } });
  }
  if (!isFree) return 'kept';
  const keys = new Set(needed.map(({ key }) => key));
  return { workload, holdings: ledger.holdingsOf(workload).filter(({ member }) => keys.has(member.key)) };
}
