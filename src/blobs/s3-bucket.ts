/**
 * One bucket of an S3-compatible store, spoken to by AWS's own client: keys without the prefix, errors as StatusErrors.
 * Knows requests; nothing of what a blob store promises.
 */
import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import type { BlobAccess, S3Location } from './s3-location.ts';
import { explainS3Error } from './s3-error.ts';

const TRIES_MAX = 5;
const CONNECT_TIMEOUT_MS = 5_000;
/** Of silence: an answer that goes on may take as long as it likes. */
const SILENCE_TIMEOUT_MS = 60_000;

/** The part of AWS's package that is used; loaded only by who opens such a store. */
export type S3Sdk = typeof import('@aws-sdk/client-s3');

/** How requests are made. */
export interface S3Bucket {
  readonly sdk: S3Sdk;
  readonly client: S3Client;
  readonly location: S3Location;
  /** Bucket and key as every request names them. */
  at(key: string): { readonly Bucket: string; readonly Key: string };
  /** Runs requests; what the store refuses comes as a StatusError. `act` continues "cannot". */
  ask<T>(act: string, work: () => Promise<T>): Promise<T>;
}

/** @throws NotFound when there is no such bucket, Forbidden, ServiceUnavailable */
export async function openBucket(location: S3Location, access: BlobAccess | undefined): Promise<S3Bucket> {
  const sdk = await import('@aws-sdk/client-s3');
  const client = new sdk.S3Client(planClient(location, access));
  const { bucket, prefix } = location;
  const s3: S3Bucket = {
    sdk,
    client,
    location,
    at: (key) => ({ Bucket: bucket, Key: `${prefix}${key}` }),
    ask: (act, work) =>
      work().catch((error: unknown) => {
        throw explainS3Error(error, act);
      }),
  };
  await s3.ask(`open the bucket ${bucket}`, () =>
    client.send(new sdk.HeadBucketCommand({ Bucket: bucket })).catch((error: unknown) => {
      if (error instanceof Error && error.name === 'NotFound') error.name = 'NoSuchBucket';
      throw error;
    }),
  );
  return s3;
}

function planClient({ endpoint, region, pathStyle }: S3Location, access: BlobAccess | undefined): S3ClientConfig {
  return {
    region,
    forcePathStyle: pathStyle,
    maxAttempts: TRIES_MAX,
    // Checksums that AWS made the default are refused by other stores; bytes are hashed here anyway.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, socketTimeout: SILENCE_TIMEOUT_MS },
    ...(endpoint !== undefined && { endpoint }),
    // Without: the store is asked as nobody, and the client never looks around this machine for credentials.
    ...(access === undefined
      ? { signer: { sign: async (request) => request }, credentials: { accessKeyId: '', secretAccessKey: '' } }
      : {
          credentials: {
            accessKeyId: access.accessKeyId,
            secretAccessKey: access.secretAccessKey,
            ...(access.sessionToken !== undefined && { sessionToken: access.sessionToken }),
          },
        }),
  };
}
