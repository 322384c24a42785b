/** MLflow's door: reason to error code and HTTP status. Knows no route. */
import { type Reason, toStatusError } from '../kube/status-error.ts';
import { explainDatabaseError } from '../sql/database-error.ts';

interface Wire {
  readonly code: string;
  readonly status: number;
}

/** As mlflow/exceptions.py pairs them. */
export const MLFLOW_ERRORS = {
  BadRequest: { code: 'BAD_REQUEST', status: 400 },
  Unauthorized: { code: 'UNAUTHENTICATED', status: 401 },
  Forbidden: { code: 'PERMISSION_DENIED', status: 403 },
  NotFound: { code: 'RESOURCE_DOES_NOT_EXIST', status: 404 },
  MethodNotAllowed: { code: 'ENDPOINT_NOT_FOUND', status: 404 },
  NotAcceptable: { code: 'BAD_REQUEST', status: 400 },
  AlreadyExists: { code: 'RESOURCE_ALREADY_EXISTS', status: 400 },
  Conflict: { code: 'RESOURCE_CONFLICT', status: 409 },
  Expired: { code: 'INVALID_PARAMETER_VALUE', status: 400 },
  RequestEntityTooLarge: { code: 'INVALID_PARAMETER_VALUE', status: 400 },
  UnsupportedMediaType: { code: 'BAD_REQUEST', status: 400 },
  Invalid: { code: 'INVALID_PARAMETER_VALUE', status: 400 },
  TooManyRequests: { code: 'REQUEST_LIMIT_EXCEEDED', status: 429 },
  InternalError: { code: 'INTERNAL_ERROR', status: 500 },
  ServiceUnavailable: { code: 'TEMPORARILY_UNAVAILABLE', status: 503 },
  // why: a client would try a 503 for minutes; nobody makes room meanwhile
  InsufficientStorage: { code: 'RESOURCE_EXHAUSTED', status: 507 },
  Timeout: { code: 'DEADLINE_EXCEEDED', status: 504 },
} as const satisfies Record<Reason, Wire>;

/** An answer that MLflow's client turns into its own exception. */
export interface ErrorAnswer {
  readonly status: number;
  readonly body: { readonly error_code: string; readonly message: string };
}

/** Any thrown value as MLflow says it. The text of an unforeseen error stays inside. */
export function toErrorAnswer(thrown: unknown): ErrorAnswer {
  const error = toStatusError(explainDatabaseError(thrown));
  const { code, status } = MLFLOW_ERRORS[error.reason];
  const isSurprise = error.reason === 'InternalError' && error !== thrown;
  const message = isSurprise ? 'cannot answer: something unforeseen went wrong, the log says what' : error.message;
  return { status, body: { error_code: code, message } };
}
