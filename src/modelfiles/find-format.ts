/** Says what bytes are by how they begin. Believes no name. */
import { type Bytes, readBytes } from './bytes.ts';
import { isTarHeader } from './tar-header.ts';

/** What the first bytes say; `other` when they say nothing. */
export type Beginning =
  | 'empty'
  | 'zip'
  | 'opaque-archive'
  | 'gzip'
  | 'zlib'
  | 'hdf5'
  | 'npy'
  | 'gguf'
  | 'safetensors'
  | 'tar'
  | 'pickle'
  | 'ubjson'
  | 'other';

const HEAD_BYTES = 4_096;
const MAGIC: readonly (readonly [start: string, is: Beginning])[] = [
  ['PK\x03\x04', 'zip'],
  ['PK\x05\x06', 'zip'],
  ['7z\xbc\xaf\x27\x1c', 'opaque-archive'],
  ['Rar!', 'opaque-archive'],
  ['\xfd7zXZ\x00', 'opaque-archive'],
  ['BZh', 'opaque-archive'],
  ['\x28\xb5\x2f\xfd', 'opaque-archive'],
  ['\x04\x22\x4d\x18', 'opaque-archive'],
  ['\x5d\x00\x00', 'opaque-archive'],
  ['\x1f\x8b', 'gzip'],
  ['\x89HDF\r\n\x1a\n', 'hdf5'],
  ['\x93NUMPY', 'npy'],
  ['GGUF', 'gguf'],
  ['{L\x00\x00\x00\x00\x00\x00\x00\x07learner', 'ubjson'],
];
/** HDF5 may begin behind a block of its user's. */
const HDF5_PLACES = [512, 1_024, 2_048];

/** The first bytes, and what they say. */
export async function findBeginning(bytes: Bytes): Promise<{ readonly is: Beginning; readonly head: Buffer }> {
  const head = await readBytes(bytes, 0, HEAD_BYTES);
  return { head, is: head.length === 0 ? 'empty' : readBeginning(head, bytes.sizeBytes) };
}

function readBeginning(head: Buffer, sizeBytes: number): Beginning {
  const start = head.toString('latin1', 0, 32);
  const magic = MAGIC.find(([text]) => start.startsWith(text));
  if (magic) return magic[1];
  if (isSafetensors(head, sizeBytes)) return 'safetensors';
  if (isTarHeader(head.subarray(0, 512))) return 'tar';
  if (HDF5_PLACES.some((place) => head.toString('latin1', place, place + 8) === '\x89HDF\r\n\x1a\n')) return 'hdf5';
  if (head[0] === 0x80 && (head[1] ?? 99) <= 5) return 'pickle';
  return isZlib(head) ? 'zlib' : 'other';
}

function isSafetensors(head: Buffer, sizeBytes: number): boolean {
  if (head.length < 9 || head[8] !== 0x7b) return false;
  return head.readBigUInt64LE() <= BigInt(sizeBytes);
}

function isZlib(head: Buffer): boolean {
  return head[0] === 0x78 && head.length > 2 && head.readUInt16BE(0) % 31 === 0;
}
