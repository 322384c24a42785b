/** Lets clients reach a bucket themselves, by URLs that AWS's own client signs. Knows keys; nothing of who may ask. */
import { ignoreNotFound } from '../kube/status-error.ts';
import type { ArrivedPart, DirectAccess } from './blob-store.ts';
import type { S3Bucket } from './s3-bucket.ts';
import { TEMPORARY_FOLDER } from './temporary-files.ts';

/** How long the places of an upload's parts are good. */
const UPLOAD_SECONDS = 12 * 3600;

/** `checkPlace` is asked before a name is given away. */
export function createDirectAccess(s3: S3Bucket, checkPlace: (key: string) => Promise<void>): DirectAccess {
  const { client, sdk } = s3;
  return {
    beginUpload: async (key, partCount) => {
      await checkPlace(key);
      const { UploadId: uploadId = '' } = await s3.ask(`write ${key}`, () =>
        client.send(new sdk.CreateMultipartUploadCommand(s3.at(key))),
      );
      const numbers = Array.from({ length: partCount }, (_, index) => index + 1);
      const getSignedUrl = await loadSigner();
      const sign = (number: number) => {
        const command = new sdk.UploadPartCommand({ ...s3.at(key), UploadId: uploadId, PartNumber: number });
        return getSignedUrl(client, command, { expiresIn: UPLOAD_SECONDS });
      };
      const parts = await Promise.all(numbers.map(async (number) => ({ number, url: await sign(number) })));
      return { uploadId, parts };
    },
    completeUpload: (key, uploadId, parts) =>
      s3.ask(`complete the upload of ${key}`, async () => {
        const MultipartUpload = { Parts: parts.map(toPart) };
        await client.send(
          new sdk.CompleteMultipartUploadCommand({ ...s3.at(key), UploadId: uploadId, MultipartUpload }),
        );
      }),
    abortUpload: (key, uploadId) =>
      s3
        .ask(`give up the upload of ${key}`, async () => {
          await client.send(new sdk.AbortMultipartUploadCommand({ ...s3.at(key), UploadId: uploadId }));
        })
        .catch(ignoreNotFound),
    signRead: async (key, seconds) => {
      const { ContentLength = 0 } = await s3.ask(`read ${key}`, () =>
        client.send(new sdk.HeadObjectCommand(s3.at(key))),
      );
      const getSignedUrl = await loadSigner();
      const url = await getSignedUrl(client, new sdk.GetObjectCommand(s3.at(key)), { expiresIn: seconds });
      return { url, sizeBytes: ContentLength };
    },
    signWrite: async (key, seconds) => {
      await checkPlace(key);
      const getSignedUrl = await loadSigner();
      return getSignedUrl(client, new sdk.PutObjectCommand(s3.at(key)), { expiresIn: seconds });
    },
    collectAbandoned: (beforeMs) => s3.ask('collect abandoned uploads', () => collectAbandoned(s3, beforeMs)),
  };
}

/** Loaded when the first URL is signed: most processes sign none. */
async function loadSigner() {
  const { getSignedUrl } = await import('@aws-sdk/s3-request-presigner');
  return getSignedUrl;
}

function toPart({ number, etag }: ArrivedPart): { readonly PartNumber: number; readonly ETag: string } {
  return { PartNumber: number, ETag: etag };
}

/** The first thousand of each kind: the rest comes next time. */
async function collectAbandoned({ client, sdk, location }: S3Bucket, beforeMs: number): Promise<void> {
  const { bucket: Bucket, prefix } = location;
  const isOld = (date: Date | undefined) => date !== undefined && date.getTime() < beforeMs;
  const { Uploads = [] } = await client.send(new sdk.ListMultipartUploadsCommand({ Bucket, Prefix: prefix }));
  for (const { Key, UploadId, Initiated } of Uploads) {
    if (isOld(Initiated)) await client.send(new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
  }
  const Prefix = `${prefix}${TEMPORARY_FOLDER}/`;
  const { Contents = [] } = await client.send(new sdk.ListObjectsV2Command({ Bucket, Prefix }));
  for (const { Key, LastModified } of Contents) {
    if (isOld(LastModified)) await client.send(new sdk.DeleteObjectCommand({ Bucket, Key }));
  }
}
