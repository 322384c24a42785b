/** Bytes out of a bucket. Goes on where a broken connection left off, as long as the file is still the same. */
import { Readable } from 'node:stream';
import { StatusError } from '../kube/status-error.ts';
import type { ByteRange, OpenBlob } from './blob-store.ts';
import type { S3Bucket } from './s3-bucket.ts';
import { explainS3Error, statusOf } from './s3-error.ts';

const RESUMES_MAX = 5;

interface Opened {
  readonly stream: Readable;
  readonly sizeBytes: number;
  readonly etag: string | undefined;
}

/** @throws NotFound; Invalid when the range begins behind the end */
export async function readObject(s3: S3Bucket, key: string, range: ByteRange | undefined): Promise<OpenBlob> {
  const opened = await get(s3, key, range && { range }).catch((error: unknown) => {
    throw explainS3Error(error, `read ${key}`);
  });
  return { sizeBytes: opened.sizeBytes, body: readOn(s3, key, { opened, range }) };
}

interface Request {
  readonly range?: ByteRange;
  readonly etag?: string | undefined;
}

async function get(s3: S3Bucket, key: string, { range, etag }: Request = {}): Promise<Opened> {
  const {
    Body,
    ContentLength = 0,
    ContentRange,
    ETag,
  } = await s3.client.send(
    new s3.sdk.GetObjectCommand({
      ...s3.at(key),
      ...(range && { Range: `bytes=${range.start}-${range.end ?? ''}` }),
      ...(etag !== undefined && { IfMatch: etag }),
    }),
  );
  if (!(Body instanceof Readable)) throw new StatusError('InternalError', `cannot read ${key}: the store sent no body`);
  const whole = /\/(\d+)$/.exec(ContentRange ?? '')?.[1];
  return { stream: Body, sizeBytes: whole === undefined ? ContentLength : Number(whole), etag: ETag };
}

interface Reading {
  readonly opened: Opened;
  readonly range: ByteRange | undefined;
}

async function* readOn(s3: S3Bucket, key: string, { opened, range }: Reading): AsyncGenerator<Uint8Array> {
  const end = Math.min(range?.end ?? opened.sizeBytes - 1, opened.sizeBytes - 1);
  let next = range?.start ?? 0;
  let { stream } = opened;
  for (let resumes = 0; ; resumes++) {
    try {
      for await (const bytes of stream) {
        next += bytes.byteLength;
        yield bytes;
      }
    } catch (error) {
      if (resumes === RESUMES_MAX) throw explainS3Error(error, `read ${key}`);
    } finally {
      stream.destroy();
    }
    if (next > end) return;
    if (resumes === RESUMES_MAX)
      throw new StatusError('ServiceUnavailable', `cannot read ${key}: the store breaks off`);
    ({ stream } = await get(s3, key, { range: { start: next, end }, etag: opened.etag }).catch((error: unknown) => {
      if (statusOf(error) !== 412) throw explainS3Error(error, `read ${key}`);
      const message = `cannot read ${key}: it was replaced while it was read, read it again`;
      throw new StatusError('Conflict', message, { cause: error });
    }));
  }
}
