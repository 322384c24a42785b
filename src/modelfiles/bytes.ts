/**
 * Bytes that lie somewhere: a file, a blob, a part of either, or memory. Knows ranges; holds no more than it is asked
 * for.
 */
import { StatusError } from '../kube/status-error.ts';

/** A known number of bytes that can be read from anywhere. */
export interface Bytes {
  readonly sizeBytes: number;
  /** Bytes from `start` up to, without, `end`, in order; both lie within the size. */
  stream(start: number, end: number): AsyncIterable<Uint8Array>;
}

/** Bytes that are in memory already. */
export function memoryBytes(content: Uint8Array): Bytes {
  return {
    sizeBytes: content.length,
    stream: async function* (start, end) {
      if (end > start) yield content.subarray(start, end);
    },
  };
}

/** A part of others. */
export function sliceBytes(whole: Bytes, start: number, end: number): Bytes {
  return { sizeBytes: end - start, stream: (from, to) => whole.stream(start + from, start + to) };
}

/** At most `lengthBytes` from `start`; fewer where the bytes end. */
export async function readBytes(bytes: Bytes, start: number, lengthBytes: number): Promise<Buffer> {
  const end = Math.min(bytes.sizeBytes, start + lengthBytes);
  if (start < 0 || start >= end) return Buffer.alloc(0);
  const parts: Uint8Array[] = [];
  for await (const part of bytes.stream(start, end)) parts.push(part);
  return Buffer.concat(parts);
}

/** All of them. @throws Invalid when there are more than `limitBytes` */
export async function readAll(bytes: Bytes, limitBytes: number): Promise<Buffer> {
  if (bytes.sizeBytes <= limitBytes) return readBytes(bytes, 0, bytes.sizeBytes);
  throw new StatusError('Invalid', `it has ${bytes.sizeBytes} bytes, more than ${limitBytes}`);
}
