/**
 * Time as a parameter, so that a simulator can replay it. The system clock lives in the rooms that may touch the
 * outside world.
 */

/** Cancels a timer; calling it twice, or after the timer fired, does nothing. */
export type Cancel = () => void;

/** The only way code below floor 5 learns the time or waits. */
export interface Clock {
  /** Milliseconds since 1970, as Date.now() gives. */
  nowMs(): number;
  /** Calls `run` once, `delayMs` from now. */
  after(delayMs: number, run: () => void): Cancel;
}

/** A clock that moves only when told to, for tests and simulations. */
export class VirtualClock implements Clock {
  #nowMs: number;
  #timers: { atMs: number; run: () => void }[] = [];

  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): Cancel {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Moves on by `durationMs`, firing due timers in order of time, and of creation at equal times. */
  advance(durationMs: number): void {
    const untilMs = this.#nowMs + durationMs;
    for (;;) {
      const due = this.#timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.run();
    }
    this.#nowMs = untilMs;
  }
}

/** The timers that a JavaScript host has; `globalThis` of Node and browsers fits. */
export interface HostTimers<Handle> {
  setTimeout(run: () => void, delayMs: number): Handle;
  clearTimeout(handle: Handle): void;
}

/** The longest delay a host's timer takes. */
const HOST_DELAY_MAX_MS = 2 ** 31 - 1;

/** The real clock, made of the host's own timers: `hostClock(globalThis)`. */
export function hostClock<Handle>(host: HostTimers<Handle>): Clock {
  return {
    nowMs: () => Date.now(),
    after: (delayMs, run) => {
      const handle = host.setTimeout(run, Math.min(Math.max(0, delayMs), HOST_DELAY_MAX_MS));
      return () => host.clearTimeout(handle);
    },
  };
}

/** Resolves `delayMs` from now; at once when `signal` is aborted. */
export function pause(clock: Clock, delayMs: number, signal?: StopSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', stop);
      resolve();
    });
    function stop(): void {
      cancel();
      resolve();
    }
    signal?.addEventListener('abort', stop, { once: true });
  });
}

/** The part of AbortSignal that waiting needs. */
export interface StopSignal {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}
