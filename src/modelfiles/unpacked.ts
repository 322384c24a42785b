/**
 * Packed bytes as the bytes they unpack to, by zlib. Reads from the beginning each time; never holds more than a
 * window.
 */
import { Readable, type Transform } from 'node:stream';
import { createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import { StatusError } from '../kube/status-error.ts';
import type { Bytes } from './bytes.ts';

export type Packing = 'deflate' | 'zlib' | 'gzip';

const OPEN: Readonly<Record<Packing, () => Transform>> = {
  deflate: createInflateRaw,
  zlib: createInflate,
  gzip: createGunzip,
};

/** The unpacked bytes. @throws Invalid while reading, when they are broken */
export async function* unpack(packed: Bytes, packing: Packing): AsyncGenerator<Uint8Array> {
  const source = Readable.from(packed.stream(0, packed.sizeBytes), { objectMode: false });
  const opened = OPEN[packing]();
  source.on('error', (error) => opened.destroy(error));
  try {
    yield* source.pipe(opened);
  } catch (cause) {
    throw broken(cause);
  } finally {
    source.destroy();
    opened.destroy();
  }
}

/** Without zlib's own words: which of two faults it meets first depends on how the bytes are cut. */
function broken(cause?: unknown): StatusError {
  return new StatusError('Invalid', 'it cannot be unpacked to what it says', { cause });
}

/** As bytes of a known size. @throws Invalid while reading, when they do not end there */
export function unpackedBytes(packed: Bytes, packing: Packing, sizeBytes: number): Bytes {
  return {
    sizeBytes,
    stream: (start, end) => {
      const all = unpack(packed, packing);
      return cut(end < sizeBytes ? all : endAt(all, sizeBytes), start, end);
    },
  };
}

/** A program that trusts the size would take what this refuses: packed bytes cut off, or with more behind. */
async function* endAt(source: AsyncIterable<Uint8Array>, sizeBytes: number): AsyncGenerator<Uint8Array> {
  let at = 0;
  let last: Uint8Array | undefined;
  for await (const part of source) {
    at += part.length;
    if (at > sizeBytes) throw broken();
    if (last) yield last;
    last = part;
  }
  if (last) yield last;
}

async function* cut(source: AsyncIterable<Uint8Array>, start: number, end: number): AsyncGenerator<Uint8Array> {
  let at = 0;
  if (end <= start) return;
  for await (const part of source) {
    const [from, to] = [Math.max(0, start - at), Math.min(part.length, end - at)];
    at += part.length;
    if (to > from) yield part.subarray(from, to);
    if (at >= end) return;
  }
}
