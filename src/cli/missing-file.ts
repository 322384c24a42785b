/** Files that need not be there. */
import { hasCode } from '../blobs/file-error.ts';

/** Undefined when there is none. @throws every other error again */
export async function ignoreMissingFile<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}
