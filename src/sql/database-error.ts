/** What a database's own error means, whichever dialect threw it. Knows error codes; nothing of tables. */
import { StatusError } from '../kube/status-error.ts';

const SQLITE_UNIQUE_CODES: readonly unknown[] = [1555, 2067];
const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;
const POSTGRES_UNIQUE = '23505';
const POSTGRES_DISK_FULL = '53100';
const POSTGRES_AWAY = /^(08|57P0|53300|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTFOUND|ENOENT)/;

/** True when a row with the same key is already there. */
export function isUniqueViolation(error: unknown): boolean {
  const { code, errcode } = readCodes(error);
  return code === POSTGRES_UNIQUE || SQLITE_UNIQUE_CODES.includes(errcode);
}

/** A full disk, a busy or an absent database as ServiceUnavailable; every other error as it is. */
export function explainDatabaseError(error: unknown): unknown {
  const trouble = findTrouble(readCodes(error));
  if (trouble === undefined) return error;
  return new StatusError('ServiceUnavailable', `cannot reach rows: ${trouble}`, { cause: error });
}

function findTrouble({ code, errcode }: Codes): string | undefined {
  if (errcode === SQLITE_FULL || code === POSTGRES_DISK_FULL) {
    return 'the disk of the database is full, make room and try again';
  }
  if (errcode === SQLITE_BUSY) return 'another process holds the database, try again';
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
