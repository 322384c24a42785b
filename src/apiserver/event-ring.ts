/** The recent past of the store, bounded by count, so that a watch can resume where it was cut. */
import type { StoredObject } from '../kube/object.ts';
import { StatusError } from '../kube/status-error.ts';
import type { Address } from './address.ts';

export interface StoreEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly revision: number;
  readonly address: Address;
  /** The new state, or the last one of a deleted object; its resourceVersion is `revision`. */
  readonly object: StoredObject;
  readonly previous: StoredObject | undefined;
}

/** Changes kept; about ten minutes of a busy laptop. */
const EVENTS_MAX = 20_000;

/** The last changes, in order of revision. */
export class EventRing {
  #events: StoreEvent[] = [];
  #floor: number;

  /** `revision` is the newest one there was before this process: nothing older can be replayed. */
  constructor(revision: number) {
    this.#floor = revision;
  }

  /** Watches may start from this revision or a later one. */
  get floor(): number {
    return this.#floor;
  }

  push(event: StoreEvent): void {
    this.#events.push(event);
    if (this.#events.length < EVENTS_MAX * 1.25) return;
    const dropped = this.#events.splice(0, this.#events.length - EVENTS_MAX);
    this.#floor = dropped.at(-1)?.revision ?? this.#floor;
  }

  /** Events after `revision`, oldest first; O(log n) to find the first. @throws Expired when some are forgotten. */
  since(revision: number): readonly StoreEvent[] {
    if (revision < this.#floor) {
      throw new StatusError('Expired', `too old resource version: ${revision} (${this.#floor})`);
    }
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#events[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#events.slice(low);
  }
}
