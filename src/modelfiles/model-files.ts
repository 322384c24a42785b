/**
 * A model's files as this room sees them, and the reader for a folder. Knows no store: who has one hands in a reader.
 */
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import { StatusError } from '../kube/status-error.ts';
import type { Bytes } from './bytes.ts';
import { FILES_MAX } from './limits.ts';

/** One file of a model; `path` is relative, with slashes. */
export interface ModelFile {
  readonly path: string;
  readonly bytes: Bytes;
  /** A link, a socket, a device: never opened. */
  readonly isSpecial?: boolean;
}

/** The files below `folder`, in order of path; links are named and not followed. @throws NotFound, Invalid */
export async function listFolderFiles(folder: string): Promise<readonly ModelFile[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch((cause: unknown) => {
    throw new StatusError('NotFound', `cannot read the model ${folder}: there is no such folder`, { cause });
  });
  const entries = found.filter((entry) => !entry.isDirectory());
  if (entries.length > FILES_MAX) {
    throw new StatusError('Invalid', `cannot read the model ${folder}: it has more than ${FILES_MAX} files`);
  }
  const files: ModelFile[] = [];
  for (const entry of entries) {
    const place = join(entry.parentPath, entry.name);
    const path = relative(folder, place).split(sep).join('/');
    if (entry.isFile()) files.push({ path, bytes: fileBytes(place, (await stat(place)).size) });
    else files.push({ path, bytes: fileBytes(place, 0), isSpecial: true });
  }
  return files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

/** One file by itself, as a model of its name. @throws NotFound */
export async function openModelFile(path: string): Promise<ModelFile> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new StatusError('NotFound', `cannot read the model ${path}: there is no such file`, { cause });
  });
  return { path: basename(path), bytes: fileBytes(path, found.size), isSpecial: !found.isFile() };
}

function fileBytes(path: string, sizeBytes: number): Bytes {
  return {
    sizeBytes,
    stream: async function* (start, end) {
      if (end > start) yield* createReadStream(path, { start, end: end - 1 });
    },
  };
}
