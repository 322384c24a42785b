/** One at a time, in order of arrival. Knows nothing of what is guarded. */

/** A queue of waiters; its length is bounded by the callers, each of whom waits for one thing. */
export class Turnstile {
  #isTaken = false;
  readonly #waiting: (() => void)[] = [];

  /** Resolves when it is the caller's turn; every `enter` needs one `leave`. */
  async enter(): Promise<void> {
    if (!this.#isTaken) {
      this.#isTaken = true;
      return;
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#isTaken = false;
  }
}
