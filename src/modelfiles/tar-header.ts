/** The blocks of a tar (ustar, GNU, pax) that say what follows. Knows no entry's bytes. */
import { StatusError } from '../kube/status-error.ts';
import { type Bytes, readBytes } from './bytes.ts';

/** Everything in a tar is a multiple of it. */
export const TAR_BLOCK_BYTES = 512;
const LONG_NAME_BYTES_MAX = 64 * 1024;

/** What a header says of the entry behind it. */
export interface TarHeader {
  readonly name: string;
  readonly sizeBytes: number;
  readonly type: string;
}

/** Whether a tar begins with this block. */
export function isTarHeader(block: Buffer): boolean {
  return block.length >= TAR_BLOCK_BYTES && block.toString('latin1', 257, 262) === 'ustar' && hasChecksum(block);
}

/** Whether this block is about the next entry. */
export function isExtension(type: string): boolean {
  return 'xgLK'.includes(type);
}

/** A name that the next entry has instead of its own. Names of links do not matter: links are refused. */
export async function readLongName(
  bytes: Bytes,
  { sizeBytes, type }: TarHeader,
  start: number,
): Promise<string | undefined> {
  if (sizeBytes > LONG_NAME_BYTES_MAX) throw new StatusError('Invalid', 'a header is too long');
  const text = (await readBytes(bytes, start, sizeBytes)).toString();
  if (type === 'L') return text.replace(/\0.*$/s, '');
  if (type === 'K') return undefined;
  // A size in a pax header would move all that follows.
  if (/(^|\n)\d+ (size|GNU\.sparse[^=]*)=/.test(text)) throw new StatusError('Invalid', 'it has sizes in pax headers');
  return [...text.matchAll(/(?:^|\n)\d+ path=([^\n]*)/g)].at(-1)?.[1];
}

/** @throws Invalid when its checksum is wrong */
export function parseTarHeader(block: Buffer): TarHeader {
  if (block.length < TAR_BLOCK_BYTES || !hasChecksum(block)) throw new StatusError('Invalid', 'it has a broken header');
  const text = (from: number, to: number) => block.toString('utf8', from, to).replace(/\0.*$/s, '');
  const isUstar = block.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = isUstar ? text(345, 500) : '';
  const name = prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`;
  return { name, sizeBytes: parseSize(block.subarray(124, 136)), type: String.fromCharCode(block[156] ?? 0) };
}

/** Octal digits, or a number of 95 bits behind a set bit. */
function parseSize(field: Buffer): number {
  if ((field[0] ?? 0) & 0x80) return Number(field.readBigUInt64BE(4));
  const digits = /^[ ]*([0-7]*)/.exec(field.toString('latin1'))?.[1] ?? '';
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function hasChecksum(block: Buffer): boolean {
  const stored = Number.parseInt(block.toString('latin1', 148, 156).replaceAll(/[^0-7]/g, ''), 8);
  const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  return sum === stored;
}
