/**
 * Looks through a model's files and says which are safe to load. Decides by content: a name is believed only where it
 * makes things worse. Loads nothing, opens no socket, and holds one window of a file at a time, and small packed
 * files.
 */
import { isStatusError } from '../kube/status-error.ts';
import { type Bytes, memoryBytes, readAll, readBytes } from './bytes.ts';
import { type FileReport, Findings, type RuleName, RULES, type Tell, type Verdict, worse } from './finding.ts';
import { type Beginning, findBeginning } from './find-format.ts';
import {
  FILES_MAX,
  NESTING_MAX,
  PACKED_CONTAINER_BYTES_MAX,
  RATIO_FLOOR_BYTES,
  RATIO_MAX,
  TEXT_BYTES_MAX,
  UNPACKED_BYTES_MAX,
} from './limits.ts';
import type { ModelFile } from './model-files.ts';
import type { Scan } from './scan-context.ts';
import { findGraphFormat, scanGraph } from './scan-graph.ts';
import { searchKerasText } from './scan-keras.ts';
import { scanPickles } from './scan-pickle.ts';
import { scanTar } from './scan-tar.ts';
import { scanGguf, scanNpy, scanSafetensors } from './scan-tensors.ts';
import { scanText } from './scan-text.ts';
import { scanZip } from './scan-zip.ts';
import { type Packing, unpack, unpackedBytes } from './unpacked.ts';
import { findZipDirectory } from './zip-directory.ts';

/** What was found in a model. */
export interface ModelReport {
  readonly verdict: Verdict;
  readonly files: readonly FileReport[];
}

/** Names of files that programs unpickle without a look at them. */
const PICKLE_NAME = /\.(pkl|pickle|p|joblib|pt|pth|ckpt|sav|dill)(\.(gz|z))?$/i;

/** Looks through all files. */
export async function scanModel(files: readonly ModelFile[], signal?: AbortSignal): Promise<ModelReport> {
  if (files.length > FILES_MAX) {
    const findings = new Findings();
    findings.tellIn('')('too-many-files', `${files.length} files`);
    return { verdict: 'unsafe', files: [{ path: '', format: 'folder', verdict: 'unsafe', findings: findings.list }] };
  }
  const reports: FileReport[] = [];
  for (const file of files) {
    signal?.throwIfAborted();
    reports.push(await scanFile(file));
  }
  return { verdict: reports.reduce<Verdict>((all, { verdict }) => worse(all, verdict), 'safe'), files: reports };
}

/** Looks through one file. */
export async function scanFile({ path, bytes, isSpecial }: ModelFile): Promise<FileReport> {
  const findings = new Findings();
  if (isSpecial) findings.tellIn('')('special-file', path);
  const format = isSpecial ? 'special' : await look({ name: path, bytes, place: '', depth: 0, findings });
  return { path, format, verdict: findings.verdict, findings: findings.list };
}

interface Place {
  readonly name: string;
  readonly bytes: Bytes;
  /** Entries of archives on the way here. */
  readonly place: string;
  readonly depth: number;
  readonly findings: Findings;
}

/** Looks at bytes, whatever they are; says what they are. */
async function look(at: Place): Promise<string> {
  const { findings, depth } = at;
  const scan: Scan = {
    name: at.name,
    bytes: at.bytes,
    tell: findings.tellIn(at.place),
    admit: (verdict) => findings.admit(verdict),
    mayNest: depth < NESTING_MAX,
    scanInner: async (name, bytes) => {
      await look({ name, bytes, findings, depth: depth + 1, place: [at.place, name].filter(Boolean).join(' > ') });
    },
  };
  const { is, head } = await findBeginning(at.bytes);
  if (is !== 'zip' && is !== 'tar' && (await findZipDirectory(at.bytes))) scan.tell('polyglot', 'a zip at its end');
  return orBroken(scan, BROKEN_RULES[is] ?? 'header-broken', () => LOOKS[is](scan, head));
}

const BROKEN_RULES: Partial<Readonly<Record<Beginning, RuleName>>> = {
  zip: 'archive-broken',
  tar: 'archive-broken',
  gzip: 'archive-broken',
  zlib: 'archive-broken',
};

/** What does not fit its own format is told, not thrown. */
async function orBroken(scan: Scan, rule: RuleName, work: () => Promise<string>): Promise<string> {
  try {
    return await work();
  } catch (error) {
    if (!isStatusError(error, 'Invalid') && !(error instanceof SyntaxError)) throw error;
    scan.tell(rule, error.message);
    return 'broken';
  }
}

const named =
  (format: string, work: (scan: Scan) => Promise<unknown>) =>
  async (scan: Scan): Promise<string> => {
    await work(scan);
    return format;
  };

const LOOKS: Readonly<Record<Beginning, (scan: Scan, head: Buffer) => Promise<string>>> = {
  empty: async () => 'empty',
  zip: scanZip,
  'opaque-archive': named('archive', async (scan) =>
    scan.tell('archive-opaque', 'packed by a method that is not read'),
  ),
  gzip: (scan) => lookPacked(scan, 'gzip'),
  zlib: async (scan, head) => ((await canUnpack(scan.bytes)) ? lookPacked(scan, 'zlib') : lookOther(scan, head)),
  hdf5: named('hdf5', ({ bytes, tell }) => searchKerasText(bytes, tell)),
  npy: named('npy', scanNpy),
  gguf: named('gguf', scanGguf),
  safetensors: named('safetensors', scanSafetensors),
  tar: named('tar', async (scan) => {
    await probePickle(scan);
    await scanTar(scan);
  }),
  pickle: named('pickle', ({ bytes, tell }) => scanPickles(bytes, { tell })),
  ubjson: named('ubjson', async () => undefined),
  other: lookOther,
};

async function lookOther(scan: Scan, head: Buffer): Promise<string> {
  if (await probePickle(scan)) return 'pickle';
  if (isText(head)) return lookText(scan);
  const graph = await findGraphFormat(scan);
  if (graph) await scanGraph(scan, graph);
  if (graph && graph !== 'onnx') await searchKerasText(scan.bytes, scan.tell);
  if (!graph) scan.admit('unknown');
  if (/keras_metadata\.pb$/.test(scan.name)) await searchKerasText(scan.bytes, scan.tell);
  return graph ?? 'unknown';
}

/** Old pickles begin with no magic number; a text is one when it calls something, or nothing is left of it. */
async function probePickle({ name, bytes, tell }: Scan): Promise<boolean> {
  const told: Parameters<Tell>[] = [];
  const sight = await scanPickles(bytes, { tell: (...one) => void (told.length < 100 && told.push(one)) });
  if (!sight.isWhole && !sight.hasCalled && !PICKLE_NAME.test(name)) return false;
  for (const one of told) tell(...one);
  return true;
}

async function lookText(scan: Scan): Promise<string> {
  if (scan.bytes.sizeBytes > TEXT_BYTES_MAX) {
    scan.tell('text-too-large', `${scan.bytes.sizeBytes} bytes`);
    return 'text';
  }
  const content = await readAll(scan.bytes, TEXT_BYTES_MAX);
  if (isText(content)) return scanText(content.toString(), scan);
  scan.admit('unknown');
  return 'unknown';
}

/** UTF-8 without control characters; a letter cut at the end does not count. */
function isText(bytes: Buffer): boolean {
  if (bytes.some((byte) => byte < 0x20 && (byte < 0x09 || byte > 0x0d))) return false;
  const text = new TextDecoder('utf-8', { fatal: true });
  try {
    text.decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}

async function canUnpack(bytes: Bytes): Promise<boolean> {
  try {
    for await (const part of unpack(bytes, 'zlib')) return part.length > 0;
    return false;
  } catch (error) {
    if (isStatusError(error, 'Invalid')) return false;
    throw error;
  }
}

/** Unpacks once to know how much it is, then looks inside. */
async function lookPacked(scan: Scan, packing: Packing): Promise<string> {
  if (!scan.mayNest) {
    scan.tell('archive-nested', scan.name);
    return packing;
  }
  const sizeBytes = await measure(scan, packing);
  if (sizeBytes === undefined) return packing;
  const unpacked = unpackedBytes(scan.bytes, packing, sizeBytes);
  const isSmall = sizeBytes <= PACKED_CONTAINER_BYTES_MAX;
  const { is } = isSmall ? { is: undefined } : await findBeginning(unpacked);
  if (is === 'zip' || is === 'tar') scan.tell('packed-too-large', `an archive of ${sizeBytes} bytes`);
  else
    await scan.scanInner(
      innerName(scan.name),
      isSmall ? memoryBytes(await readBytes(unpacked, 0, sizeBytes)) : unpacked,
    );
  return packing;
}

function innerName(name: string): string {
  return (name.split('/').at(-1) ?? name).replace(/\.(gz|tgz|z)$/i, '');
}

/** How much it unpacks to; undefined when that is too much. */
async function measure({ bytes, tell }: Scan, packing: Packing): Promise<number | undefined> {
  let sizeBytes = 0;
  for await (const part of unpack(bytes, packing)) {
    sizeBytes += part.length;
    const isBomb = sizeBytes > RATIO_FLOOR_BYTES && sizeBytes > bytes.sizeBytes * RATIO_MAX;
    if (!isBomb && sizeBytes <= UNPACKED_BYTES_MAX) continue;
    tell('archive-bomb', `more than ${sizeBytes} bytes unpacked`);
    return undefined;
  }
  return sizeBytes;
}

/** One line that says what is wrong: the first dangerous file, its rule and what to do. Undefined when none is. */
export function describeDanger({ files }: ModelReport): string | undefined {
  const file = files.find(({ verdict }) => verdict === 'unsafe');
  const finding = file?.findings.find(({ rule }) => RULES[rule].verdict === 'unsafe');
  if (!file || !finding) return undefined;
  const place = finding.where === '' ? '' : ` (${finding.where})`;
  return `${file.path}: ${finding.rule}: ${finding.what}${place}, ${finding.advice}`;
}
