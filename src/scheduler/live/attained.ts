/**
 * What workloads have had so far, in device-time, by key: their pods come and go, and a queue that goes by service
 * must know it all. Kept in memory: a scheduler that starts anew counts what runs from its start, and forgets earlier
 * runs.
 */
import { countDevicesHeld } from '../cycle/service.ts';
import type { Workload } from '../cycle/workload.ts';

/** Workloads that are remembered; the one that was seen longest ago goes first. */
const MOST_KEYS = 20_000;
/** Who was not seen for so long has ended: one that comes under its name is another. */
const FORGOTTEN_MS = 3_600_000;

interface Had {
  readonly attainedMs: number;
  readonly seenMs: number;
}

/** What a look depends on. */
export interface AttainedOptions {
  readonly nowMs: number;
  /** Whom to count: those of queues that go by service. Default: all. */
  readonly isCounted?: (workload: Workload) => boolean;
}

/** Counts from one look to the next. */
export class Attained {
  readonly #had = new Map<string, Had>();

  /** The workloads with what each has had; a run that ended between two looks counts up to the first of them. */
  tell(workloads: readonly Workload[], { nowMs, isCounted = () => true }: AttainedOptions): readonly Workload[] {
    const told = workloads.map((workload) => (isCounted(workload) ? this.#count(workload, nowMs) : workload));
    for (const [key, { seenMs }] of this.#had) {
      if (this.#had.size <= MOST_KEYS && nowMs - seenMs < FORGOTTEN_MS) break;
      this.#had.delete(key);
    }
    return told;
  }

  #count(workload: Workload, nowMs: number): Workload {
    const { key, startedAtMs } = workload;
    const { attainedMs: before, seenMs } = this.#had.get(key) ?? { attainedMs: 0, seenMs: 0 };
    const sinceMs = Math.max(seenMs, startedAtMs ?? nowMs);
    const attainedMs = before + Math.max(0, nowMs - sinceMs) * countDevicesHeld(workload);
    // why: taken out first, so that the map stays in the order of when each was seen
    this.#had.delete(key);
    this.#had.set(key, { attainedMs, seenMs: nowMs });
    return { ...workload, attainedMs };
  }
}
