/** Protocol buffers without their schema: fields where they lie. Holds one window of bytes. */
import { StatusError } from '../kube/status-error.ts';
import { type Bytes, readBytes } from './bytes.ts';

const WINDOW_BYTES = 256 * 1024;

/** A field; `start` to `end` are its content's bytes, or nothing of a number. */
export interface Field {
  readonly number: number;
  readonly isMessage: boolean;
  readonly start: number;
  readonly end: number;
}

/** Reads fields and texts of one file. */
export class MessageReader {
  readonly #bytes: Bytes;
  #window: Buffer = Buffer.alloc(0);
  #windowStart = 0;

  constructor(bytes: Bytes) {
    this.#bytes = bytes;
  }

  get sizeBytes(): number {
    return this.#bytes.sizeBytes;
  }

  /** The fields between two places, in order. @throws Invalid where there are none */
  async *fields(start: number, end: number): AsyncGenerator<Field> {
    let at = start;
    while (at < end) {
      const tag = await this.#varint(at);
      const [number, wire] = [Math.floor(tag.value / 8), tag.value % 8];
      const field = await this.#content(wire, tag.next);
      if (number === 0 || field.end > end) throw new StatusError('Invalid', `it has no field at byte ${at}`);
      yield { number, isMessage: wire === 2, ...field };
      at = field.end;
    }
  }

  /** The text of a field, cut to `limit` bytes. */
  async text({ start, end }: Field, limit = 4_096): Promise<string> {
    return (await this.#take(start, Math.min(end - start, limit))).toString();
  }

  async #content(wire: number, at: number): Promise<{ start: number; end: number }> {
    if (wire === 0) return { start: at, end: (await this.#varint(at)).next };
    if (wire === 1) return { start: at, end: at + 8 };
    if (wire === 5) return { start: at, end: at + 4 };
    if (wire !== 2) throw new StatusError('Invalid', `it has no field at byte ${at}`);
    const { value, next } = await this.#varint(at);
    return { start: next, end: next + value };
  }

  async #varint(at: number): Promise<{ value: number; next: number }> {
    const bytes = await this.#take(at, 10);
    let value = 0;
    for (const [index, byte] of bytes.entries()) {
      value += (byte & 0x7f) * 2 ** (7 * index);
      if (byte < 0x80) return { value, next: at + index + 1 };
    }
    throw new StatusError('Invalid', `it has no number at byte ${at}`);
  }

  async #take(at: number, length: number): Promise<Buffer> {
    const from = at - this.#windowStart;
    if (from >= 0 && from + length <= this.#window.length) return this.#window.subarray(from, from + length);
    this.#window = await readBytes(this.#bytes, at, Math.max(length, WINDOW_BYTES));
    this.#windowStart = at;
    return this.#window.subarray(0, length);
  }
}
