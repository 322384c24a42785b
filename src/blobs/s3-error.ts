/** What an S3-compatible store's errors mean. Knows their names and statuses; nothing of what was asked. */
import { type Reason, StatusError } from '../kube/status-error.ts';
import { hasCode } from './file-error.ts';

interface Meaning {
  readonly reason: Reason;
  readonly what: string;
}

const FULL: Meaning = { reason: 'InsufficientStorage', what: 'the store is full, make room and try again' };
const BUSY: Meaning = { reason: 'ServiceUnavailable', what: 'the store is overloaded or broken, try again later' };
const LATE: Meaning = { reason: 'Timeout', what: 'the store did not answer in time, try again' };
const STRANGER: Meaning = {
  reason: 'Forbidden',
  what: 'the store does not let these credentials do that, check AWS_ACCESS_KEY_ID and the rights of its owner',
};

const MEANINGS: Readonly<Record<string, Meaning>> = {
  NoSuchKey: { reason: 'NotFound', what: 'there is no such file' },
  NotFound: { reason: 'NotFound', what: 'there is no such file' },
  NoSuchUpload: { reason: 'NotFound', what: 'that upload is over or was given up, begin it again' },
  NoSuchBucket: { reason: 'NotFound', what: 'the bucket does not exist, create it' },
  PreconditionFailed: { reason: 'AlreadyExists', what: 'that name is taken, choose another' },
  ConditionalRequestConflict: { reason: 'Conflict', what: 'somebody else writes it, try again' },
  InvalidRange: { reason: 'Invalid', what: 'the range begins behind its end' },
  InvalidPart: { reason: 'Invalid', what: 'a part is missing or another one than was sent, begin again' },
  InvalidPartOrder: { reason: 'Invalid', what: 'the parts are not in order' },
  EntityTooSmall: { reason: 'Invalid', what: 'a part is smaller than the store takes (5 MiB but for the last)' },
  EntityTooLarge: { reason: 'RequestEntityTooLarge', what: 'it is larger than the store takes' },
  KeyTooLongError: { reason: 'Invalid', what: 'its name is longer than the store takes' },
  AccessDenied: STRANGER,
  InvalidAccessKeyId: STRANGER,
  SignatureDoesNotMatch: STRANGER,
  ExpiredToken: STRANGER,
  QuotaExceeded: FULL,
  InsufficientStorage: FULL,
  XMinioStorageFull: FULL,
  XAmzStorageFull: FULL,
  SlowDown: BUSY,
  InternalError: BUSY,
  ServiceUnavailable: BUSY,
  TimeoutError: LATE,
  RequestTimeout: LATE,
};

const UNREACHABLE = ['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EHOSTUNREACH', 'EPIPE', 'EAI_AGAIN'] as const;

/** The HTTP status of an answer that was an error. */
export function statusOf(error: unknown): number | undefined {
  const metadata: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, '$metadata') : undefined;
  const status: unknown = typeof metadata === 'object' && metadata !== null && Reflect.get(metadata, 'httpStatusCode');
  return typeof status === 'number' ? status : undefined;
}

/** The store's error as a StatusError; any other, such as a source's, as it is. `act` continues "cannot". */
export function explainS3Error(error: unknown, act: string): unknown {
  if (error instanceof StatusError) return error;
  const meaning = findMeaning(error);
  if (meaning === undefined) return error;
  return new StatusError(meaning.reason, `cannot ${act}: ${meaning.what}`, { cause: error });
}

function findMeaning(error: unknown): Meaning | undefined {
  if (hasCode(error, ...UNREACHABLE)) return { reason: 'ServiceUnavailable', what: 'the store cannot be reached' };
  if (hasCode(error, 'ETIMEDOUT', 'ESOCKETTIMEDOUT')) return LATE;
  if (!(error instanceof Error)) return undefined;
  const named = MEANINGS[error.name];
  if (named !== undefined) return named;
  const status = statusOf(error);
  if (status === undefined) return undefined;
  if (status === 403 || status === 401) return STRANGER;
  if (status === 404) return MEANINGS['NotFound'];
  if (status === 412) return MEANINGS['PreconditionFailed'];
  if (status === 416) return MEANINGS['InvalidRange'];
  if (status === 507) return FULL;
  if (status >= 500) return BUSY;
  return { reason: 'Invalid', what: `the store says ${error.name}: ${error.message}` };
}
