/** Events wait their turn, so that bindings need not; beyond a limit they are dropped, as in client-go. */
import type { Occurrence, RecordEvent } from '../../client/events.ts';
import type { KubeObject } from '../../kube/object.ts';

/** Events that wait at most; a new one is dropped then. */
const MOST_WAITING = 50_000;
/** Requests under way at once. */
const PARALLEL = 2;

/** Writes events one after the other, in the order in which they were recorded. */
export class EventQueue {
  readonly #record: RecordEvent;
  /** A set: its first is taken out cheaply. */
  readonly #waiting = new Set<{ readonly object: KubeObject; readonly occurrence: Occurrence }>();
  readonly #writers = new Set<Promise<void>>();
  #isClosed = false;

  constructor(record: RecordEvent) {
    this.#record = record;
  }

  /** Returns at once: the event is written later. */
  record(object: KubeObject, occurrence: Occurrence): void {
    if (this.#isClosed || this.#waiting.size >= MOST_WAITING) return;
    this.#waiting.add({ object, occurrence });
    if (this.#writers.size >= PARALLEL) return;
    const writer = this.#write().finally(() => this.#writers.delete(writer));
    this.#writers.add(writer);
  }

  async #write(): Promise<void> {
    for (const next of this.#waiting) {
      this.#waiting.delete(next);
      await this.#record(next.object, next.occurrence);
    }
  }

  /** Drops what waits, and ends once nothing is under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#waiting.clear();
    await Promise.all(this.#writers);
  }
}
