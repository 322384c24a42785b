/** Tars: ustar, GNU and pax. Knows their headers; entries are looked at where they lie. */
import { StatusError } from '../kube/status-error.ts';
import { findPathProblem } from './archive-path.ts';
import { readBytes, sliceBytes } from './bytes.ts';
import { ARCHIVE_ENTRIES_MAX } from './limits.ts';
import type { Scan } from './scan-context.ts';

const BLOCK_BYTES = 512;
const LONG_NAME_BYTES_MAX = 64 * 1024;

interface Header {
  readonly name: string;
  readonly sizeBytes: number;
  readonly type: string;
}

/** Whether a tar begins with this block. */
export function isTarHeader(block: Buffer): boolean {
  return block.length >= BLOCK_BYTES && block.toString('latin1', 257, 262) === 'ustar' && hasChecksum(block);
}

/** Looks at the tar and at all entries. @throws Invalid when it is broken */
export async function scanTar(scan: Scan): Promise<void> {
  if (!scan.mayNest) return scan.tell('archive-nested', scan.name);
  let longName: string | undefined;
  let entries = 0;
  for (let at = 0; at < scan.bytes.sizeBytes; ) {
    const block = await readBytes(scan.bytes, at, BLOCK_BYTES);
    if (block.every((byte) => byte === 0)) return checkRest(scan, at);
    const header = parseHeader(block);
    const start = at + BLOCK_BYTES;
    if (start + header.sizeBytes > scan.bytes.sizeBytes) throw new StatusError('Invalid', `${header.name} is cut off`);
    if (++entries > ARCHIVE_ENTRIES_MAX) return scan.tell('archive-bomb', `more than ${ARCHIVE_ENTRIES_MAX} entries`);
    if (isExtension(header.type)) longName = (await readLongName(scan, header, start)) ?? longName;
    else {
      await scanEntry(scan, { ...header, name: longName ?? header.name }, start);
      longName = undefined;
    }
    at = start + Math.ceil(header.sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
  }
}

/** Behind the end there are zeros only, or another reader would go on. */
async function checkRest({ bytes, tell }: Scan, at: number): Promise<void> {
  for await (const part of bytes.stream(at, bytes.sizeBytes)) {
    if (part.some((byte) => byte !== 0)) return tell('polyglot', 'bytes behind the end of the tar');
  }
}

async function scanEntry(scan: Scan, { name, sizeBytes, type }: Header, start: number): Promise<void> {
  const plain = name.replace(/^(\.\/)+/, '');
  const problem = plain === '' ? undefined : findPathProblem(plain);
  if (problem !== undefined) scan.tell('archive-path', name, problem);
  if (type === '1' || type === '2') scan.tell('archive-link', name);
  else if ('3467SDMV'.includes(type) && type !== '5' && type !== '7') scan.tell('archive-link', name, 'a special file');
  else if (type === '0' || type === '7' || type === '\0') {
    await scan.scanInner(plain, sliceBytes(scan.bytes, start, start + sizeBytes));
  }
}

function isExtension(type: string): boolean {
  return 'xgLK'.includes(type);
}

/** A name that the next entry has instead of its own. Names of links do not matter: links are refused. */
async function readLongName(scan: Scan, { sizeBytes, type }: Header, start: number): Promise<string | undefined> {
  if (sizeBytes > LONG_NAME_BYTES_MAX) throw new StatusError('Invalid', 'a header is too long');
  const text = (await readBytes(scan.bytes, start, sizeBytes)).toString();
  if (type === 'L') return text.replace(/\0.*$/s, '');
  if (type === 'K') return undefined;
  // A size in a pax header would move all that follows.
  if (/(^|\n)\d+ (size|GNU\.sparse[^=]*)=/.test(text)) throw new StatusError('Invalid', 'it has sizes in pax headers');
  return [...text.matchAll(/(?:^|\n)\d+ path=([^\n]*)/g)].at(-1)?.[1];
}

function parseHeader(block: Buffer): Header {
  if (block.length < BLOCK_BYTES || !hasChecksum(block)) throw new StatusError('Invalid', 'it has a broken header');
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
