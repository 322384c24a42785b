/**
 * Bytes into a bucket: a small file in one request, a large one in parts, of which only a few are in memory. Knows
 * nothing of which names may be taken.
 */
import { createHash, subtle } from 'node:crypto';
import { StatusError } from '../kube/status-error.ts';
import type { ByteSource, PutResult } from './blob-store.ts';
import type { S3Bucket } from './s3-bucket.ts';

/** Of equal size, since some stores (R2) take no others; 10,000 of them are the largest file. */
export const PART_BYTES = 8 * 1024 * 1024;
const PARTS_MAX = 10_000;
/** Beside the one that is being filled. */
const PARTS_IN_FLIGHT = 2;
const COPY_PART_BYTES = 1024 * 1024 * 1024;

/**
 * Pieces of `PART_BYTES`, the last one shorter; of an empty source one empty piece. The bytes of a piece stay as they
 * are until `PARTS_IN_FLIGHT` more are taken and another one is asked for: then their memory is filled anew.
 */
export async function* splitParts(source: ByteSource): AsyncGenerator<Buffer<ArrayBuffer>> {
  const memory = Array.from({ length: PARTS_IN_FLIGHT + 1 }, () => Buffer.alloc(0));
  let count = 0;
  let part = Buffer.alloc(0);
  let sizeBytes = 0;
  for await (const chunk of source) {
    for (let rest = chunk; rest.byteLength > 0; ) {
      const taken = rest.subarray(0, PART_BYTES - sizeBytes);
      part = ensureRoom(part, { sizeBytes, wantedBytes: sizeBytes + taken.byteLength, isFirst: count === 0 });
      part.set(taken, sizeBytes);
      sizeBytes += taken.byteLength;
      rest = rest.subarray(taken.byteLength);
      if (sizeBytes < PART_BYTES) continue;
      memory[count % memory.length] = part;
      count += 1;
      yield part;
      part = memory[count % memory.length] ?? Buffer.alloc(0);
      sizeBytes = 0;
    }
  }
  if (sizeBytes > 0 || count === 0) yield part.subarray(0, sizeBytes);
}

interface Room {
  readonly sizeBytes: number;
  readonly wantedBytes: number;
  readonly isFirst: boolean;
}

/** Most files are smaller than a part: the first one grows by doubling, the others are as large as they will be. */
function ensureRoom(part: Buffer<ArrayBuffer>, { sizeBytes, wantedBytes, isFirst }: Room): Buffer<ArrayBuffer> {
  if (wantedBytes <= part.length) return part;
  const larger = Buffer.allocUnsafeSlow(isFirst ? Math.min(PART_BYTES, 2 * wantedBytes) : PART_BYTES);
  part.copy(larger, 0, 0, sizeBytes);
  return larger;
}

/** Counts and hashes what passes. */
export class Meter {
  readonly #hash = createHash('sha256');
  #sizeBytes = 0;

  async *pass(source: ByteSource): AsyncGenerator<Uint8Array> {
    for await (const bytes of source) {
      this.#hash.update(bytes);
      this.#sizeBytes += bytes.byteLength;
      yield bytes;
    }
  }

  /** Once, at the end. */
  finish(): PutResult {
    return { sizeBytes: this.#sizeBytes, sha256: this.#hash.digest('hex') };
  }
}

/** An upload in parts that is neither complete nor given up. */
export interface OpenUpload {
  readonly key: string;
  readonly uploadId: string;
}

/** A part that the store has. */
export interface UploadedPart {
  readonly PartNumber: number;
  readonly ETag: string | undefined;
}

/** Begins an upload, lets `fill` send its parts, and completes it; on any error the store forgets all of it. */
export async function uploadInParts(
  s3: S3Bucket,
  key: string,
  plan: { readonly isConditional: boolean; fill(upload: OpenUpload): Promise<readonly UploadedPart[]> },
): Promise<void> {
  const { sdk, client } = s3;
  const { UploadId: uploadId = '' } = await client.send(new sdk.CreateMultipartUploadCommand(s3.at(key)));
  try {
    const parts = await plan.fill({ key, uploadId });
    const condition = plan.isConditional ? { IfNoneMatch: '*' } : {};
    const request = { ...s3.at(key), UploadId: uploadId, MultipartUpload: { Parts: [...parts] }, ...condition };
    await client.send(new sdk.CompleteMultipartUploadCommand(request));
  } catch (error) {
    // The store's own rule for old uploads is the second net.
    await client
      .send(new sdk.AbortMultipartUploadCommand({ ...s3.at(key), UploadId: uploadId }))
      .catch(() => undefined);
    throw error;
  }
}

/** Sends parts as they come, a few at once; none is on its way when this ends. @throws RequestEntityTooLarge */
export async function sendParts(
  s3: S3Bucket,
  { key, uploadId }: OpenUpload,
  parts: AsyncIterable<Buffer<ArrayBuffer>>,
): Promise<readonly UploadedPart[]> {
  const sent: Promise<UploadedPart>[] = [];
  try {
    for await (const part of parts) {
      if (sent.length === PARTS_MAX) throw tooLarge(key);
      await sent.at(-PARTS_IN_FLIGHT);
      const flight = sendPart(s3, { key, uploadId, number: sent.length + 1, part });
      // why: it is awaited below; until then its failure is nobody's surprise
      flight.catch(() => undefined);
      sent.push(flight);
    }
    return await Promise.all(sent);
  } finally {
    // An upload that is given up while a part arrives would keep that part.
    await Promise.allSettled(sent);
  }
}

interface Part extends OpenUpload {
  readonly number: number;
  readonly part: Buffer<ArrayBuffer>;
}

async function sendPart(s3: S3Bucket, { key, uploadId, number, part }: Part): Promise<UploadedPart> {
  const request = { ...s3.at(key), UploadId: uploadId, PartNumber: number, Body: part };
  const command = new s3.sdk.UploadPartCommand(request);
  // The signer would hash it on the thread that serves; here another thread does.
  const sha256 = Buffer.from(await subtle.digest('SHA-256', part)).toString('hex');
  command.middlewareStack.add((next) => (args) => next(withHeader(args, 'x-amz-content-sha256', sha256)), {
    step: 'build',
  });
  const { ETag } = await s3.client.send(command);
  return { PartNumber: number, ETag };
}

function withHeader<T extends { readonly request: unknown }>(args: T, name: string, value: string): T {
  const { headers } = args.request as { readonly headers: Record<string, string> }; // why: an HTTP request is built
  headers[name] = value;
  return args;
}

/** Parts of an upload taken from a file that the store has; no byte comes here. */
export async function copyParts(
  s3: S3Bucket,
  { key, uploadId }: OpenUpload,
  from: { readonly key: string; readonly sizeBytes: number },
): Promise<readonly UploadedPart[]> {
  const { Bucket, Key } = s3.at(from.key);
  const CopySource = `${Bucket}/${Key.split('/').map(encodeURIComponent).join('/')}`;
  const parts: UploadedPart[] = [];
  for (let start = 0; start < from.sizeBytes; start += COPY_PART_BYTES) {
    const PartNumber = parts.length + 1;
    const CopySourceRange = `bytes=${start}-${Math.min(from.sizeBytes, start + COPY_PART_BYTES) - 1}`;
    const request = { ...s3.at(key), UploadId: uploadId, PartNumber, CopySource, CopySourceRange };
    const { CopyPartResult } = await s3.client.send(new s3.sdk.UploadPartCopyCommand(request));
    parts.push({ PartNumber, ETag: CopyPartResult?.ETag });
  }
  return parts;
}

function tooLarge(key: string): StatusError {
  const limit = `${(PART_BYTES * PARTS_MAX) / 1024 ** 3} GiB`;
  return new StatusError('RequestEntityTooLarge', `cannot write ${key}: it is larger than ${limit}, split it`);
}
