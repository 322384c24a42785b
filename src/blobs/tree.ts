/** Trees: an immutable list of a folder's files, kept by content; the list's digest is the folder's version. */
import { createHash } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { canonicalJson } from '../base/json.ts';
import { StatusError } from '../kube/status-error.ts';
import { compareKeys, findKeyProblem } from './blob-key.ts';
import type { BlobStore } from './blob-store.ts';
import { openContent, putContent } from './content.ts';

/** More files than this belong into an archive. */
export const TREE_FILES_MAX = 200_000;
const MANIFEST_BYTES_MAX = 128 * 1024 * 1024;

/** One file of a tree; `path` is relative, with slashes. */
export interface TreeFile {
  readonly path: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly executable?: true;
}

/** A folder at one moment, files in order of path. */
export interface Tree {
  readonly digest: string;
  readonly files: readonly TreeFile[];
}

export interface TreeStats {
  readonly files: number;
  readonly sizeBytes: number;
}

/** Keeps the list; equal lists have equal digests, whatever order they come in. */
export async function putTreeFiles(store: BlobStore, files: readonly TreeFile[]): Promise<Tree> {
  const { sorted, text } = toManifest(files);
  const { digest } = await putContent(store, [Buffer.from(text)]);
  return { digest, files: sorted };
}

/** The digest that these files would have as a tree, kept or not. */
export function hashTreeFiles(files: readonly TreeFile[]): string {
  return `sha256:${createHash('sha256').update(toManifest(files).text).digest('hex')}`;
}

function toManifest(files: readonly TreeFile[]): { readonly sorted: readonly TreeFile[]; readonly text: string } {
  const sorted = files.toSorted((a, b) => compareKeys(a.path, b.path));
  return { sorted, text: canonicalJson({ athanorTree: 1, files: sorted }) };
}

/** @throws NotFound when nothing has that digest; Invalid when it is no tree. */
export async function getTree(store: BlobStore, digest: string): Promise<Tree> {
  const { sizeBytes, body } = await openContent(store, digest);
  if (sizeBytes > MANIFEST_BYTES_MAX) throw notATree(digest, 'it is too large');
  return { digest, files: parseManifest(digest, await text(body)) };
}

/** Number and size of the files of a tree. */
export async function getTreeStats(store: BlobStore, digest: string): Promise<TreeStats> {
  const { files } = await getTree(store, digest);
  return { files: files.length, sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0) };
}

function parseManifest(digest: string, text: string): TreeFile[] {
  let manifest: unknown;
  try {
    manifest = JSON.parse(text);
  } catch (error) {
    throw notATree(digest, 'it is not JSON', error);
  }
  if (!isManifest(manifest)) throw notATree(digest, 'it lists no files');
  return manifest.files;
}

function isManifest(value: unknown): value is { files: TreeFile[] } {
  if (typeof value !== 'object' || value === null || !('athanorTree' in value) || !('files' in value)) return false;
  return value.athanorTree === 1 && Array.isArray(value.files) && value.files.every(isTreeFile);
}

/** Manifests are ours, but a path out of one becomes a place on the disk: never trust it. */
function isTreeFile(value: unknown): value is TreeFile {
  if (typeof value !== 'object' || value === null) return false;
  if (!('path' in value && 'digest' in value && 'sizeBytes' in value)) return false;
  const { path, digest, sizeBytes } = value;
  return typeof path === 'string' && !findKeyProblem(path) && typeof digest === 'string' && Number.isInteger(sizeBytes);
}

function notATree(digest: string, why: string, cause?: unknown): StatusError {
  return new StatusError('Invalid', `cannot read the tree ${digest}: ${why}, use the digest of a tree`, { cause });
}
