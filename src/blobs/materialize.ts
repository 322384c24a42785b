/** Makes a tree a folder again: all of it at once, each file checked, none writable. */
import { randomUUID } from 'node:crypto';
import { chmod, mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StatusError } from '../kube/status-error.ts';
import type { BlobStore } from './blob-store.ts';
import { openContent } from './content.ts';
import { explainFileError, hasCode } from './file-error.ts';
import { mapConcurrently } from './map-concurrently.ts';
import { getTree, type TreeFile } from './tree.ts';
import { writeStream } from './write-stream.ts';

const FILES_AT_ONCE = 8;
const FILE_MODE = 0o444;
const PROGRAM_MODE = 0o555;

/** `targetFolder` must not exist, or be empty; its parents are made. */
export interface MaterializeOptions {
  readonly digest: string;
  readonly targetFolder: string;
  readonly signal?: AbortSignal;
}

/**
 * Copies the tree beside the target and renames it there, so that the target is whole or absent.
 * @throws NotFound for a missing tree or file, AlreadyExists when the target has content, InternalError for a damaged
 * file.
 */
export async function materialize(store: BlobStore, options: MaterializeOptions): Promise<void> {
  const { digest, targetFolder, signal } = options;
  const { files } = await getTree(store, digest);
  const arriving = join(dirname(targetFolder), `.arriving-${randomUUID()}`);
  try {
    await mkdir(arriving, { recursive: true });
    await mapConcurrently(files, FILES_AT_ONCE, async (file) => {
      signal?.throwIfAborted();
      await copyFile(store, file, arriving);
    });
    await rename(arriving, targetFolder);
  } catch (error) {
    throw explain(error, targetFolder);
  } finally {
    await rm(arriving, { recursive: true, force: true });
  }
}

async function copyFile(store: BlobStore, file: TreeFile, folder: string): Promise<void> {
  const path = join(folder, file.path);
  await mkdir(dirname(path), { recursive: true });
  const { body } = await openContent(store, file.digest);
  const { sha256 } = await writeStream(path, body);
  if (`sha256:${sha256}` !== file.digest) {
    const what = `its bytes give sha256:${sha256} instead of ${file.digest}`;
    throw new StatusError('InternalError', `cannot copy ${file.path}: ${what}, import the folder again`);
  }
  await chmod(path, file.executable ? PROGRAM_MODE : FILE_MODE);
}

function explain(error: unknown, targetFolder: string): unknown {
  if (hasCode(error, 'ENOTEMPTY', 'EEXIST', 'ENOTDIR')) {
    const message = `cannot make ${targetFolder}: there is something already, choose an empty or new folder`;
    return new StatusError('AlreadyExists', message, { cause: error });
  }
  return explainFileError(error, `make ${targetFolder}`);
}
