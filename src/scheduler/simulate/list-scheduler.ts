/**
 * Published queueing rules to measure ours against, in their usual form: one list sorted anew, filled from the front.
 * Knows devices and nodes only as counts, and no queue. Not used by the product.
 */
import type { JobDecision, JobScheduler, TraceJob } from './jobs.ts';

/** A job as a rule sees it. */
export interface ListedJob {
  readonly job: TraceJob;
  /** Time it has had room, in all. */
  readonly runMs: number;
  readonly isRunning: boolean;
}

/** How the list is sorted and filled. */
export interface ListRule {
  /** The smallest goes first; among equals the one that came first. */
  readonly rank: (listed: ListedJob, nowMs: number) => number;
  /** True: in a round whoever is too far behind loses its room. */
  readonly isPreemptive: boolean;
  /** True: nobody passes one that finds no room. */
  readonly isStrict?: boolean;
}

const HOUR_MS = 3_600_000;
/** Limits of 2D-LAS, in device-hours: set by hand on the window 20000 (facts/scheduling.md section 3). */
const TWO_LIMITS = [3.2, 80] as const;

/** Rules by name. The oracles know durations, which no real scheduler does. */
export const LIST_RULES = {
  'FIFO strict': { rank: () => 0, isPreemptive: false, isStrict: true },
  'FIFO + skip': { rank: () => 0, isPreemptive: false },
  'SJF oracle': { rank: ({ job }) => job.durationMs, isPreemptive: false },
  'LAS continuous': { rank: ({ job, runMs }) => runMs * job.devices, isPreemptive: true },
  '2D-LAS': {
    rank: ({ job, runMs }) => TWO_LIMITS.filter((limit) => runMs * job.devices >= limit * HOUR_MS).length,
    isPreemptive: true,
  },
  'SRTF oracle': { rank: ({ job, runMs }) => job.durationMs - runMs, isPreemptive: true },
} as const satisfies Record<string, ListRule>;

interface Entry {
  readonly job: TraceJob;
  readonly order: number;
  ranMs: number;
  startedMs: number | undefined;
  /** Devices held by node. */
  places: readonly (readonly [node: number, devices: number])[];
}

/** Equal nodes; a job of more devices than one has gets empty nodes, and shares them with nobody. */
export class ListScheduler implements JobScheduler {
  readonly #entries = new Map<string, Entry>();
  readonly #free: Int32Array;
  readonly #perNode: number;
  readonly #rule: ListRule;
  #submitted = 0;

  constructor(rule: ListRule, { nodes, perNode }: { readonly nodes: number; readonly perNode: number }) {
    this.#rule = rule;
    this.#perNode = perNode;
    this.#free = new Int32Array(nodes).fill(perNode);
  }

  submit(job: TraceJob): void {
    const entry = { job, order: this.#submitted, ranMs: 0, startedMs: undefined, places: [] };
    this.#entries.set(job.name, entry);
    this.#submitted += 1;
  }

  end(name: string): void {
    const entry = this.#entries.get(name);
    if (entry !== undefined) this.#move(entry.places, this.#free, 1);
    this.#entries.delete(name);
  }

  decide(nowMs: number, isRound: boolean): JobDecision {
    return this.#rule.isPreemptive && isRound ? this.#refill(nowMs) : this.#fill(nowMs);
  }

  #fill(nowMs: number): JobDecision {
    const started: string[] = [];
    const hopeless = new Set<number>();
    for (const entry of this.#sort(nowMs).filter(({ startedMs }) => startedMs === undefined)) {
      const places = hopeless.has(entry.job.devices) ? undefined : this.#find(entry.job.devices, this.#free);
      if (places === undefined && this.#rule.isStrict === true) break;
      if (places === undefined) hopeless.add(entry.job.devices);
      else {
        this.#start(entry, places, nowMs);
        started.push(entry.job.name);
      }
    }
    return { stopped: [], started };
  }

  /** As if nobody ran; but who runs keeps its place unless one before it has taken it. */
  #refill(nowMs: number): JobDecision {
    const free = new Int32Array(this.#free.length).fill(this.#perNode);
    const hopeless = new Set<number>();
    const chosen: { entry: Entry; places: Entry['places'] }[] = [];
    const stopped: Entry[] = [];
    for (const entry of this.#sort(nowMs)) {
      const { devices } = entry.job;
      const isKept = entry.startedMs !== undefined && entry.places.every(([node, held]) => (free[node] ?? 0) >= held);
      if (isKept) this.#move(entry.places, free, -1);
      else {
        if (entry.startedMs !== undefined) stopped.push(entry);
        const places = hopeless.has(devices) ? undefined : this.#find(devices, free);
        if (places === undefined) hopeless.add(devices);
        else {
          this.#move(places, free, -1);
          chosen.push({ entry, places });
        }
      }
    }
    for (const entry of stopped) this.#stop(entry, nowMs);
    for (const { entry, places } of chosen) this.#start(entry, places, nowMs);
    return { stopped: stopped.map(({ job }) => job.name), started: chosen.map(({ entry }) => entry.job.name) };
  }

  #sort(nowMs: number): Entry[] {
    const ranked = [...this.#entries.values()].map((entry) => {
      const runMs = entry.ranMs + (entry.startedMs === undefined ? 0 : nowMs - entry.startedMs);
      return {
        entry,
        rank: this.#rule.rank({ job: entry.job, runMs, isRunning: entry.startedMs !== undefined }, nowMs),
      };
    });
    return ranked.sort((a, b) => a.rank - b.rank || a.entry.order - b.entry.order).map(({ entry }) => entry);
  }

  /** Room that nobody holds before room that somebody must leave, then the fullest node. */
  #find(devices: number, free: Int32Array): Entry['places'] | undefined {
    const whole = Math.ceil(devices / this.#perNode);
    const least = whole > 1 ? this.#perNode : devices;
    const score = (node: number) => ((this.#free[node] ?? 0) >= least ? 0 : this.#perNode + 1) + (free[node] ?? 0);
    const nodes = [...free.keys()].filter((node) => (free[node] ?? 0) >= least).sort((a, b) => score(a) - score(b));
    return nodes.length < whole ? undefined : nodes.slice(0, whole).map((node) => [node, least]);
  }

  #start(entry: Entry, places: Entry['places'], nowMs: number): void {
    this.#move(places, this.#free, -1);
    entry.places = places;
    entry.startedMs = nowMs;
  }

  #stop(entry: Entry, nowMs: number): void {
    this.#move(entry.places, this.#free, 1);
    entry.ranMs += nowMs - (entry.startedMs ?? nowMs);
    entry.startedMs = undefined;
    entry.places = [];
  }

  #move(places: Entry['places'], free: Int32Array, sign: 1 | -1): void {
    for (const [node, devices] of places) free[node] = (free[node] ?? 0) + sign * devices;
  }
}
