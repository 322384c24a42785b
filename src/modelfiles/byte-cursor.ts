/** Reads bytes in order, a window at a time. Knows how far it is; holds a window and nothing else. */
import { StatusError } from '../kube/status-error.ts';
import type { Bytes } from './bytes.ts';

/** The end came too early. @throws Invalid, always */
function ended(at: number): never {
  throw new StatusError('Invalid', `it ends at byte ${at}, in the middle`);
}

/** Call `fill` before the synchronous readers, with as many bytes as those will take. */
export class ByteCursor {
  readonly #source: AsyncIterator<Uint8Array>;
  #window: Buffer = Buffer.alloc(0);
  #next = 0;
  #windowStart: number;
  #isEnded = false;

  constructor(bytes: Bytes, start = 0) {
    this.#windowStart = start;
    this.#source = bytes.stream(start, bytes.sizeBytes)[Symbol.asyncIterator]();
  }

  /** Of the next byte, from the beginning of the bytes. */
  get position(): number {
    return this.#windowStart + this.#next;
  }

  get available(): number {
    return this.#window.length - this.#next;
  }

  /** Brings `wanted` bytes into the window, or all that are left. */
  async fill(wanted: number): Promise<void> {
    if (this.available >= wanted || this.#isEnded) return;
    const parts: Uint8Array[] = [this.#window.subarray(this.#next)];
    let length = this.available;
    while (length < wanted && !this.#isEnded) {
      const { value, done } = await this.#source.next();
      if (done) this.#isEnded = true;
      else parts.push(value);
      length += done ? 0 : value.length;
    }
    this.#windowStart += this.#next;
    this.#next = 0;
    this.#window = Buffer.concat(parts);
  }

  /** The next `length` bytes, which stay where they are. @throws Invalid when there are fewer */
  peek(length: number): Buffer {
    if (this.available < length) ended(this.#windowStart + this.#window.length);
    return this.#window.subarray(this.#next, this.#next + length);
  }

  /** The next `length` bytes. @throws Invalid when there are fewer */
  take(length: number): Buffer {
    const taken = this.peek(length);
    this.#next += length;
    return taken;
  }

  /** Passes over any number of bytes. @throws Invalid when there are fewer */
  async skip(length: number): Promise<void> {
    let left = length;
    while (left > 0) {
      await this.fill(1);
      if (this.available === 0) ended(this.position);
      const step = Math.min(left, this.available);
      this.#next += step;
      left -= step;
    }
  }

  /** What stands before the next line feed, cut to `keep` bytes, and its true length. @throws Invalid without one */
  async line(keep: number, limit: number): Promise<{ readonly text: Buffer; readonly length: number }> {
    const kept: Buffer[] = [];
    for (let length = 0; length <= limit; ) {
      await this.fill(1);
      if (this.available === 0) ended(this.position);
      const rest = this.#window.subarray(this.#next);
      const found = rest.indexOf(0x0a);
      const part = found < 0 ? rest : rest.subarray(0, found);
      if (length < keep) kept.push(Buffer.from(part.subarray(0, keep - length)));
      length += part.length;
      this.#next += part.length + (found < 0 ? 0 : 1);
      if (found >= 0) return { text: Buffer.concat(kept), length };
    }
    throw new StatusError('Invalid', `it has a line of more than ${limit} bytes`);
  }

  /** Whether nothing is left. */
  async isAtEnd(): Promise<boolean> {
    await this.fill(1);
    return this.available === 0;
  }

  /** Lets go of what it reads from. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }
}
