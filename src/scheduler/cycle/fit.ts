/**
 * Finds room for the members of a workload: all that it needs at once or none, together where it must be together.
 * Takes the room in the ledger when it succeeds, and leaves the ledger as it was when it does not.
 */
import type { Random } from '../../base/random.ts';
import { findTypicalTasks } from '../placement/fgd.ts';
import { Placer } from '../placement/placer.ts';
import { POLICIES, type PolicyName } from '../placement/policies.ts';
import { at, type TaskClass } from '../pool/pool.ts';
import { explainRoom } from './explain.ts';
import { checkGates, type Refusal } from './gates.ts';
import type { Holding, Ledger } from './ledger.ts';
import { Topologies } from './topologies.ts';
import { livingMembers, type Member, type SubGroup, type Topology, type Workload } from './workload.ts';

/** What finding room needs beside the ledger. */
export interface FitterOptions {
  readonly policy: PolicyName;
  readonly random: Random;
  readonly workloads: readonly Workload[];
}

/** Which nodes may be used: 1 each. Undefined: all. */
export type Mask = Uint8Array | undefined;

/** Finds room by the policy of the workload, or else the scheduler's. */
export class Fitter {
  readonly ledger: Ledger;
  /** False while many tries are made of which nobody will read why they failed: to say it costs O(nodes). */
  isTelling = true;
  readonly #options: FitterOptions;
  readonly #placers = new Map<PolicyName, Placer>();
  readonly #topologies: Topologies;

  constructor(ledger: Ledger, options: FitterOptions) {
    this.ledger = ledger;
    this.#options = options;
    this.#topologies = new Topologies(ledger.pool);
  }

  /** The class of the member in the pool. */
  classOf({ demand }: Member): TaskClass {
    return this.ledger.pool.classOf(demand);
  }

  /** Members that have no room yet, in the order in which they are tried. */
  missing(workload: Workload): readonly Member[] {
    const held = this.ledger.held.get(workload.key);
    return workload.members.filter(({ key, isLeaving }) => isLeaving !== true && held?.has(key) !== true);
  }

  /** Members without which the workload does not start; empty when it runs already. */
  needed(workload: Workload): readonly Member[] {
    const missing = this.missing(workload);
    if (missing.length === 0 || workload.subGroups === undefined)
      return missing.slice(0, Math.max(0, workload.minMember - this.ledger.countHeld(workload)));
    const chosen: Member[] = [];
    for (const group of workload.subGroups) {
      const isOf = ({ subGroup }: Member) => subGroup === group.name;
      const has = this.ledger.holdingsOf(workload).filter(({ member }) => isOf(member)).length;
      chosen.push(...missing.filter(isOf).slice(0, Math.max(0, group.minMember - has)));
    }
    const more = workload.minMember - this.ledger.countHeld(workload) - chosen.length;
    const rest = missing.filter((member) => !chosen.includes(member));
    return [...chosen, ...rest.slice(0, Math.max(0, more))];
  }

  /** Takes room for what the workload needs to start. */
  start(workload: Workload, mask?: Mask): Refusal | undefined {
    const there = livingMembers(workload).length;
    const unusable = workload.problem ?? workload.pause;
    if (unusable !== undefined) return { reason: 'Unusable', message: unusable };
    if (there < workload.minMember) {
      const message = `has ${there} of ${workload.minMember} members, waiting for the others`;
      return { reason: 'Members', message };
    }
    return this.place(workload, this.needed(workload), mask);
  }

  /** Takes room for these members, all or none. */
  place(workload: Workload, members: readonly Member[], mask?: Mask): Refusal | undefined {
    const gate = checkGates(
      this.ledger,
      workload,
      members.map((member) => this.classOf(member)),
    );
    if (gate !== undefined) return gate;
    const mark = this.ledger.mark();
    const allowed = this.#withoutOthers(workload, mask);
    const refusal = this.#placeTogether(workload, members, allowed);
    if (refusal !== undefined) this.ledger.rollback(mark);
    return refusal;
  }

  #placeTogether(workload: Workload, members: readonly Member[], mask: Mask): Refusal | undefined {
    const there = this.ledger.holdingsOf(workload).map(({ placement }) => placement.node);
    return this.#within({ topology: workload.topology, members, there, mask }, (allowed) =>
      this.#placeParts(workload, members, allowed),
    );
  }

  /** Sub-groups one after the other, then those of none. */
  #placeParts(workload: Workload, members: readonly Member[], mask: Mask): Refusal | undefined {
    const groups: readonly (SubGroup | undefined)[] = [...(workload.subGroups ?? []), undefined];
    for (const group of groups) {
      const part = members.filter(
        ({ subGroup }) => subGroup === group?.name || (group === undefined && !isOf(subGroup, workload)),
      );
      if (part.length === 0) continue;
      const there = this.ledger
        .holdingsOf(workload)
        .filter(({ member }) => group !== undefined && member.subGroup === group.name)
        .map(({ placement }) => placement.node);
      const refusal = this.#within({ topology: group?.topology, members: part, there, mask }, (allowed) =>
        this.#placeEach(workload, part, allowed),
      );
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  /** Tries the domains of the topology, the tightest first, and then, when none is required, all nodes. */
  #within(
    { topology, members, there, mask }: Where,
    attempt: (mask: Mask) => Refusal | undefined,
  ): Refusal | undefined {
    if (topology === undefined) return attempt(mask);
    const tasks = members.map((member) => this.classOf(member));
    let refusal: Refusal | undefined;
    for (const domain of this.#topologies.domainsFor(topology, { tasks, there, mask })) {
      const mark = this.ledger.mark();
      refusal = attempt(domain);
      if (refusal === undefined) return undefined;
      this.ledger.rollback(mark);
    }
    const key = topology.required;
    if (key === undefined) return refusal;
    const why = refusal === undefined ? 'no node has the label, or none has enough room' : refusal.message;
    return { reason: 'Topology', message: `needs ${members.length} pods within one ${key}: ${why}` };
  }

  #placeEach(workload: Workload, members: readonly Member[], mask: Mask): Refusal | undefined {
    const placer = this.#placerOf(workload.placement ?? this.#options.policy);
    for (const [done, member] of members.entries()) {
      const task = this.classOf(member);
      const placement = placer.find(task, mask);
      if (placement === undefined) {
        const why = this.isTelling ? explainRoom(this.ledger.pool, task, mask) : 'no room';
        const message = members.length === 1 ? why : `needs ${members.length} pods at once, ${done} would fit: ${why}`;
        return { reason: 'NoRoom', message };
      }
      this.ledger.take({ workload, member, placement });
    }
    return undefined;
  }

  /** Nodes that are somebody else's alone are left out; for one that wants its own, all that somebody uses. */
  #withoutOthers({ key, isExclusive = false }: Workload, mask: Mask): Mask {
    const { exclusive, occupants, pool } = this.ledger;
    if (!isExclusive && exclusive.size === 0) return mask;
    const allowed = mask === undefined ? new Uint8Array(pool.nodes.length).fill(1) : mask.slice();
    for (const [node, owner] of exclusive) if (owner !== key) allowed[node] = 0;
    if (isExclusive)
      for (const [node, there] of occupants.entries())
        if (there.size > 1 || (there.size === 1 && !there.has(key))) allowed[node] = 0;
    return allowed;
  }

  #placerOf(policy: PolicyName): Placer {
    const known = this.#placers.get(policy);
    if (known !== undefined) return known;
    const { workloads, random } = this.#options;
    const { pool } = this.ledger;
    const tasks: TaskClass[] = [];
    for (const { members } of workloads) for (const member of members) tasks.push(this.classOf(member));
    const typical = findTypicalTasks(tasks);
    const placer = new Placer(pool, POLICIES[policy].prefer({ pool, typical, random }));
    this.#placers.set(policy, placer);
    return placer;
  }

  /** True when the member could stand again exactly where it stood. */
  canReturn({ workload, placement }: Holding): boolean {
    const { pool, exclusive, occupants } = this.ledger;
    const { task, node, devices } = placement;
    const owner = exclusive.get(node);
    if (owner !== undefined && owner !== workload.key) return false;
    if (workload.isExclusive === true && (occupants[node]?.size ?? 0) > 0 && owner === undefined) return false;
    return pool.hasAmounts(task, node) && devices.every((device) => pool.deviceFits(task, device));
  }
}

interface Where {
  readonly topology: Topology | undefined;
  readonly members: readonly Member[];
  /** Nodes of members that have room already. */
  readonly there: readonly number[];
  readonly mask: Mask;
}

function isOf(subGroup: string | undefined, { subGroups = [] }: Workload): boolean {
  return subGroups.some(({ name }) => name === subGroup);
}

/** Nodes that are in both; undefined stands for all. */
export function bothMasks(a: Mask, b: Mask): Mask {
  if (a === undefined || b === undefined) return a ?? b;
  return Uint8Array.from(a, (value, node) => value & at(b, node));
}
