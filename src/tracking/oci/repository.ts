/** A repository as the registry's door sees it. */
import type { ByteRange, OpenBlob } from '../../blobs/blob-store.ts';
import type { NewManifest, Referrer, ReferrerQuery, StoredManifest } from './oci-manifests.ts';

/** A blob that can be read. */
export interface ReadableBlob {
  readonly sizeBytes: number;
  open(range?: ByteRange): Promise<OpenBlob>;
}

/** What became of a manifest. */
export interface KeptManifest {
  readonly digest: string;
  readonly subject: string | undefined;
  /** Of the registered model that it became. */
  readonly version?: number;
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
  /** Whether the subject is there or not. */
  listReferrers(query: ReferrerQuery): Promise<readonly Referrer[]>;
  /** @throws NAME_UNKNOWN */
  listTags(): Promise<readonly string[]>;
  /** @throws UNSUPPORTED */
  checkMayDelete(): void;
}
