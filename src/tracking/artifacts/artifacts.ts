/** Files of runs and models, by path, in the blob store. Knows folders, which the store does not; opens no socket. */
import { checkKey } from '../../blobs/blob-key.ts';
import type { BlobStat, BlobStore, ByteRange, ByteSource, OpenBlob } from '../../blobs/blob-store.ts';
import { ignoreNotFound, isStatusError, StatusError } from '../../kube/status-error.ts';
import { DEFAULT_WORKSPACE } from '../tracking.ts';

/** One entry of a listing; `path` is relative to what was asked for at the root. */
export interface FileEntry {
  readonly path: string;
  readonly is_dir: boolean;
  readonly file_size?: number;
}

const ROOT = 'tracking/artifacts/';
const SCHEME = 'mlflow-artifacts:/';
const PAGE_KEYS = 1_000;
/** A listing of more entries than this belongs into folders. */
const ENTRIES_MAX = 10_000;
/** Sorts behind every key that begins with the same folder. */
const LAST = '\u{10ffff}';

/** Keeps a file; the old one of that path is replaced at once. @throws Invalid for a path that leaves its place */
export async function putArtifact(blobs: BlobStore, path: string, source: ByteSource): Promise<void> {
  await blobs.put(artifactKey(path), source);
}

/** @throws NotFound, Invalid */
export async function openArtifact(blobs: BlobStore, path: string, range?: ByteRange): Promise<OpenBlob> {
  return blobs.open(artifactKey(path), range).catch(refuseMissing(path));
}

/** @throws NotFound, Invalid */
export async function getArtifactSize(blobs: BlobStore, path: string): Promise<number> {
  return (await blobs.stat(artifactKey(path)).catch(refuseMissing(path))).sizeBytes;
}

function refuseMissing(path: string): (error: unknown) => never {
  return (error) => {
    if (!isStatusError(error, 'NotFound')) throw error;
    throw new StatusError('NotFound', `No such artifact: '${path}'`, { cause: error });
  };
}

/** Forgets the file, or all files below the folder. @throws Invalid */
export async function deleteArtifacts(blobs: BlobStore, path: string): Promise<void> {
  await blobs.delete(artifactKey(path));
  for (;;) {
    const page = await blobs.list(`${artifactKey(path)}/`, { limit: PAGE_KEYS });
    for (const { key } of page) await blobs.delete(key);
    if (page.length < PAGE_KEYS) return;
  }
}

/**
 * Files and folders right below `folder` (of `root`, when given), in order of path; of a file, nothing.
 * Costs one read of the store per thousand files and per folder.
 */
export async function listArtifacts(blobs: BlobStore, folder: string, root = ''): Promise<readonly FileEntry[]> {
  const full = [root, folder].filter(Boolean).join('/');
  const prefix = full === '' ? ROOT : `${artifactKey(full)}/`;
  const entries: FileEntry[] = [];
  for (let after: string | undefined = ''; after !== undefined; ) {
    const page: readonly BlobStat[] = await blobs.list(prefix, { limit: PAGE_KEYS, after });
    after = collect(page, { prefix, folder, entries });
    if (entries.length > ENTRIES_MAX) {
      throw new StatusError('Invalid', `cannot list ${full}: it has more than ${ENTRIES_MAX} entries, use folders`);
    }
  }
  return entries;
}

/** A file below a folder, by its path from there; bytes are read from the store when they are wanted. */
export interface StoredFile {
  readonly path: string;
  readonly sizeBytes: number;
  stream(start: number, end: number): AsyncIterable<Uint8Array>;
}

/** All files below `folder`, however deep, or the file of that name. @throws Invalid when there are more than `limit` */
export async function listFilesBelow(blobs: BlobStore, folder: string, limit: number): Promise<readonly StoredFile[]> {
  const prefix = `${artifactKey(folder)}/`;
  const files: StoredFile[] = [];
  for (let page: readonly BlobStat[] | undefined; page === undefined || page.length === PAGE_KEYS; ) {
    page = await blobs.list(prefix, { limit: PAGE_KEYS, after: files.length ? `${prefix}${files.at(-1)?.path}` : '' });
    files.push(
      ...page.map(({ key, sizeBytes }) => toStored(blobs, key, { path: key.slice(prefix.length), sizeBytes })),
    );
    if (files.length > limit)
      throw new StatusError('Invalid', `cannot read ${folder}: it has more than ${limit} files`);
  }
  if (files.length > 0) return files;
  const single = await blobs.stat(artifactKey(folder)).catch(ignoreNotFound);
  if (!single) return [];
  return [
    toStored(blobs, single.key, { path: folder.slice(folder.lastIndexOf('/') + 1), sizeBytes: single.sizeBytes }),
  ];
}

function toStored(blobs: BlobStore, key: string, file: { path: string; sizeBytes: number }): StoredFile {
  return {
    ...file,
    stream: async function* (start, end) {
      if (end > start) yield* (await blobs.open(key, { start, end: end - 1 })).body;
    },
  };
}

/** Where a workspace's files begin, as MLflow has them: the default one's at the root, others' below `workspaces`. */
export function rootOf(workspace: string): string {
  return workspace === DEFAULT_WORKSPACE ? '' : `workspaces/${workspace}/`;
}

/** @throws Forbidden for a path in another workspace. */
export function checkOwnPath(workspace: string, path: string): void {
  const isInWorkspaces = path === 'workspaces' || path.startsWith('workspaces/');
  if (workspace === DEFAULT_WORKSPACE ? !isInWorkspaces : path.startsWith(rootOf(workspace))) return;
  throw new StatusError('Forbidden', `cannot reach '${path}': it is not a file of workspace '${workspace}'`);
}

/** The path behind an `mlflow-artifacts:` URI; undefined for files kept elsewhere. */
export function findArtifactPath(uri: string): string | undefined {
  return uri.startsWith(SCHEME) ? uri.slice(SCHEME.length).replace(/^\/+/, '') : undefined;
}

interface Collected {
  readonly prefix: string;
  readonly folder: string;
  readonly entries: FileEntry[];
}

/** Adds a page's entries; returns where to go on, which skips the rest of a folder at once. */
function collect(page: readonly BlobStat[], { prefix, folder, entries }: Collected): string | undefined {
  for (const { key, sizeBytes } of page) {
    const [name = '', ...below] = key.slice(prefix.length).split('/');
    const path = folder === '' ? name : `${folder}/${name}`;
    if (below.length === 0) entries.push({ path, is_dir: false, file_size: sizeBytes });
    if (below.length === 0) continue;
    entries.push({ path, is_dir: true });
    return `${prefix}${name}/${LAST}`;
  }
  return page.length < PAGE_KEYS ? undefined : page.at(-1)?.key;
}

/** The key of an artifact's file. @throws Invalid for a path that leaves its place, in MLflow's words */
export function artifactKey(path: string): string {
  const key = `${ROOT}${path}`;
  try {
    checkKey(key);
  } catch (error) {
    throw new StatusError('Invalid', 'Invalid path', { cause: error });
  }
  return key;
}
