/**
 * Blobs of repositories: bytes kept by content, once for all, and rows that say which repository has which. What no
 * row names cannot be pulled, whoever else has it.
 */
import { createHash, type Hash } from 'node:crypto';
import type { BlobStore, ByteRange, ByteSource, OpenBlob } from '../../blobs/blob-store.ts';
import { contentKey } from '../../blobs/content.ts';
import { isStatusError } from '../../kube/status-error.ts';
import type { Tracking } from '../tracking.ts';
import { ociError } from './oci-error.ts';

/** A blob of a repository. */
export interface OciBlob {
  readonly digest: string;
  /** The store's own name of the bytes. */
  readonly contentDigest: string;
  readonly sizeBytes: number;
}

/** Keeps the bytes when they are those of the digest; otherwise nothing is left. @throws DIGEST_INVALID */
export async function putVerified(blobs: BlobStore, source: ByteSource, digest: string): Promise<OciBlob> {
  // The store tells sha256 by itself.
  const hash = digest.startsWith('sha256:') ? undefined : createHash(algorithmOf(digest));
  let kept = { sizeBytes: 0, contentDigest: '' };
  const nameIt = (written: { readonly sha256: string; readonly sizeBytes: number }) => {
    kept = { sizeBytes: written.sizeBytes, contentDigest: `sha256:${written.sha256}` };
    const arrived = hash ? `${algorithmOf(digest)}:${hash.digest('hex')}` : kept.contentDigest;
    if (arrived === digest) return contentKey(kept.contentDigest);
    throw ociError('DIGEST_INVALID', `cannot keep ${digest}: what arrived is ${arrived}`);
  };
  try {
    await blobs.put(nameIt, hash ? hashed(source, hash) : source, { ifAbsent: true });
  } catch (error) {
    // why: the same bytes are there already
    if (!isStatusError(error, 'AlreadyExists')) throw error;
  }
  return { digest, ...kept };
}

async function* hashed(source: ByteSource, hash: Hash): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const part of source) {
    hash.update(part);
    yield part;
  }
}

function algorithmOf(digest: string): 'sha256' | 'sha512' {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256';
}

/** The digest of bytes in memory, by the algorithm of `like`. */
export function digestOf(bytes: Uint8Array | string, like = 'sha256:'): string {
  const algorithm = algorithmOf(like);
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

/** From now on the repository has it. */
export async function linkBlob(tracking: Tracking, repository: string, blob: OciBlob): Promise<void> {
  await tracking.db
    .insertInto('tracking_oci_blobs')
    .values({
      workspace: tracking.workspace,
      repository,
      digest: blob.digest,
      content_digest: blob.contentDigest,
      size_bytes: blob.sizeBytes,
    })
    .onConflict((conflict) => conflict.columns(['workspace', 'repository', 'digest']).doNothing())
    .execute();
}

/** Undefined when the repository has no such blob. */
export async function findBlob(tracking: Tracking, repository: string, digest: string): Promise<OciBlob | undefined> {
  const row = await tracking.db
    .selectFrom('tracking_oci_blobs')
    .select(['content_digest', 'size_bytes'])
    .where('workspace', '=', tracking.workspace)
    .where('repository', '=', repository)
    .where('digest', '=', digest)
    .executeTakeFirst();
  return row && { digest, contentDigest: row.content_digest, sizeBytes: row.size_bytes };
}

/** @throws BLOB_UNKNOWN */
export async function getBlob(tracking: Tracking, repository: string, digest: string): Promise<OciBlob> {
  const found = await findBlob(tracking, repository, digest);
  if (found) return found;
  throw blobUnknown(repository, digest);
}

/** That there is none. */
export function blobUnknown(repository: string, digest: string): Error {
  return ociError('BLOB_UNKNOWN', `cannot find the blob ${digest}: ${repository} has none, push it`);
}

/** The bytes of a blob that some repository has. */
export async function openLinked(blobs: BlobStore, blob: OciBlob, range?: ByteRange): Promise<OpenBlob> {
  return blobs.open(contentKey(blob.contentDigest), range);
}

/** The repository has it no more; the bytes stay for whoever else has them. @throws BLOB_UNKNOWN */
export async function unlinkBlob(tracking: Tracking, repository: string, digest: string): Promise<void> {
  await getBlob(tracking, repository, digest);
  await tracking.db
    .deleteFrom('tracking_oci_blobs')
    .where('workspace', '=', tracking.workspace)
    .where('repository', '=', repository)
    .where('digest', '=', digest)
    .execute();
}
