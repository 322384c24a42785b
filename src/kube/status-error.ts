/**
 * The one error of the platform, in Kubernetes' own words. Each door has its own table from reason to wire; the API's
 * is here.
 */

/** Kubernetes' reasons, and one of ours: InsufficientStorage, since a full disk is not mended by trying again. */
export type Reason = keyof typeof HTTP_STATUS;

/** The Kubernetes door: reason to HTTP status. */
export const HTTP_STATUS = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  ServiceUnavailable: 503,
  InsufficientStorage: 507,
  Timeout: 504,
} as const;

/** One cause of an Invalid or Conflict: a field and what is wrong with it. */
export interface FieldCause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

export interface StatusDetails {
  readonly group?: string;
  readonly kind?: string;
  readonly name?: string;
  readonly causes?: readonly FieldCause[];
  readonly retryAfterSeconds?: number;
}

/** The wire form: `kind: Status` of the Kubernetes API. */
export interface Status {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: Record<string, never>;
  readonly status: 'Failure' | 'Success';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code: number;
}

export interface StatusErrorOptions {
  readonly details?: StatusDetails;
  readonly cause?: unknown;
}

/** Message form: `cannot <act> <object>: <what is>, <what would do>`. */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly reason: Reason;
  readonly details: StatusDetails | undefined;

  constructor(reason: Reason, message: string, options: StatusErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.details = options.details;
  }
}

/** True when `error` is a StatusError, of the given reason if one is given. */
export function isStatusError(error: unknown, reason?: Reason): error is StatusError {
  return error instanceof StatusError && (reason === undefined || error.reason === reason);
}

/** For `catch`: nothing is there, and that is well. @throws every other error again */
export function ignoreNotFound(error: unknown): undefined {
  if (isStatusError(error, 'NotFound')) return undefined;
  throw error;
}

/** For `catch`: what is not there, in the words of whoever asked for it. */
export function sayNotFound(message: string): (error: unknown) => never {
  return (error) => {
    throw isStatusError(error, 'NotFound') ? new StatusError('NotFound', message, { cause: error }) : error;
  };
}

/** Any thrown value as a StatusError: what is not one becomes InternalError, with the cause kept and its text shown. */
export function toStatusError(error: unknown): StatusError {
  if (error instanceof StatusError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new StatusError('InternalError', `Internal error occurred: ${message}`, { cause: error });
}

/** The wire form of an error. */
export function toWireStatus(error: StatusError): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: error.message,
    reason: error.reason,
    ...(error.details && { details: error.details }),
    code: HTTP_STATUS[error.reason],
  };
}

/** The error behind a wire Status; an unknown reason is told by its code. */
export function fromWireStatus(status: Partial<Status>, code: number): StatusError {
  const reason = isReason(status.reason) ? status.reason : reasonOfCode(code);
  const message = status.message ?? `the server answered with HTTP status ${code}`;
  return new StatusError(reason, message, status.details ? { details: status.details } : {});
}

function isReason(reason: string | undefined): reason is Reason {
  return reason !== undefined && Object.hasOwn(HTTP_STATUS, reason);
}

function reasonOfCode(code: number): Reason {
  const found = Object.entries(HTTP_STATUS).find(([, status]) => status === code)?.[0];
  return isReason(found) ? found : 'InternalError';
}
