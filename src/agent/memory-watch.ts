/** Watches the memory of process trees where no control group does, by sampling. Decides only "too much". */
import type { Cancel, Clock } from '../base/clock.ts';
import { SAMPLE_MS } from './limits.ts';
import { findTree, listProcesses } from './process-table.ts';

interface Watched {
  readonly pid: number;
  readonly limitBytes: number;
  readonly onExceeded: () => void;
}

/** Watches the memory of process trees where control groups cannot. */
export class MemoryWatch {
  readonly #clock: Clock;
  readonly #watched = new Set<Watched>();
  #cancel: Cancel | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `onExceeded` each time a sample of the tree's resident memory is over the limit. Returns how to stop. */
  watch(watched: Watched): Cancel {
    this.#watched.add(watched);
    this.#cancel ??= this.#clock.after(SAMPLE_MS, () => this.#sample());
    return () => {
      this.#watched.delete(watched);
      if (this.#watched.size === 0) this.#stop();
    };
  }

  #stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #sample(): void {
    const rows = listProcesses();
    for (const { pid, limitBytes, onExceeded } of this.#watched) {
      const usedBytes = findTree(pid, rows).reduce((sum, { residentBytes }) => sum + residentBytes, 0);
      if (usedBytes > limitBytes) onExceeded();
    }
    this.#cancel = this.#watched.size === 0 ? undefined : this.#clock.after(SAMPLE_MS, () => this.#sample());
  }
}
