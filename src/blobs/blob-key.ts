/** Which keys a file may have: relative paths that stay where they are on any file system. */
import { StatusError } from '../kube/status-error.ts';

const KEY_BYTES_MAX = 1024;
const SEGMENT_BYTES_MAX = 255;

/** Why `key` cannot name a file, or undefined when it can. */
export function findKeyProblem(key: string): string | undefined {
  if (key === '') return 'it is empty';
  if (Buffer.byteLength(key) > KEY_BYTES_MAX) return `it is longer than ${KEY_BYTES_MAX} bytes`;
  if (key.startsWith('/')) return 'it begins with /';
  if (key.includes('\0') || key.includes('\\')) return 'it holds a NUL or a backslash';
  if (!key.isWellFormed()) return 'it is not well-formed Unicode';
  return key.split('/').map(findSegmentProblem).find(Boolean);
}

function findSegmentProblem(segment: string): string | undefined {
  if (segment === '') return 'it has an empty segment';
  if (segment === '.' || segment === '..') return `it has the segment ${segment}`;
  if (Buffer.byteLength(segment) > SEGMENT_BYTES_MAX) return `a segment is longer than ${SEGMENT_BYTES_MAX} bytes`;
  return undefined;
}

/** @throws Invalid when `key` cannot name a file. */
export function checkKey(key: string): void {
  const problem = findKeyProblem(key);
  if (problem === undefined) return;
  throw new StatusError('Invalid', `cannot use the key ${JSON.stringify(key)}: ${problem}, use a path like a/b.txt`);
}

/** Order of keys: by their UTF-8 bytes, as S3 lists them. */
export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
