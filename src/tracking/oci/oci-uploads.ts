/**
 * Blobs on their way in: chunks are files of their own below the place of uploads, where the abandoned are collected,
 * and become a blob at once when the digest holds. Knows the store; no rows.
 */
import { text } from 'node:stream/consumers';
import type { BlobStat, BlobStore, ByteSource } from '../../blobs/blob-store.ts';
import { ignoreNotFound, isStatusError } from '../../kube/status-error.ts';
import { UPLOADS_ROOT } from '../artifacts/uploads.ts';
import { type OciBlob, putVerified } from './oci-blobs.ts';
import { ociError } from './oci-error.ts';

/** One upload into a repository of a workspace. */
export interface OciUpload {
  readonly workspace: string;
  readonly repository: string;
  readonly uploadId: string;
}

const OFFSET_DIGITS = 16;
const CHUNKS_MAX = 100_000;
const PAGE_KEYS = 1_000;

/** Remembers for which repository it is. */
export async function beginOciUpload(blobs: BlobStore, upload: OciUpload): Promise<void> {
  await blobs.put(`${folderOf(upload)}/oci`, [Buffer.from(upload.repository)]);
}

/** Bytes that have arrived. @throws BLOB_UPLOAD_UNKNOWN */
export async function getOffset(blobs: BlobStore, upload: OciUpload): Promise<number> {
  await checkUpload(blobs, upload);
  return sumBytes(await listChunks(blobs, upload));
}

/** Adds bytes behind those that are there; all of them or, when the sender stops, none. @throws RANGE_INVALID */
export async function addChunk(
  blobs: BlobStore,
  upload: OciUpload,
  { startsAt, source }: { readonly startsAt: number | undefined; readonly source: ByteSource },
): Promise<number> {
  const offset = await getOffset(blobs, upload);
  if (startsAt !== undefined && startsAt !== offset) throw outOfOrder(startsAt, offset);
  const key = `${folderOf(upload)}/chunk-${String(offset).padStart(OFFSET_DIGITS, '0')}`;
  const { sizeBytes } = await blobs.put(key, source, { ifAbsent: true }).catch((error: unknown) => {
    throw isStatusError(error, 'AlreadyExists') ? outOfOrder(offset, offset) : error;
  });
  // why: an empty chunk would take the place of the next one
  if (sizeBytes === 0) await blobs.delete(key);
  return offset + sizeBytes;
}

/** The chunks and `rest` become a blob. @throws DIGEST_INVALID, and then the upload can still be ended rightly */
export async function completeOciUpload(
  blobs: BlobStore,
  upload: OciUpload,
  { digest, rest, startsAt }: { readonly digest: string; readonly rest: ByteSource; readonly startsAt?: number },
): Promise<OciBlob> {
  await checkUpload(blobs, upload);
  const chunks = await listChunks(blobs, upload);
  const offset = sumBytes(chunks);
  if (startsAt !== undefined && startsAt !== offset) throw outOfOrder(startsAt, offset);
  const blob = await putVerified(blobs, join(blobs, chunks, rest), digest);
  await cancelOciUpload(blobs, upload);
  return blob;
}

/** Forgets it. @throws BLOB_UPLOAD_UNKNOWN */
export async function cancelOciUpload(blobs: BlobStore, upload: OciUpload): Promise<void> {
  await checkUpload(blobs, upload);
  for (const { key } of await listChunks(blobs, upload)) await blobs.delete(key);
  await blobs.delete(`${folderOf(upload)}/oci`);
}

async function* join(
  blobs: BlobStore,
  chunks: readonly BlobStat[],
  rest: ByteSource,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (const { key } of chunks) yield* (await blobs.open(key)).body;
  yield* rest;
}

async function listChunks(blobs: BlobStore, upload: OciUpload): Promise<readonly BlobStat[]> {
  const prefix = `${folderOf(upload)}/chunk-`;
  const chunks: BlobStat[] = [];
  for (let page: readonly BlobStat[] | undefined; page === undefined || page.length === PAGE_KEYS; ) {
    page = await blobs.list(prefix, { limit: PAGE_KEYS, after: chunks.at(-1)?.key ?? '' });
    chunks.push(...page);
    if (chunks.length > CHUNKS_MAX) {
      throw ociError('BLOB_UPLOAD_INVALID', `cannot go on with the upload: it has more than ${CHUNKS_MAX} chunks`);
    }
  }
  return chunks;
}

function sumBytes(chunks: readonly BlobStat[]): number {
  return chunks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

async function checkUpload(blobs: BlobStore, upload: OciUpload): Promise<void> {
  const opened = await blobs.open(`${folderOf(upload)}/oci`).catch(ignoreNotFound);
  if (!opened || (await text(opened.body)) !== upload.repository) throw unknown(upload);
}

function outOfOrder(startsAt: number, offset: number): Error {
  return ociError('RANGE_INVALID', `cannot add a chunk at byte ${startsAt}: ${offset} bytes have arrived`);
}

function unknown({ uploadId }: OciUpload): Error {
  return ociError('BLOB_UPLOAD_UNKNOWN', `cannot find the upload ${uploadId}: it is over or was given up, begin anew`);
}

function folderOf(upload: OciUpload): string {
  if (/^[0-9a-f]{32}$/.test(upload.uploadId)) return `${UPLOADS_ROOT}${upload.workspace}/${upload.uploadId}`;
  throw unknown(upload);
}
