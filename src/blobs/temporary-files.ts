/** Files on their way into a store: in the same file system, under a reserved folder. Knows names and ages only. */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from './file-error.ts';

/** Reserved: no key lies below it. */
export const TEMPORARY_FOLDER = '.temporary';
const STALE_AFTER_MS = 3_600_000;

/**
 * Names for new files. What a crash left behind goes when it is an hour old: younger ones may belong to a living
 * process.
 */
export class TemporaryFiles {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes the folder under `root` and removes what is stale. */
  static async open(root: string): Promise<TemporaryFiles> {
    const folder = join(root, TEMPORARY_FOLDER);
    await mkdir(folder, { recursive: true });
    for (const name of await readdir(folder)) await removeStale(join(folder, name));
    return new TemporaryFiles(folder);
  }

  newPath(): string {
    return join(this.#folder, randomUUID());
  }

  /** True for keys inside the reserved folder. */
  owns(key: string): boolean {
    return isTemporary(key);
  }
}

/** True for keys inside the reserved folder. */
export function isTemporary(key: string): boolean {
  return key === TEMPORARY_FOLDER || key.startsWith(`${TEMPORARY_FOLDER}/`);
}

async function removeStale(path: string): Promise<void> {
  try {
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > STALE_AFTER_MS) await rm(path, { force: true });
  } catch (error) {
    // Another process finished or cleaned it meanwhile.
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}
