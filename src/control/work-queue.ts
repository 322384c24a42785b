/**
 * A queue of names to look at: each once however often it is asked for, one at a time, later after failure. Source:
 * client-go workqueue.
 */
import { type BackoffOptions, backoffMs } from '../base/backoff.ts';
import type { Cancel, Clock } from '../base/clock.ts';

export interface WorkQueueOptions {
  readonly clock: Clock;
  /**
   * Handles one key; what it throws is reported and the key comes again after a backoff. Resolves to when it wants to
   * be asked again.
   */
  readonly work: (key: string) => Promise<{ readonly againInMs?: number | undefined }>;
  readonly report: (key: string, error: unknown) => void;
  /** Keys worked on at the same time. */
  readonly workers: number;
  readonly backoff?: BackoffOptions;
}

const BACKOFF_DEFAULT: BackoffOptions = { firstMs: 50, maxMs: 60_000 };

/** Keys that wait for work, one worker per key. */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #waiting = new Set<string>();
  readonly #active = new Set<string>();
  /** Keys asked for while they were worked on. */
  readonly #again = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #timers = new Map<string, { cancel: Cancel; atMs: number }>();
  #closed = false;
  #idle: (() => void)[] = [];

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** Asks for the key to be worked on soon. */
  add(key: string): void {
    if (this.#closed) return;
    if (this.#active.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#start();
  }

  /** Asks for the key after a while; the earliest wish counts. */
  addAfter(key: string, delayMs: number): void {
    const atMs = this.#options.clock.nowMs() + delayMs;
    const planned = this.#timers.get(key);
    if (this.#closed || (planned !== undefined && planned.atMs <= atMs)) return;
    planned?.cancel();
    const cancel = this.#options.clock.after(delayMs, () => {
      this.#timers.delete(key);
      this.add(key);
    });
    this.#timers.set(key, { cancel, atMs });
  }

  /** Stops taking and starting work; resolves when what is under way has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting.clear();
    for (const { cancel } of this.#timers.values()) cancel();
    this.#timers.clear();
    if (this.#active.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #start(): void {
    while (this.#active.size < this.#options.workers) {
      const [key] = this.#waiting;
      if (key === undefined) return;
      this.#waiting.delete(key);
      this.#active.add(key);
      void this.#run(key);
    }
  }

  async #run(key: string): Promise<void> {
    try {
      const { againInMs } = await this.#options.work(key);
      this.#failures.delete(key);
      if (againInMs !== undefined) this.addAfter(key, againInMs);
    } catch (error) {
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      this.#options.report(key, error);
      this.addAfter(key, backoffMs(failures, this.#options.backoff ?? BACKOFF_DEFAULT));
    }
    this.#active.delete(key);
    if (this.#again.delete(key)) this.add(key);
    this.#start();
    if (this.#active.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }
}
