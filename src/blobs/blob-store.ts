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
  /** Absent where clients have no way to the files but this process. */
  readonly direct?: DirectAccess;
}

/** One part of an upload, and where its bytes go by PUT; the answer's ETag names what arrived. */
export interface PartPlace {
  readonly number: number;
  readonly url: string;
}

/** A part that its sender says has arrived. */
export interface ArrivedPart {
  readonly number: number;
  readonly etag: string;
}

/** How a client moves bytes without this process: by URLs that are good for a while and for one thing only. */
export interface DirectAccess {
  /** Nothing is to be seen of the file until `completeUpload`. */
  beginUpload(key: string, partCount: number): Promise<{ readonly uploadId: string; readonly parts: PartPlace[] }>;
  /** @throws NotFound when the upload is over, Invalid when a part is missing or another one than was sent. */
  completeUpload(key: string, uploadId: string, parts: readonly ArrivedPart[]): Promise<void>;
  /** Forgets the parts; says nothing when there is no such upload. */
  abortUpload(key: string, uploadId: string): Promise<void>;
  /** @throws NotFound */
  signRead(key: string, seconds: number): Promise<{ readonly url: string; readonly sizeBytes: number }>;
  /** Where a file of at most 5 GB goes by one PUT. */
  signWrite(key: string, seconds: number): Promise<string>;
  /** Forgets uploads and temporary files begun before `beforeMs`. */
  collectAbandoned(beforeMs: number): Promise<void>;
}
