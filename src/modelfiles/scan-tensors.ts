/** Files of plain numbers: safetensors, GGUF and npy. Knows their headers, and that those must fit the file. */
import { isJsonObject } from '../base/json.ts';
import { StatusError } from '../kube/status-error.ts';
import { ByteCursor } from './byte-cursor.ts';
import { readBytes, sliceBytes } from './bytes.ts';
import { TEXT_BYTES_MAX } from './limits.ts';
import type { Scan } from './scan-context.ts';
import { scanPickles } from './scan-pickle.ts';
import { scanTemplate } from './scan-text.ts';

const SAFETENSORS_HEADER_BYTES_MAX = 100_000_000;
const GGUF_VALUES_MAX = 1_000_000;
const GGUF_NAME_BYTES_MAX = 65_536;
const GGUF_VERSIONS = [2, 3];
const GGUF_STRING = 8;
const GGUF_ARRAY = 9;
/** By the type's number. */
const GGUF_BYTES = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];

/** @throws Invalid when the header does not fit */
export async function scanSafetensors({ bytes }: Scan): Promise<void> {
  const length = Number((await readBytes(bytes, 0, 8)).readBigUInt64LE());
  if (length > SAFETENSORS_HEADER_BYTES_MAX || length + 8 > bytes.sizeBytes) throw broken('its header is too long');
  const header: unknown = JSON.parse((await readBytes(bytes, 8, length)).toString());
  if (!isJsonObject(header)) throw broken('its header is no object');
  const sizeBytes = bytes.sizeBytes - 8 - length;
  let used = 0;
  for (const [name, tensor] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const offsets = isJsonObject(tensor) ? tensor['data_offsets'] : undefined;
    const [from, to] = Array.isArray(offsets) ? offsets.map(Number) : [];
    if (!isPlace(from, to, sizeBytes)) throw broken(`the tensor ${name} lies outside`);
    used += Number(to) - Number(from);
  }
  if (used !== sizeBytes) throw broken(`its tensors have ${used} bytes of ${sizeBytes}`);
}

function isPlace(from: number | undefined, to: number | undefined, sizeBytes: number): boolean {
  return (
    Number.isInteger(from) &&
    Number.isInteger(to) &&
    Number(from) >= 0 &&
    Number(from) <= Number(to) &&
    Number(to) <= sizeBytes
  );
}

/** @throws Invalid when the header does not fit */
export async function scanGguf(scan: Scan): Promise<void> {
  const cursor = new ByteCursor(scan.bytes);
  try {
    const version = (await take(cursor, 8)).readUInt32LE(4);
    if (!GGUF_VERSIONS.includes(version)) throw broken(`it is of version ${version}`);
    const [tensors, values] = [await takeCount(cursor), await takeCount(cursor)];
    if (tensors > GGUF_VALUES_MAX || values > GGUF_VALUES_MAX)
      throw broken(`it has ${tensors} tensors, ${values} values`);
    for (let index = 0; index < values; index++) await passValue(cursor, scan);
    await checkTensors(cursor, scan, tensors);
  } finally {
    await cursor.close();
  }
}

async function passValue(cursor: ByteCursor, { bytes, tell }: Scan): Promise<void> {
  const key = (await takeText(cursor, GGUF_NAME_BYTES_MAX)).toString();
  const type = (await take(cursor, 4)).readUInt32LE();
  if (type === GGUF_STRING && /chat_template/.test(key)) {
    return scanTemplate((await takeText(cursor, TEXT_BYTES_MAX)).toString(), tell, key);
  }
  await passTyped(cursor, type, bytes.sizeBytes);
}

async function passTyped(cursor: ByteCursor, type: number, limit: number): Promise<void> {
  if (type === GGUF_STRING) return cursor.skip(await takeCount(cursor));
  if (type !== GGUF_ARRAY) return cursor.skip(sizeOf(type));
  const inner = (await take(cursor, 4)).readUInt32LE();
  const count = await takeCount(cursor);
  if (count > limit) throw broken(`it has an array of ${count}`);
  if (inner !== GGUF_STRING) return cursor.skip(count * sizeOf(inner));
  for (let index = 0; index < count; index++) await passTyped(cursor, inner, limit);
}

async function checkTensors(cursor: ByteCursor, { bytes }: Scan, count: number): Promise<void> {
  let last = 0;
  for (let index = 0; index < count; index++) {
    const name = await takeText(cursor, GGUF_NAME_BYTES_MAX);
    const dimensions = (await take(cursor, 4)).readUInt32LE();
    if (dimensions > 4) throw broken(`the tensor ${name} has ${dimensions} dimensions`);
    await cursor.skip(dimensions * 8 + 4);
    last = Math.max(last, await takeCount(cursor));
  }
  if (count > 0 && cursor.position + last >= bytes.sizeBytes) throw broken('its tensors lie behind its end');
}

function sizeOf(type: number): number {
  const size = GGUF_BYTES[type];
  if (!size) throw broken(`it has a value of type ${type}`);
  return size;
}

async function take(cursor: ByteCursor, length: number): Promise<Buffer> {
  await cursor.fill(length);
  return cursor.take(length);
}

async function takeCount(cursor: ByteCursor): Promise<number> {
  return Number((await take(cursor, 8)).readBigUInt64LE());
}

async function takeText(cursor: ByteCursor, limit: number): Promise<Buffer> {
  const length = await takeCount(cursor);
  if (length > limit) throw broken(`it has a text of ${length} bytes`);
  return Buffer.from(await take(cursor, length));
}

/** An array of objects is a pickle behind the header. @throws Invalid when the header does not fit */
export async function scanNpy({ bytes, tell }: Scan): Promise<void> {
  const start = await readBytes(bytes, 0, 12);
  if (start.length < 10) throw broken('its header is cut off');
  const isShort = start[6] === 1;
  const headerAt = isShort ? 10 : 12;
  const length = isShort ? start.readUInt16LE(8) : start.readUInt32LE(8);
  if (headerAt + length > bytes.sizeBytes || length > TEXT_BYTES_MAX) throw broken('its header is too long');
  const header = (await readBytes(bytes, headerAt, length)).toString('latin1');
  if (!/^\s*\{.*\}\s*$/s.test(header)) throw broken('its header is no dict');
  if (isPlainType(header)) return;
  await scanPickles(sliceBytes(bytes, headerAt + length, bytes.sizeBytes), { tell });
}

const PLAIN_TYPE = /^[|<>=]?[biufcmMSUV?]\d*(\[\w+\])?$/;

/** True when the header surely names numbers and texts only; numpy unpickles all that has an object in it. */
function isPlainType(header: string): boolean {
  const [, descr = ''] = /'descr'\s*:\s*(.*?),\s*'fortran_order'/s.exec(header) ?? [];
  const alone = /^'([^']*)'$/.exec(descr)?.[1];
  if (alone !== undefined) return PLAIN_TYPE.test(alone);
  const fields = [...descr.matchAll(/\(\s*'[^'\\]*'\s*,\s*'([^']*)'\s*(,\s*\([\d, ]*\)\s*)?\)/g)];
  const quotes = descr.split("'").length - 1;
  return fields.length > 0 && quotes === fields.length * 4 && fields.every(([, type = '']) => PLAIN_TYPE.test(type));
}

function broken(why: string): StatusError {
  return new StatusError('Invalid', why);
}
