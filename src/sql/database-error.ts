/** What a database's own error means, whichever dialect threw it. Knows error codes; nothing of tables. */
import { StatusError } from '../kube/status-error.ts';

const SQLITE_UNIQUE_CODES: readonly unknown[] = [1555, 2067];
const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;
/** The index of the write-ahead log could not grow: only a full disk does that. */
const SQLITE_IOERR_SHMSIZE = 4874;
const POSTGRES_UNIQUE = '23505';
const POSTGRES_DISK_FULL = '53100';
const POSTGRES_AWAY = /^(08|57P0|53300|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTFOUND|ENOENT)/;

/** A value that no column or index can hold: of a type's bounds, with a NUL, too long for a key. */
const POSTGRES_BAD_VALUE = /^(22|54)[0-9A-Z]{3}$/;
/** Two transactions that wait for each other, or that saw what the other changed. */
const POSTGRES_CROSSED = /^40(001|P01)$/;

/** True when a row with the same key is already there. */
export function isUniqueViolation(error: unknown): boolean {
  const { code, errcode } = readCodes(error);
  return code === POSTGRES_UNIQUE || SQLITE_UNIQUE_CODES.includes(errcode);
}

/** True when the database could not write for want of room. */
export function isDiskFull(error: unknown): boolean {
  const { code, errcode } = readCodes(error);
  return errcode === SQLITE_FULL || errcode === SQLITE_IOERR_SHMSIZE || code === POSTGRES_DISK_FULL;
}

/**
 * A full disk as InsufficientStorage, a busy or an absent database as ServiceUnavailable, a value that PostgreSQL
 * cannot hold as Invalid; others as they are.
 */
export function explainDatabaseError(error: unknown): unknown {
  if (isDiskFull(error)) {
    const message = 'cannot write rows: the disk of the database is full, make room and try again';
    return new StatusError('InsufficientStorage', message, { cause: error });
  }
  const { code } = readCodes(error);
  if (typeof code === 'string' && POSTGRES_BAD_VALUE.test(code)) {
    const why = error instanceof Error ? error.message : code;
    return new StatusError('Invalid', `cannot use a value of the request: ${why}, use another`, { cause: error });
  }
  const trouble = findTrouble(readCodes(error));
  if (trouble === undefined) return error;
  return new StatusError('ServiceUnavailable', `cannot reach rows: ${trouble}`, { cause: error });
}

function findTrouble({ code, errcode }: Codes): string | undefined {
  if (errcode === SQLITE_BUSY) return 'another process holds the database, try again';
  if (typeof code === 'string' && POSTGRES_CROSSED.test(code)) return `another request was in the way, try again`;
  if (typeof code === 'string' && POSTGRES_AWAY.test(code)) return `PostgreSQL does not answer (${code}), try again`;
  return undefined;
}

interface Codes {
  readonly code?: unknown;
  readonly errcode?: unknown;
}

function readCodes(error: unknown): Codes {
  return typeof error === 'object' && error !== null ? error : {};
}
