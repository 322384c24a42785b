/** Lists a folder store in order of keys, reading only the folders that can hold what is asked. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { compareKeys } from './blob-key.ts';
import type { BlobStat, ListOptions } from './blob-store.ts';
import { hasCode } from './file-error.ts';
import { isTemporary } from './temporary-files.ts';

const LIMIT_DEFAULT = 1_000;

/** Files under `root` whose key begins with `prefix`, behind `after`, at most `limit`. */
export async function listFolder(root: string, prefix: string, options: ListOptions): Promise<readonly BlobStat[]> {
  const { limit = LIMIT_DEFAULT, after = '' } = options;
  const found: BlobStat[] = [];
  for await (const key of walk(root, '', { prefix, after })) {
    if (found.length >= limit) break;
    const file = await describe(root, key);
    if (file) found.push(file);
  }
  return found;
}

interface Bounds {
  readonly prefix: string;
  readonly after: string;
}

async function* walk(root: string, folder: string, bounds: Bounds): AsyncGenerator<string> {
  for (const key of await readKeys(root, folder)) {
    if (key.endsWith('/')) {
      if (mayHold(key, bounds)) yield* walk(root, key, bounds);
    } else if (key.startsWith(bounds.prefix) && compareKeys(key, bounds.after) > 0) {
      yield key;
    }
  }
}

/** A folder sorts as its name with a slash behind it, which is what its files' keys begin with. */
async function readKeys(root: string, folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(ignoreMissing);
  const keys = entries
    .filter((entry) => entry.isDirectory() || entry.isFile())
    .map((entry) => `${folder}${entry.name}${entry.isDirectory() ? '/' : ''}`);
  return keys.filter((key) => !isTemporary(key)).sort(compareKeys);
}

function mayHold(folder: string, { prefix, after }: Bounds): boolean {
  if (!folder.startsWith(prefix) && !prefix.startsWith(folder)) return false;
  return after.startsWith(folder) || compareKeys(folder, after) > 0;
}

async function describe(root: string, key: string): Promise<BlobStat | undefined> {
  try {
    const { size, mtimeMs } = await stat(join(root, key));
    return { key, sizeBytes: size, modifiedMs: mtimeMs };
  } catch (error) {
    return ignoreMissing(error)[0];
  }
}

/** What is deleted while it is listed is not there. */
function ignoreMissing(error: unknown): never[] {
  if (hasCode(error, 'ENOENT', 'ENOTDIR')) return [];
  throw error;
}
