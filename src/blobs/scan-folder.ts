/** Finds the files of a folder that is to become a tree; refuses what a tree cannot hold. Reads no file's content. */
import { readdir, realpath, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { StatusError } from '../kube/status-error.ts';
import { findKeyProblem } from './blob-key.ts';
import { explainFileError, hasCode } from './file-error.ts';
import { TREE_FILES_MAX } from './tree.ts';

const EXECUTE_BITS = 0o111;

/** A file to import. `source` is where its bytes are, which a link may put elsewhere in the folder. */
export interface FoundFile {
  readonly path: string;
  readonly source: string;
  readonly executable: boolean;
}

/**
 * Files below `folder`; links to files inside the folder count as files.
 * @throws NotFound when there is no such folder; Invalid for links out of it, links to folders and special files.
 */
export async function scanFolder(folder: string): Promise<readonly FoundFile[]> {
  const root = await findRoot(folder);
  const found: FoundFile[] = [];
  for await (const path of walk(root, root)) {
    const problem = findKeyProblem(path);
    if (problem) throw refuse(path, problem);
    if (found.length === TREE_FILES_MAX) throw refuse(folder, `it has more than ${TREE_FILES_MAX} files`);
    found.push(await describe(root, path));
  }
  return found;
}

async function findRoot(folder: string): Promise<string> {
  try {
    const root = await realpath(folder);
    if ((await stat(root)).isDirectory()) return root;
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'ENOTDIR')) throw explainFileError(error, `import ${folder}`);
  }
  throw new StatusError('NotFound', `cannot import ${folder}: there is no such folder, check the path`);
}

async function* walk(root: string, folder: string): AsyncGenerator<string> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(root, path);
    else yield relative(root, path).split(sep).join('/');
  }
}

async function describe(root: string, path: string): Promise<FoundFile> {
  const source = await realpath(join(root, path)).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT', 'ELOOP')) throw refuse(path, 'it is a link to nothing');
    throw error;
  });
  if (!source.startsWith(root + sep)) throw refuse(path, 'it is a link out of the folder');
  const found = await stat(source);
  if (found.isDirectory()) throw refuse(path, 'it is a link to a folder');
  if (!found.isFile()) throw refuse(path, 'it is a socket, a pipe or a device');
  return { path, source, executable: (found.mode & EXECUTE_BITS) !== 0 };
}

function refuse(path: string, why: string): StatusError {
  return new StatusError('Invalid', `cannot import ${path}: ${why}, remove it or import another folder`);
}
