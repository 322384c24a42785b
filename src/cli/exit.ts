/** The command line's door: from error to exit code and hint. Users never see a stack. */
import { explainFileError, hasCode } from '../blobs/file-error.ts';
import { type Reason, toStatusError } from '../kube/status-error.ts';
import { explainDatabaseError, isDiskFull } from '../sql/database-error.ts';

interface Ending {
  readonly code: number;
  readonly hint?: string;
}

/** Exit codes: 1 the request was wrong or refused, 2 usage, 3 not found, 4 cannot reach, 5 our own fault. */
const ENDINGS = {
  BadRequest: { code: 2 },
  Unauthorized: { code: 1, hint: 'the kubeconfig belongs to another cluster; choose the home with --home' },
  Forbidden: { code: 1 },
  NotFound: { code: 3 },
  MethodNotAllowed: { code: 2 },
  NotAcceptable: { code: 5 },
  AlreadyExists: { code: 1 },
  Conflict: { code: 1 },
  Expired: { code: 1, hint: 'try again' },
  RequestEntityTooLarge: { code: 1 },
  UnsupportedMediaType: { code: 5 },
  Invalid: { code: 1 },
  TooManyRequests: { code: 4, hint: 'try again' },
  InternalError: { code: 5 },
  ServiceUnavailable: { code: 4 },
  InsufficientStorage: { code: 1 },
  Timeout: { code: 4, hint: 'try again' },
} as const satisfies Record<Reason, Ending>;

/** Prints the error and returns the exit code. Set ATHANOR_DEBUG for its stack. */
export function explainError(error: unknown, stderr: NodeJS.WritableStream, isDebug: boolean): number {
  const known = toStatusError(explainDisk(error));
  const { code, hint }: Ending = ENDINGS[known.reason];
  stderr.write(`error: ${known.message}\n`);
  for (const { field, message } of known.details?.causes ?? [])
    if (!known.message.includes(message)) stderr.write(`  ${field}: ${message}\n`);
  if (hint !== undefined) stderr.write(`hint: ${hint}\n`);
  if (isDebug) stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  return code;
}

/** A full disk, whether a file or a database met it; every other error as it is. */
function explainDisk(error: unknown): unknown {
  if (!hasCode(error, 'ENOSPC', 'EDQUOT')) return isDiskFull(error) ? explainDatabaseError(error) : error;
  const path = error instanceof Error && 'path' in error ? ` ${String(error.path)}` : '';
  return explainFileError(error, `write${path}`);
}
