/**
 * Artifacts that come in parts, for stores that take none themselves: parts are files of their own under a reserved
 * place, and become the artifact at once when all are there. Knows the blob store; opens no socket.
 */
import { text } from 'node:stream/consumers';
import type { Clock } from '../../base/clock.ts';
import type { ArrivedPart, BlobStore, ByteSource } from '../../blobs/blob-store.ts';
import { isStatusError, sayNotFound, StatusError } from '../../kube/status-error.ts';
import { putArtifact } from './artifacts.ts';

/** As S3 has it. */
export const PARTS_MAX = 10_000;
/** Uploads to which nothing has come for so long are forgotten. */
export const UPLOAD_ABANDONED_AFTER_MS = 24 * 3_600_000;
const COLLECT_EVERY_MS = 3_600_000;
/** Below it: workspace, upload, files. */
export const UPLOADS_ROOT = 'tracking/uploads/';
const PAGE_KEYS = 1_000;

/** One upload of one workspace. */
export interface Upload {
  readonly workspace: string;
  readonly uploadId: string;
}

/** Remembers where the parts will go. */
export async function beginUpload(blobs: BlobStore, upload: Upload, path: string): Promise<void> {
  await blobs.put(`${folderOf(upload)}/path`, [Buffer.from(path)]);
}

/** Keeps a part and tells what it must be called at the end; sent twice, both are kept until then. @throws NotFound */
export async function putPart(
  blobs: BlobStore,
  upload: Upload,
  { number, source }: { readonly number: number; readonly source: ByteSource },
): Promise<string> {
  checkNumber(number);
  await readPath(blobs, upload);
  const { sha256 } = await blobs.put((written) => `${folderOf(upload)}/${number}/${written.sha256}`, source);
  return sha256;
}

/** The parts become the artifact, which is whole or not there. @throws NotFound, Invalid */
export async function completeUpload(
  blobs: BlobStore,
  upload: Upload,
  { path, parts }: { readonly path: string; readonly parts: readonly ArrivedPart[] },
): Promise<void> {
  await checkPath(blobs, upload, path);
  const keys = parts.map(({ number, etag }) => {
    checkNumber(number);
    if (/^[0-9a-f]{64}$/.test(etag)) return `${folderOf(upload)}/${number}/${etag}`;
    throw new StatusError('Invalid', `cannot complete the upload of ${path}: part ${number} has no ETag of ours`);
  });
  const isOrdered = parts.every(({ number }, index) => index === 0 || number > (parts[index - 1]?.number ?? 0));
  if (!isOrdered) throw new StatusError('Invalid', `cannot complete the upload of ${path}: its parts are not in order`);
  await putArtifact(blobs, path, joinParts(blobs, keys));
  await forget(blobs, `${folderOf(upload)}/`);
}

/** Forgets the parts. @throws NotFound */
export async function abortUpload(blobs: BlobStore, upload: Upload, path: string): Promise<void> {
  await checkPath(blobs, upload, path);
  await forget(blobs, `${folderOf(upload)}/`);
}

export interface CollectOptions {
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly report: (error: unknown) => void;
}

/** Forgets what was abandoned, now and every hour; returns how to stop. */
export function keepCollecting({ blobs, clock, report }: CollectOptions): () => void {
  let cancel: () => void = () => undefined;
  const collect = () => {
    collectAbandoned(blobs, clock.nowMs() - UPLOAD_ABANDONED_AFTER_MS).catch(report);
    cancel = clock.after(COLLECT_EVERY_MS, collect);
  };
  collect();
  return () => cancel();
}

/** Forgets uploads to which nothing has come since `beforeMs`. */
export async function collectAbandoned(blobs: BlobStore, beforeMs: number): Promise<void> {
  await blobs.direct?.collectAbandoned(beforeMs);
  const latestMs = new Map<string, number>();
  for await (const { key, modifiedMs } of listAll(blobs, UPLOADS_ROOT)) {
    const folder = key.split('/').slice(0, 4).join('/');
    latestMs.set(folder, Math.max(modifiedMs, latestMs.get(folder) ?? 0));
  }
  for (const [folder, ms] of latestMs) if (ms < beforeMs) await forget(blobs, `${folder}/`);
}

async function* joinParts(blobs: BlobStore, keys: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const key of keys) {
    const { body } = await blobs.open(key).catch((error: unknown) => {
      if (!isStatusError(error, 'NotFound')) throw error;
      const number = key.split('/').at(-2);
      const message = `cannot complete the upload: part ${number} is missing or another one than was sent`;
      throw new StatusError('Invalid', message, { cause: error });
    });
    yield* body;
  }
}

async function checkPath(blobs: BlobStore, upload: Upload, path: string): Promise<void> {
  if ((await readPath(blobs, upload)) === path) return;
  throw new StatusError('Invalid', `cannot use upload ${upload.uploadId} for ${path}: it was begun for another file`);
}

async function readPath(blobs: BlobStore, upload: Upload): Promise<string> {
  const opened = await blobs
    .open(`${folderOf(upload)}/path`)
    .catch(sayNotFound(`No such upload: '${upload.uploadId}'. It is over or was given up.`));
  return text(opened.body);
}

async function forget(blobs: BlobStore, prefix: string): Promise<void> {
  for await (const { key } of listAll(blobs, prefix)) await blobs.delete(key);
}

async function* listAll(blobs: BlobStore, prefix: string) {
  for (let after = ''; ; ) {
    const page = await blobs.list(prefix, { limit: PAGE_KEYS, after });
    yield* page;
    if (page.length < PAGE_KEYS) return;
    after = page.at(-1)?.key ?? '';
  }
}

function folderOf({ workspace, uploadId }: Upload): string {
  if (/^[0-9a-f]{32}$/.test(uploadId)) return `${UPLOADS_ROOT}${workspace}/${uploadId}`;
  throw new StatusError('NotFound', `No such upload: '${uploadId}'. It is over or was given up.`);
}

function checkNumber(number: number): void {
  if (Number.isInteger(number) && number >= 1 && number <= PARTS_MAX) return;
  throw new StatusError('Invalid', `cannot use part number ${number}: want 1 to ${PARTS_MAX}`);
}
