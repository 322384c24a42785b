/**
 * Zips: PyTorch's, Keras', numpy's and plain ones. Knows what each keeps where; an entry is looked at whatever it is
 * called.
 */
import { crc32 } from 'node:zlib';
import { isStatusError } from '../kube/status-error.ts';
import { findPathProblem } from './archive-path.ts';
import { type Bytes, memoryBytes, readAll, sliceBytes } from './bytes.ts';
import {
  PACKED_CONTAINER_BYTES_MAX,
  RATIO_FLOOR_BYTES,
  RATIO_MAX,
  TEXT_BYTES_MAX,
  UNPACKED_BYTES_MAX,
} from './limits.ts';
import { scanKerasConfig } from './scan-keras.ts';
import type { Scan } from './scan-context.ts';
import { scanPickles, torchStorages } from './scan-pickle.ts';
import { unpackedBytes } from './unpacked.ts';
import { readZip, type ZipEntry } from './zip-directory.ts';

/** What a zip turned out to be. */
export type ZipFormat = 'pytorch' | 'keras' | 'npz' | 'zip';

/** Looks at the zip and at all entries. @throws Invalid when it cannot be read */
export async function scanZip(scan: Scan): Promise<ZipFormat> {
  const entries = (await readZip(scan.bytes, scan.tell)).filter((entry) => !entry.name.endsWith('/'));
  const format = findFormat(entries);
  if (format === 'zip' && !scan.mayNest) scan.tell('archive-nested', scan.name);
  if (!scan.mayNest) return format;
  checkSizes(entries, scan);
  const readable = entries.filter((entry) => checkEntry(entry, scan));
  const storages = format === 'pytorch' ? await scanTorchPickles(readable, scan) : new Set<string>();
  for (const entry of readable) {
    if (storages.has(entry.name)) continue;
    await scanEntry(entry, scan, format);
  }
  return format;
}

function findFormat(entries: readonly ZipEntry[]): ZipFormat {
  const names = new Set(entries.map(({ name }) => name));
  if (entries.some(({ name }) => isTorchPickle(name))) return 'pytorch';
  if (names.has('config.json') && (names.has('model.weights.h5') || names.has('metadata.json'))) return 'keras';
  return entries.length > 0 && entries.every(({ name }) => name.endsWith('.npy')) ? 'npz' : 'zip';
}

function isTorchPickle(name: string): boolean {
  return /^[^/]+\/(data|constants)\.pkl$/.test(name);
}

function checkSizes(entries: readonly ZipEntry[], { bytes, tell }: Scan): void {
  const total = entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const isBomb = total > RATIO_FLOOR_BYTES && total > bytes.sizeBytes * RATIO_MAX;
  if (isBomb || total > Math.max(UNPACKED_BYTES_MAX, bytes.sizeBytes)) tell('archive-bomb', `${total} bytes unpacked`);
}

/** Whether the entry's bytes can be looked at. */
function checkEntry(entry: ZipEntry, { bytes, tell }: Scan): boolean {
  const { name, method, packedBytes, sizeBytes, start } = entry;
  const problem = findPathProblem(name);
  if (problem !== undefined) tell('archive-path', name, problem);
  if (entry.isLink) tell('archive-link', name);
  if (start + packedBytes > bytes.sizeBytes) tell('zip-tampered', name, 'it ends behind the file');
  else if (method === 0 && packedBytes !== sizeBytes) tell('zip-tampered', name, 'stored, with two sizes');
  else if (method !== 0 && method !== 8) tell('archive-opaque', name, `packed by method ${method}`);
  else if (sizeBytes > RATIO_FLOOR_BYTES && sizeBytes > packedBytes * RATIO_MAX) tell('archive-bomb', name);
  else return (entry.flags & 0x41) === 0;
  return false;
}

/** Keys of the storages that the pickles name are plain numbers; the names of those entries. */
async function scanTorchPickles(entries: readonly ZipEntry[], scan: Scan): Promise<ReadonlySet<string>> {
  const plain = new Set<string>();
  const isScript = entries.some(({ name }) => /^[^/]+\/code\/.*\.py$/.test(name));
  if (isScript) scan.tell('torchscript-code', 'a TorchScript program');
  for (const entry of entries.filter(({ name }) => isTorchPickle(name))) {
    const root = entry.name.slice(0, entry.name.indexOf('/'));
    const tell: Scan['tell'] = (rule, what, where = '') => scan.tell(rule, what, `${entry.name} ${where}`.trim());
    const onPersistentId = torchStorages(tell, (key) => plain.add(`${root}/data/${key}`));
    // A module of that name does not exist in Python: only TorchScript's own reader knows it.
    const isAllowedHere = (module: string) => isScript && /^__torch__(\.\w+)*$/.test(module);
    const bytes = await openEntry(entry, scan);
    if (await isAsListed(entry, bytes, scan)) await scanPickles(bytes, { tell, onPersistentId, isAllowedHere });
    plain.add(entry.name);
  }
  return plain;
}

async function scanEntry(entry: ZipEntry, scan: Scan, format: ZipFormat): Promise<void> {
  const { name } = entry;
  const bytes = await openEntry(entry, scan).catch((error: unknown) => {
    if (!isStatusError(error, 'Invalid')) throw error;
    scan.tell('zip-tampered', name, error.message);
    return undefined;
  });
  if (!bytes || !(await isAsListed(entry, bytes, scan))) return;
  if (format === 'keras' && name === 'config.json') {
    scanKerasConfig((await readAll(bytes, TEXT_BYTES_MAX)).toString(), scan.tell);
  } else await scan.scanInner(name, bytes);
}

/** The entry's own bytes: packed ones in memory while they are few. */
async function openEntry({ start, packedBytes, sizeBytes, method }: ZipEntry, { bytes }: Scan): Promise<Bytes> {
  const packed = sliceBytes(bytes, start, start + packedBytes);
  if (method === 0) return packed;
  const unpacked = unpackedBytes(packed, 'deflate', sizeBytes);
  return sizeBytes <= PACKED_CONTAINER_BYTES_MAX ? memoryBytes(await readAll(unpacked, sizeBytes)) : unpacked;
}

/** Reads it through: a reader that ignores the checksum would see what others refuse. */
async function isAsListed(entry: ZipEntry, bytes: Bytes, { tell }: Scan): Promise<boolean> {
  let [crc, length] = [0, 0];
  try {
    for await (const part of bytes.stream(0, bytes.sizeBytes)) {
      crc = crc32(part, crc);
      length += part.length;
    }
  } catch (error) {
    if (!isStatusError(error, 'Invalid')) throw error;
    tell('zip-tampered', entry.name, error.message);
    return false;
  }
  if (length !== entry.sizeBytes) tell('zip-tampered', entry.name, `${length} bytes, not ${entry.sizeBytes}`);
  if (crc !== entry.crc) tell('zip-tampered', entry.name, 'its checksum is wrong');
  return length === entry.sizeBytes;
}
