/** A repository as the registry's door sees it. */
import type { ByteRange, OpenBlob } from '../blobs/blob-store.ts';
import { getBlob, openLinked } from './oci-blobs.ts';
import {
  checkManifest,
  findManifest,
  listTags,
  manifestUnknown,
  type NewManifest,
  putManifest,
  type StoredManifest,
} from './oci-manifests.ts';
import type { Tracking } from './tracking.ts';

/** A blob that can be read. */
export interface ReadableBlob {
  readonly sizeBytes: number;
  open(range?: ByteRange): Promise<OpenBlob>;
}

/** What became of a manifest. */
export interface KeptManifest {
  readonly digest: string;
  readonly subject: string | undefined;
}

export interface Repository {
  /** Without the workspace. */
  readonly name: string;
  /** @throws MANIFEST_UNKNOWN, DENIED */
  getManifest(reference: string): Promise<StoredManifest>;
  /** @throws MANIFEST_INVALID, MANIFEST_BLOB_UNKNOWN, DIGEST_INVALID */
  putManifest(arrived: NewManifest): Promise<KeptManifest>;
  /** Whether it is there, for those who are about to push. @throws BLOB_UNKNOWN */
  statBlob(digest: string): Promise<ReadableBlob>;
  /** @throws BLOB_UNKNOWN, DENIED */
  getBlob(digest: string): Promise<ReadableBlob>;
  /** @throws NAME_UNKNOWN */
  listTags(): Promise<readonly string[]>;
  /** @throws UNSUPPORTED */
  checkMayDelete(): void;
}

/** The caller's repository of that name, whether anything is in it or not. */
export function openRepository(tracking: Tracking, name: string): Repository {
  const readBlob = async (digest: string) => {
    const blob = await getBlob(tracking, name, digest);
    return { sizeBytes: blob.sizeBytes, open: (range?: ByteRange) => openLinked(tracking.blobs, blob, range) };
  };
  return {
    name,
    getManifest: async (reference) => {
      const found = await findManifest(tracking, name, reference);
      if (found) return found;
      throw manifestUnknown(name, reference);
    },
    putManifest: async (arrived) => {
      const manifest = await checkManifest(tracking, name, arrived);
      const digest = await putManifest(tracking, name, { arrived, manifest });
      return { digest, subject: manifest.subject?.digest };
    },
    statBlob: readBlob,
    getBlob: readBlob,
    listTags: () => listTags(tracking, name),
    checkMayDelete: () => undefined,
  };
}
