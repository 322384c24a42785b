/**
 * Reads a zip's list of entries, and finds where another reader would see other entries (APPNOTE 6.3.10). Unpacks
 * nothing.
 */
import { StatusError } from '../kube/status-error.ts';
import { type Bytes, readBytes } from './bytes.ts';
import type { Tell } from './finding.ts';
import { ARCHIVE_ENTRIES_MAX, DIRECTORY_BYTES_MAX } from './limits.ts';

const END_BYTES = 22;
const END_SEARCH_BYTES = END_BYTES + 0xffff;
const END = Buffer.from('PK\x05\x06', 'latin1');
const END64 = Buffer.from('PK\x06\x06', 'latin1');
const LOCATOR64 = Buffer.from('PK\x06\x07', 'latin1');
const LOCATOR64_BYTES = 20;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const HAS_DESCRIPTOR = 0x8;
const IS_ENCRYPTED = 0x1 | 0x40;
/** Deflate's levels, the descriptor and UTF-8 names. */
const KNOWN_FLAGS = 0x2 | 0x4 | HAS_DESCRIPTOR | 0x800;
const DESCRIPTOR_BYTES_MAX = 24;
const UNSET = 0xffffffff;
const LINK_MODE = 0o120000;

/** An entry as the list at the end has it. */
export interface ZipEntry {
  readonly name: string;
  readonly flags: number;
  /** 0 stored, 8 deflated. */
  readonly method: number;
  readonly crc: number;
  readonly packedBytes: number;
  readonly sizeBytes: number;
  readonly isLink: boolean;
  /** Where its packed bytes begin. */
  readonly start: number;
}

interface Listed extends Omit<ZipEntry, 'start'> {
  readonly headerAt: number;
}

interface Directory {
  readonly at: number;
  readonly sizeBytes: number;
  readonly count: number;
}

/** Where a zip's list lies, when these bytes end with one; whatever stands before. */
export async function findZipDirectory(bytes: Bytes): Promise<Directory | undefined> {
  const tailAt = Math.max(0, bytes.sizeBytes - END_SEARCH_BYTES - LOCATOR64_BYTES);
  const tail = await readBytes(bytes, tailAt, bytes.sizeBytes - tailAt);
  for (let at = tail.lastIndexOf(END); at >= 0; at = at === 0 ? -1 : tail.lastIndexOf(END, at - 1)) {
    if (at + END_BYTES > tail.length) continue;
    const found = await readEnd(bytes, tail, { at, tailAt });
    if (found && (await isDirectory(bytes, found))) return found;
  }
  return undefined;
}

async function isDirectory(bytes: Bytes, { at, sizeBytes }: Directory): Promise<boolean> {
  if (at < 0 || sizeBytes < 46 || at + sizeBytes > bytes.sizeBytes) return false;
  return (await readBytes(bytes, at, 4)).equals(Buffer.from('PK\x01\x02', 'latin1'));
}

async function readEnd(
  bytes: Bytes,
  tail: Buffer,
  { at, tailAt }: { at: number; tailAt: number },
): Promise<Directory | undefined> {
  const short = { count: tail.readUInt16LE(at + 10), sizeBytes: tail.readUInt32LE(at + 12) };
  const locator = at - LOCATOR64_BYTES;
  const isLong = locator >= 0 && tail.subarray(locator, locator + 4).equals(LOCATOR64);
  // Counted back from its end, so that bytes in front do not matter.
  if (!isLong) return { ...short, at: tailAt + at - short.sizeBytes };
  const endAt = Number(tail.readBigUInt64LE(locator + 8));
  const end = await readBytes(bytes, endAt, 56);
  if (end.length < 56 || !end.subarray(0, 4).equals(END64)) return undefined;
  const sizeBytes = Number(end.readBigUInt64LE(40));
  return { count: Number(end.readBigUInt64LE(32)), sizeBytes, at: endAt - sizeBytes };
}

/** All entries, in their order in the file; tells what is odd. @throws Invalid when it cannot be read */
export async function readZip(bytes: Bytes, tell: Tell): Promise<readonly ZipEntry[]> {
  const directory = await findZipDirectory(bytes);
  if (!directory) throw new StatusError('Invalid', 'it has no list of entries');
  if (directory.count > ARCHIVE_ENTRIES_MAX || directory.sizeBytes > DIRECTORY_BYTES_MAX) {
    tell('archive-bomb', `${directory.count} entries`);
    return [];
  }
  const listed = listEntries(await readBytes(bytes, directory.at, directory.sizeBytes));
  if (listed.length !== directory.count) tell('zip-tampered', `${listed.length} entries, not ${directory.count}`);
  await checkEnd(bytes, directory, tell);
  const names = new Set(listed.map(({ name }) => name));
  if (names.size !== listed.length) tell('zip-tampered', 'two entries of one name');
  const sorted = listed.toSorted((a, b) => a.headerAt - b.headerAt);
  if (sorted[0] && sorted[0].headerAt !== 0) tell('polyglot', `${sorted[0].headerAt} bytes before the first entry`);
  const entries: ZipEntry[] = [];
  for (const [index, entry] of sorted.entries()) {
    const next = sorted[index + 1]?.headerAt ?? directory.at;
    entries.push(await readLocal(bytes, entry, { next, tell }));
  }
  return entries;
}

/** Behind the list only its end may follow, and no second one that another reader might find. */
async function checkEnd(bytes: Bytes, { at, sizeBytes }: Directory, tell: Tell): Promise<void> {
  const end = await readBytes(bytes, at + sizeBytes, END_SEARCH_BYTES + 256);
  const first = end.indexOf(END);
  const comment = end.subarray(first + END_BYTES);
  const isCounted = first >= 0 && end.readUInt16LE(first + 20) === comment.length;
  const isSingle = end.indexOf(END, first + 1) < 0 && (first === 0 || end.subarray(0, 4).equals(END64));
  if (!isCounted || !isSingle) tell('zip-tampered', 'bytes around its end');
}

function listEntries(directory: Buffer): readonly Listed[] {
  const entries: Listed[] = [];
  let at = 0;
  while (at + 46 <= directory.length && directory.readUInt32LE(at) === ENTRY) {
    const [nameBytes, extraBytes] = [directory.readUInt16LE(at + 28), directory.readUInt16LE(at + 30)];
    const nameAt = at + 46;
    const extra = directory.subarray(nameAt + nameBytes, nameAt + nameBytes + extraBytes);
    const sizes = readSizes(directory, at, extra);
    entries.push({
      name: directory.toString('utf8', nameAt, nameAt + nameBytes),
      flags: directory.readUInt16LE(at + 8),
      method: directory.readUInt16LE(at + 10),
      crc: directory.readUInt32LE(at + 16),
      isLink: ((directory.readUInt32LE(at + 38) >>> 16) & 0o170000) === LINK_MODE,
      ...sizes,
    });
    at = nameAt + nameBytes + extraBytes + directory.readUInt16LE(at + 32);
  }
  return entries;
}

function readSizes(directory: Buffer, at: number, extra: Buffer) {
  const sizes = [directory.readUInt32LE(at + 24), directory.readUInt32LE(at + 20), directory.readUInt32LE(at + 42)];
  let long = findLongSizes(extra);
  const [sizeBytes = 0, packedBytes = 0, headerAt = 0] = sizes.map((size) => {
    if (size !== UNSET || long.length < 8) return size;
    const value = Number(long.readBigUInt64LE(0));
    long = long.subarray(8);
    return value;
  });
  return { sizeBytes, packedBytes, headerAt };
}

/** Field 1 of the extra fields: what does not fit into 32 bits. */
function findLongSizes(extra: Buffer): Buffer {
  for (let at = 0; at + 4 <= extra.length; ) {
    const length = extra.readUInt16LE(at + 2);
    if (extra.readUInt16LE(at) === 1) return extra.subarray(at + 4, at + 4 + length);
    at += 4 + length;
  }
  return Buffer.alloc(0);
}

/** Compares the entry's own header with the list's, and where it ends with where the next begins. */
async function readLocal(
  bytes: Bytes,
  { headerAt, ...entry }: Listed,
  { next, tell }: { next: number; tell: Tell },
): Promise<ZipEntry> {
  const header = await readBytes(bytes, headerAt, 30);
  if (header.length < 30 || header.readUInt32LE(0) !== LOCAL) {
    tell('zip-tampered', entry.name, 'its header is not there');
    return { ...entry, start: headerAt };
  }
  const nameBytes = header.readUInt16LE(26);
  const start = headerAt + 30 + nameBytes + header.readUInt16LE(28);
  const name = (await readBytes(bytes, headerAt + 30, nameBytes)).toString();
  const differs = describeDifference(header, entry, name);
  if (differs !== undefined) tell('zip-tampered', entry.name, differs);
  if (entry.flags & IS_ENCRYPTED) tell('archive-encrypted', entry.name);
  if (entry.flags & ~KNOWN_FLAGS & ~IS_ENCRYPTED)
    tell('zip-tampered', entry.name, `flags 0x${entry.flags.toString(16)}`);
  const end = start + entry.packedBytes;
  const slack = entry.flags & HAS_DESCRIPTOR ? DESCRIPTOR_BYTES_MAX : 0;
  if (end > next) tell('archive-bomb', entry.name, 'it overlaps the next');
  if (next - end > slack) tell('zip-tampered', entry.name, `${next - end} bytes behind it that no list names`);
  return { ...entry, start };
}

function describeDifference(header: Buffer, entry: Omit<ZipEntry, 'start'>, name: string): string | undefined {
  if (name !== entry.name) return `it calls itself ${name}`;
  if (header.readUInt16LE(6) !== entry.flags) return 'other flags in its own header';
  if (header.readUInt16LE(8) !== entry.method) return 'another method in its own header';
  if (entry.flags & HAS_DESCRIPTOR) return undefined;
  if (header.readUInt32LE(14) !== entry.crc) return 'another checksum in its own header';
  const [packed, size] = [header.readUInt32LE(18), header.readUInt32LE(22)];
  const isSame = (own: number, listed: number) => own === listed || own === UNSET;
  return isSame(packed, entry.packedBytes) && isSame(size, entry.sizeBytes)
    ? undefined
    : 'other sizes in its own header';
}
