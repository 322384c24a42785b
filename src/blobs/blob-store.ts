/**
 * What every store of files promises, whoever keeps the bytes. Knows keys and streams; nothing of folders or buckets.
 */

/** Bytes as they come; a source that throws leaves nothing behind. */
export type ByteSource = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** What is known of a stored file. */
export interface BlobStat {
  readonly key: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

/** What was written. */
export interface PutResult {
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

/** A key, or what makes one of the bytes that were written. */
export type KeyChoice = string | ((written: PutResult) => string);

export interface PutOptions {
  /** Refuse when the key is taken. Default false: the new file replaces the old at once. */
  readonly ifAbsent?: boolean;
}

/** Bytes `start` to `end`, both included, counted from 0; without `end`, to the last. */
export interface ByteRange {
  readonly start: number;
  readonly end?: number;
}

/** An opened file: `body` must be read to its end or returned early by `break`. */
export interface OpenBlob {
  /** Size of the whole file, whatever the range. */
  readonly sizeBytes: number;
  readonly body: AsyncIterable<Uint8Array>;
}

export interface ListOptions {
  /** Default 1,000. */
  readonly limit?: number;
  /** Begin behind this key. */
  readonly after?: string;
}

/** Files by key. A reader sees a whole file or none; an acknowledged file is on the disk. */
export interface BlobStore {
  /** @throws AlreadyExists with `ifAbsent` when the key is taken; InsufficientStorage when the disk is full. */
  put(key: KeyChoice, source: ByteSource, options?: PutOptions): Promise<PutResult>;
  /** @throws NotFound; Invalid when the range begins behind the end. */
  open(key: string, range?: ByteRange): Promise<OpenBlob>;
  /** @throws NotFound */
  stat(key: string): Promise<BlobStat>;
  /** Files whose key begins with `prefix`, in order of their UTF-8 bytes. */
  list(prefix: string, options?: ListOptions): Promise<readonly BlobStat[]>;
  /** Forgets the file; says nothing when there is none. */
  delete(key: string): Promise<void>;
}
