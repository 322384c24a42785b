/**
 * TFRecord files: length, masked CRC32C of the length, bytes, masked CRC32C of the bytes (tensorflow/core/lib/io/
 * record_writer.h; the checksum is RFC 3720's). Knows nothing of what records hold.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { StatusError } from '../kube/status-error.ts';

const HEADER_BYTES = 12;
const FOOTER_BYTES = 4;
/** A record of a larger length is a damaged length. */
const RECORD_BYTES_MAX = 256 * 1024 * 1024;
const READ_BYTES = 1024 * 1024;
const MASK_DELTA = 0xa282ead8;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});

/** CRC32C (Castagnoli) as TFRecord masks it. */
export function maskedCrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  crc = (crc ^ 0xffffffff) >>> 0;
  return (((crc >>> 15) | (crc << 17)) + MASK_DELTA) >>> 0;
}

/** A record as a file holds it. */
export function encodeRecord(bytes: Uint8Array): Buffer {
  const record = Buffer.alloc(HEADER_BYTES + bytes.length + FOOTER_BYTES);
  record.writeBigUInt64LE(BigInt(bytes.length), 0);
  record.writeUInt32LE(maskedCrc32c(record.subarray(0, 8)), 8);
  record.set(bytes, HEADER_BYTES);
  record.writeUInt32LE(maskedCrc32c(bytes), HEADER_BYTES + bytes.length);
  return record;
}

/**
 * The records of a file in order. A last one that is not whole ends it: its writer is at work, or was killed.
 * @throws Invalid, with the place, when a checksum is wrong
 */
export function* readRecords(path: string): Generator<Buffer> {
  const file = openSync(path, 'r');
  try {
    let pending = Buffer.alloc(0);
    let offset = 0;
    for (;;) {
      const chunk = Buffer.alloc(READ_BYTES);
      const count = readSync(file, chunk, 0, READ_BYTES, null);
      if (count === 0) return;
      pending = Buffer.concat([pending, chunk.subarray(0, count)]);
      for (let record = takeRecord(pending, path, offset); record !== undefined; ) {
        yield record;
        const length = HEADER_BYTES + record.length + FOOTER_BYTES;
        pending = pending.subarray(length);
        offset += length;
        record = takeRecord(pending, path, offset);
      }
    }
  } finally {
    closeSync(file);
  }
}

function takeRecord(bytes: Buffer, path: string, offset: number): Buffer | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const length = Number(bytes.readBigUInt64LE(0));
  if (bytes.readUInt32LE(8) !== maskedCrc32c(bytes.subarray(0, 8)) || length > RECORD_BYTES_MAX)
    throw damaged(path, offset, 'the checksum of a length is wrong');
  if (bytes.length < HEADER_BYTES + length + FOOTER_BYTES) return undefined;
  const record = bytes.subarray(HEADER_BYTES, HEADER_BYTES + length);
  if (bytes.readUInt32LE(HEADER_BYTES + length) === maskedCrc32c(record)) return record;
  throw damaged(path, offset, 'the checksum of a record is wrong');
}

function damaged(path: string, offset: number, why: string): StatusError {
  return new StatusError('Invalid', `cannot read ${path}: ${why} at byte ${offset}, what follows is lost`);
}
