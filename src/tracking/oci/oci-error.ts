/** The registry's door: the distribution specification's error codes, and every other error as one of them. */
import { type Reason, StatusError, toStatusError } from '../../kube/status-error.ts';
import { explainDatabaseError } from '../../sql/database-error.ts';

/** Code to HTTP status and reason, as the specification's table of codes has them. */
const CODES = {
  BLOB_UNKNOWN: { status: 404, reason: 'NotFound' },
  BLOB_UPLOAD_INVALID: { status: 400, reason: 'BadRequest' },
  BLOB_UPLOAD_UNKNOWN: { status: 404, reason: 'NotFound' },
  DIGEST_INVALID: { status: 400, reason: 'Invalid' },
  MANIFEST_BLOB_UNKNOWN: { status: 404, reason: 'NotFound' },
  MANIFEST_INVALID: { status: 400, reason: 'Invalid' },
  MANIFEST_UNKNOWN: { status: 404, reason: 'NotFound' },
  NAME_INVALID: { status: 400, reason: 'Invalid' },
  NAME_UNKNOWN: { status: 404, reason: 'NotFound' },
  RANGE_INVALID: { status: 416, reason: 'Invalid' },
  SIZE_INVALID: { status: 413, reason: 'RequestEntityTooLarge' },
  TAG_INVALID: { status: 400, reason: 'Invalid' },
  UNAUTHORIZED: { status: 401, reason: 'Unauthorized' },
  DENIED: { status: 403, reason: 'Forbidden' },
  UNSUPPORTED: { status: 405, reason: 'MethodNotAllowed' },
  UNAVAILABLE: { status: 503, reason: 'ServiceUnavailable' },
  TOOMANYREQUESTS: { status: 429, reason: 'TooManyRequests' },
} as const satisfies Record<string, { readonly status: number; readonly reason: Reason }>;

export type OciCode = keyof typeof CODES;

/** What an error is called whose thrower did not think of a registry. */
const BY_REASON: Partial<Readonly<Record<Reason, OciCode>>> = {
  Unauthorized: 'UNAUTHORIZED',
  Forbidden: 'DENIED',
  MethodNotAllowed: 'UNSUPPORTED',
  ServiceUnavailable: 'UNAVAILABLE',
  TooManyRequests: 'TOOMANYREQUESTS',
  NotFound: 'NAME_UNKNOWN',
  Invalid: 'NAME_INVALID',
  BadRequest: 'BLOB_UPLOAD_INVALID',
};

/** The answer to a request that failed. */
export interface OciAnswer {
  readonly status: number;
  readonly body: { readonly errors: readonly { readonly code: string; readonly message: string }[] };
}

/** An error with one of the registry's codes. */
export function ociError(code: OciCode, message: string, cause?: unknown): StatusError {
  return new StatusError(CODES[code].reason, message, { details: { kind: code }, cause });
}

/** Any thrown value as a registry says it. The text of an unforeseen error stays inside. */
export function toOciAnswer(thrown: unknown): OciAnswer {
  const error = toStatusError(explainDatabaseError(thrown));
  const kind = error.details?.kind ?? '';
  const code = isCode(kind) ? kind : BY_REASON[error.reason];
  if (code !== undefined) return answer(CODES[code].status, code, error.message);
  if (error.reason === 'InsufficientStorage') return answer(507, 'UNKNOWN', error.message);
  const isSurprise = error.reason === 'InternalError' && error !== thrown;
  const text = 'cannot answer: something unforeseen went wrong, the log says what';
  return answer(500, 'UNKNOWN', isSurprise ? text : error.message);
}

function isCode(kind: string): kind is OciCode {
  return Object.hasOwn(CODES, kind);
}

function answer(status: number, code: string, message: string): OciAnswer {
  return { status, body: { errors: [{ code, message }] } };
}
