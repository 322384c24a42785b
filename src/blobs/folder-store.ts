/** Files in a local folder. Knows how to make one appear at once and stay after a crash; nothing of what it holds. */
import { createReadStream } from 'node:fs';
import { link, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StatusError } from '../kube/status-error.ts';
import { checkKey } from './blob-key.ts';
import type {
  BlobStat,
  BlobStore,
  ByteRange,
  ByteSource,
  KeyChoice,
  ListOptions,
  OpenBlob,
  PutOptions,
  PutResult,
} from './blob-store.ts';
import { explainFileError, hasCode } from './file-error.ts';
import { listFolder } from './list-folder.ts';
import { TemporaryFiles } from './temporary-files.ts';
import { writeStream } from './write-stream.ts';

const FOLDER_MODE = 0o755;
const READ_BYTES = 256 * 1024;

/** Opens (and makes, when missing) the store at `root`; temporary files that a crash left more than an hour ago go. */
export async function openFolderStore(root: string): Promise<BlobStore> {
  try {
    const temporary = await TemporaryFiles.open(root);
    return new FolderStore(root, temporary);
  } catch (error) {
    throw explainFileError(error, `open the blob store ${root}`);
  }
}

class FolderStore implements BlobStore {
  readonly #root: string;
  readonly #temporary: TemporaryFiles;

  constructor(root: string, temporary: TemporaryFiles) {
    this.#root = root;
    this.#temporary = temporary;
  }

  async put(choice: KeyChoice, source: ByteSource, options: PutOptions = {}): Promise<PutResult> {
    let key = typeof choice === 'string' ? choice : 'a new file';
    if (typeof choice === 'string') this.#pathOf(choice);
    const path = this.#temporary.newPath();
    try {
      const written = await writeStream(path, source);
      if (typeof choice === 'function') key = choice(written);
      await this.#publish(path, this.#pathOf(key), options.ifAbsent ?? false);
      return written;
    } catch (error) {
      throw explainPut(error, key);
    } finally {
      await rm(path, { force: true });
    }
  }

  async open(key: string, range?: ByteRange): Promise<OpenBlob> {
    const { sizeBytes } = await this.stat(key);
    if (range && (range.start < 0 || range.start >= sizeBytes || (range.end ?? range.start) < range.start)) {
      const asked = `${range.start}-${range.end ?? ''}`;
      throw new StatusError('Invalid', `cannot read bytes ${asked} of ${key}: it has ${sizeBytes} bytes`);
    }
    return { sizeBytes, body: readFile(this.#pathOf(key), range) };
  }

  async stat(key: string): Promise<BlobStat> {
    try {
      const { size, mtimeMs, isFile } = await describe(this.#pathOf(key));
      if (isFile) return { key, sizeBytes: size, modifiedMs: mtimeMs };
    } catch (error) {
      if (!hasCode(error, 'ENOENT', 'ENOTDIR')) throw error;
    }
    throw new StatusError('NotFound', `cannot read ${key}: there is no such file`);
  }

  list(prefix: string, options: ListOptions = {}): Promise<readonly BlobStat[]> {
    return listFolder(this.#root, prefix, options);
  }

  async delete(key: string): Promise<void> {
    const path = this.#pathOf(key);
    try {
      await rm(path);
    } catch (error) {
      // A folder is no file: to this store nothing has that key.
      if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ERR_FS_EISDIR')) return;
      throw explainFileError(error, `delete ${key}`);
    }
    await syncFolder(dirname(path));
  }

  async #publish(path: string, target: string, ifAbsent: boolean): Promise<void> {
    const firstMade = await mkdir(dirname(target), { recursive: true, mode: FOLDER_MODE });
    // link() refuses a taken name in the same step; rename() would replace it.
    if (ifAbsent) await link(path, target);
    else await rename(path, target);
    await syncFolder(dirname(target));
    if (firstMade) await this.#syncUpTo(dirname(target), dirname(firstMade));
  }

  /** New folders are entries of their parents: those have to be on the disk too. */
  async #syncUpTo(folder: string, last: string): Promise<void> {
    for (let path = folder; path !== last && path.startsWith(this.#root); ) {
      path = dirname(path);
      await syncFolder(path);
    }
  }

  #pathOf(key: string): string {
    checkKey(key);
    if (this.#temporary.owns(key)) throw new StatusError('Invalid', `cannot use the key ${key}: it is reserved`);
    return join(this.#root, key);
  }
}

async function describe(path: string): Promise<{ size: number; mtimeMs: number; isFile: boolean }> {
  const found = await stat(path);
  return { size: found.size, mtimeMs: found.mtimeMs, isFile: found.isFile() };
}

/** Opens the file when the first byte is wanted, so that an unread body holds nothing open. */
async function* readFile(path: string, range: ByteRange | undefined): AsyncGenerator<Uint8Array> {
  yield* createReadStream(path, { highWaterMark: READ_BYTES, ...range });
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function explainPut(error: unknown, key: string): unknown {
  if (hasCode(error, 'EEXIST', 'ENOTDIR', 'EISDIR', 'ENOTEMPTY')) {
    const message = `cannot write ${key}: that name, or a folder of it, is taken, choose another`;
    return new StatusError('AlreadyExists', message, { cause: error });
  }
  return explainFileError(error, `write ${key}`);
}
