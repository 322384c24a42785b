/** What the file system's own errors mean. Knows error codes; nothing of stores. */
import { StatusError } from '../kube/status-error.ts';

/** True when `error` carries one of these codes, such as ENOENT. */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

/**
 * A full disk or missing permission as a StatusError that says so; every other error as it is. `act` continues
 * "cannot".
 */
export function explainFileError(error: unknown, act: string): unknown {
  if (hasCode(error, 'ENOSPC', 'EDQUOT')) {
    return new StatusError('InsufficientStorage', `cannot ${act}: the disk is full, make room and try again`, {
      cause: error,
    });
  }
  if (hasCode(error, 'EACCES', 'EPERM', 'EROFS')) {
    const message = `cannot ${act}: the file system does not let this user write there, check its permissions`;
    return new StatusError('Forbidden', message, { cause: error });
  }
  return error;
}
