/** Reservations as the planner takes them, and what their objects are told. */
import type { ReservationSpec, ReservationStatus } from '../../kinds/reservation/kind.ts';
import { mergeConditions } from '../../kube/condition.ts';
import type { ObjectOf } from '../../kube/object.ts';
import type { CyclePlan } from '../cycle/plan-cycle.ts';
import { type Reserved, reservationKey } from '../cycle/reservations.ts';
import type { Workload } from '../cycle/workload.ts';
import type { DeviceClasses } from './device-classes.ts';
import { readResourcesAsk, toDemand } from './read-demand.ts';
import type { PoolRules } from './read-queues.ts';

/** A Reservation object. */
export type Reservation = ObjectOf<ReservationSpec, ReservationStatus>;

/** What reading needs. */
export interface ReservationSources {
  readonly workloads: readonly Workload[];
  readonly classes: DeviceClasses;
  readonly rules: PoolRules;
  /** Where each holds room, newer than its status. */
  readonly nodesOf: (object: Reservation) => readonly string[];
}

/** The reservation, less the members whose room its workloads use. */
export function readReservation(object: Reservation, sources: ReservationSources): Reserved {
  const { metadata, spec } = object;
  const { startMs, endMs } = timesOf(object);
  const rules = sources.rules.for({ queue: spec.queue, pool: undefined });
  const demand = toDemand(readResourcesAsk(spec, sources.classes), rules, sources.classes);
  const members = Math.max(0, spec.members - countUsed(metadata.name, sources.workloads));
  return { name: metadata.name, queue: spec.queue, demand, members, startMs, endMs, nodes: sources.nodesOf(object) };
}

/** From when until when. */
function timesOf({ metadata, spec }: Reservation): { readonly startMs: number; readonly endMs: number } {
  const startMs = Date.parse(spec.startTime ?? metadata.creationTimestamp ?? '') || 0;
  return { startMs, endMs: startMs + spec.durationSeconds * 1000 };
}

function countUsed(name: string, workloads: readonly Workload[]): number {
  return workloads
    .filter((one) => one.reservation === name)
    .reduce((sum, { members }) => sum + members.filter(({ on }) => on !== undefined).length, 0);
}

/** What the object says after a plan. */
export function describeReservation(object: Reservation, plan: CyclePlan, nowMs: number): ReservationStatus {
  const { startMs, endMs } = timesOf(object);
  const phase = nowMs < startMs ? 'Pending' : nowMs < endMs ? 'Active' : 'Expired';
  const nodes = phase === 'Active' ? heldNodes(object.metadata.name, plan) : [];
  const waiting = plan.waiting.find(({ workload }) => workload.key === reservationKey(object.metadata.name));
  const used = [...plan.ledger.held.values()]
    .flatMap((own) => [...own.values()])
    .filter(({ workload }) => workload.reservation === object.metadata.name).length;
  const isKept = phase === 'Active' && nodes.length + used >= object.spec.members;
  const ready = {
    type: 'Ready',
    status: isKept ? ('True' as const) : ('False' as const),
    reason: isKept ? 'Kept' : phase,
    message: waiting?.refusal.message ?? `${nodes.length} kept, ${used} in use, of ${object.spec.members}`,
  };
  return {
    phase,
    nodes: [...nodes],
    used,
    conditions: [...mergeConditions(object.status?.conditions, [ready], nowMs)],
  };
}

/** Nodes on which the reservation holds room, one for each member. */
export function heldNodes(name: string, { ledger }: CyclePlan): readonly string[] {
  const held = [...(ledger.held.get(reservationKey(name))?.values() ?? [])];
  return held.map(({ placement }) => ledger.pool.nodes[placement.node]?.name ?? '');
}
