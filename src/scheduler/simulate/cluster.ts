/**
 * A cluster that does at once what plans say: the scheduler's own plans, carried out without an API server. Time is a
 * number that the caller moves.
 */

import type { Holding } from '../cycle/ledger.ts';
import type { Nomination } from '../cycle/nominations.ts';
import { type CyclePlan, planCycle, type Scene } from '../cycle/plan-cycle.ts';
import { countDevicesHeld } from '../cycle/service.ts';
import type { Workload } from '../cycle/workload.ts';
import { at } from '../pool/pool.ts';

/** What stays the same from plan to plan. */
export type ClusterOptions = Omit<Scene, 'nowMs' | 'workloads' | 'nominations'>;

type Place = NonNullable<Workload['members'][number]['on']>;

interface Running {
  readonly workload: Workload;
  /** Places by member. */
  readonly on: Map<string, Place>;
  startedAtMs: number | undefined;
  partialSinceMs: number | undefined;
  attainedMs: number;
  /** Up to when that is counted. */
  countedToMs: number;
  /** As it was last told; undefined: something has changed since. */
  told: Workload | undefined;
}

/** Members have room or have not; whoever is stopped waits again at once, as it was when it came. */
export class SimulatedCluster {
  readonly #states = new Map<string, Running>();
  #options: ClusterOptions;
  #nominations: readonly Nomination[] = [];

  constructor(options: ClusterOptions) {
    this.#options = options;
  }

  /** Other nodes or queues from now on. Who stood on a node that is gone has lost his room. */
  change(options: Partial<ClusterOptions>): void {
    this.#options = { ...this.#options, ...options };
    const names = new Set(this.#options.nodes.map(({ name }) => name));
    for (const state of this.#states.values()) {
      const isLost = [...state.on.values()].some(({ node }) => !names.has(node));
      if (isLost) this.#stop(state);
    }
  }

  /** Another process leads from now on: it knows what is stored, and nothing that was only remembered. */
  changeLeader(): void {
    this.#nominations = [];
  }

  /** A workload comes, with the room that its members say they have. */
  submit(workload: Workload): void {
    const on = new Map(workload.members.flatMap(({ key, on: place }) => (place === undefined ? [] : [[key, place]])));
    const { startedAtMs, partialSinceMs, attainedMs = 0 } = workload;
    const state = {
      workload,
      on,
      startedAtMs,
      partialSinceMs,
      attainedMs,
      countedToMs: startedAtMs ?? 0,
      told: undefined,
    };
    this.#states.set(workload.key, state);
  }

  /** A workload has ended, or is no longer wanted. */
  remove(key: string): void {
    this.#states.delete(key);
  }

  /** All workloads as they stand now. */
  workloads(): readonly Workload[] {
    return [...this.#states.values()].map(describe);
  }

  /** The workload as it stands now. */
  find(key: string): Workload | undefined {
    const state = this.#states.get(key);
    return state && describe(state);
  }

  /** What the scheduler would be asked now. */
  scene(nowMs: number): Scene {
    for (const state of this.#states.values()) count(state, nowMs);
    return { ...this.#options, nowMs, workloads: this.workloads(), nominations: this.#nominations };
  }

  /**
   * Plans, by other options this once where some are given, and carries out. Room that was made for somebody is
   * taken by him in the next cycle.
   */
  cycle(nowMs: number, options: Partial<ClusterOptions> = {}): CyclePlan {
    const plan = planCycle({ ...this.scene(nowMs), ...options });
    this.#nominations = plan.nominations;
    for (const { workload, holdings, kind } of plan.victims) {
      const state = this.#states.get(workload.key);
      if (state === undefined) continue;
      if (kind === 'whole') this.#stop(state);
      else this.#cut(state, holdings);
    }
    for (const { workload, holdings } of plan.starts) this.#seat(workload.key, holdings, { plan, nowMs });
    return plan;
  }

  #seat(key: string, holdings: readonly Holding[], { plan, nowMs }: { plan: CyclePlan; nowMs: number }): void {
    const state = this.#states.get(key);
    if (state === undefined) return;
    const { pool } = plan.ledger;
    for (const { member, placement } of holdings) {
      const first = at(pool.firstDevice, placement.node);
      state.on.set(member.key, {
        node: pool.nodes[placement.node]?.name ?? '',
        devices: placement.devices.map((device) => device - first),
      });
    }
    state.told = undefined;
    if (state.on.size >= state.workload.minMember) state.startedAtMs ??= nowMs;
    else state.partialSinceMs ??= nowMs;
  }

  #cut(state: Running, holdings: readonly Holding[]): void {
    state.told = undefined;
    for (const { member } of holdings) state.on.delete(member.key);
  }

  #stop(state: Running): void {
    state.on.clear();
    state.told = undefined;
    state.startedAtMs = undefined;
    state.partialSinceMs = undefined;
  }
}

/** Counts what it has had since the last time. */
function count(state: Running, nowMs: number): void {
  const elapsedMs = nowMs - state.countedToMs;
  state.countedToMs = nowMs;
  if (state.on.size === 0 || elapsedMs <= 0) return;
  state.attainedMs += elapsedMs * countDevicesHeld(describe(state));
  state.told = undefined;
}

function describe(state: Running): Workload {
  if (state.told !== undefined) return state.told;
  const { workload, on, startedAtMs, partialSinceMs, attainedMs } = state;
  const members = workload.members.map((member) => ({ ...member, on: on.get(member.key) }));
  state.told = { ...workload, members, startedAtMs, partialSinceMs, attainedMs };
  return state.told;
}
