/** What waits for room and what holds some, as the planner sees it: gangs of members under a queue. */
import type { PolicyName } from '../placement/policies.ts';
import type { Demand } from '../pool/pool.ts';

/** One pod. */
export interface Member {
  /** `namespace/name`. */
  readonly key: string;
  readonly demand: Demand;
  /** The node it has, and the devices by their place on it, when it has one. */
  readonly on?: { readonly node: string; readonly devices?: readonly number[] } | undefined;
  /** True when it is ending: it still holds its room, and counts nowhere else. */
  readonly isLeaving?: boolean;
  readonly subGroup?: string | undefined;
}

/** Where members must or should be together: keys of node labels. */
export interface Topology {
  /** All members on nodes with one value of this label, or none of them starts. */
  readonly required?: string | undefined;
  /** The same when it can be; the first that can, narrow ones first. */
  readonly preferred?: readonly string[] | undefined;
}

/** Members with a minimum and a place of their own. */
export interface SubGroup {
  readonly name: string;
  readonly minMember: number;
  readonly topology?: Topology | undefined;
}

/** Pods that start together. */
export interface Workload {
  /** Stays the same when the pods are made again. */
  readonly key: string;
  readonly queue: string;
  readonly user?: string | undefined;
  /** Larger goes first. */
  readonly priority: number;
  readonly isPreemptible: boolean;
  readonly createdAtMs: number;
  /** Since when enough members have room. */
  readonly startedAtMs?: number | undefined;
  /** Device-milliseconds that it has held so far, in this run and in earlier ones when its pods were others. */
  readonly attainedMs?: number | undefined;
  /** Members without which none starts. Those beyond it start and end one by one. */
  readonly minMember: number;
  readonly members: readonly Member[];
  readonly subGroups?: readonly SubGroup[] | undefined;
  readonly topology?: Topology | undefined;
  readonly placement?: PolicyName | undefined;
  /** Key of the reservation whose room it may use. */
  readonly reservation?: string | undefined;
  /** No member of another workload on its nodes. */
  readonly isExclusive?: boolean | undefined;
  /** How long it will probably run from its start: declared, or learned. */
  readonly estimateMs?: number | undefined;
  /** Since when it has had room for some of the members that it needs, and not for all. */
  readonly partialSinceMs?: number | undefined;
  /** A gang that has room for some members only, for longer than this, is stopped. */
  readonly startTimeoutMs?: number | undefined;
  /** Why it cannot be planned for at all, in a sentence: it has no share of anything. */
  readonly problem?: string | undefined;
  /** Why it is not started just now; its share stays its own. */
  readonly pause?: string | undefined;
}

/** Members that count: those that are not ending. */
export function livingMembers({ members }: Workload): readonly Member[] {
  return members.filter(({ isLeaving }) => isLeaving !== true);
}
