/** Files by what they contain: the key is the digest, so that equal files are kept once and never change. */
import { isStatusError, StatusError } from '../kube/status-error.ts';
import type { BlobStore, ByteSource, OpenBlob } from './blob-store.ts';

const DIGEST = /^sha256:([0-9a-f]{2})([0-9a-f]{62})$/;

/** A file kept by content. */
export interface Content {
  /** `sha256:<64 hexadecimal digits>`. */
  readonly digest: string;
  readonly sizeBytes: number;
}

/** Keeps the bytes; those that are there already are not kept twice. */
export async function putContent(store: BlobStore, source: ByteSource): Promise<Content> {
  let kept: Content | undefined;
  const nameIt = ({ sha256, sizeBytes }: { sha256: string; sizeBytes: number }) => {
    kept = { digest: `sha256:${sha256}`, sizeBytes };
    return contentKey(kept.digest);
  };
  try {
    const { sha256, sizeBytes } = await store.put(nameIt, source, { ifAbsent: true });
    return { digest: `sha256:${sha256}`, sizeBytes };
  } catch (error) {
    if (kept && isStatusError(error, 'AlreadyExists')) return kept;
    throw error;
  }
}

/** @throws NotFound when nothing has that digest, Invalid when it is none. */
export async function openContent(store: BlobStore, digest: string): Promise<OpenBlob> {
  return store.open(contentKey(digest));
}

/** True when the bytes with this digest are kept. */
export async function hasContent(store: BlobStore, digest: string): Promise<boolean> {
  try {
    await store.stat(contentKey(digest));
    return true;
  } catch (error) {
    if (isStatusError(error, 'NotFound')) return false;
    throw error;
  }
}

/** Where the store keeps the bytes with this digest. @throws Invalid when it is no sha256 digest. */
export function contentKey(digest: string): string {
  const [, first, rest] = DIGEST.exec(digest) ?? [];
  if (first && rest) return `content/sha256/${first}/${rest}`;
  throw new StatusError(
    'Invalid',
    `cannot find content ${digest}: it is no digest, use sha256:<64 hexadecimal digits>`,
  );
}
