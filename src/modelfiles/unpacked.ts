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
    throw new StatusError('Invalid', `it cannot be unpacked (${cause instanceof Error ? cause.message : cause})`, {
      cause,
    });
  } finally {
    source.destroy();
    opened.destroy();
  }
}

/** As bytes of a known size. */
export function unpackedBytes(packed: Bytes, packing: Packing, sizeBytes: number): Bytes {
  return { sizeBytes, stream: (start, end) => cut(unpack(packed, packing), start, end) };
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
