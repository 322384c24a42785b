/**
 * Writes the files of a config map, secret or projection so that a reader sees all the old ones or all the new
 * ones.
 */
import { mkdir, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StatusError } from '../kube/status-error.ts';

export interface PayloadFile {
  readonly content: Buffer;
  readonly mode: number;
}

/** Files by path relative to the folder. */
export type Payload = ReadonlyMap<string, PayloadFile>;

/**
 * Makes the folder hold exactly the payload, by a kubelet's way: a dated folder, a `..data` link swapped by rename, and
 * one link for each top-level name. `version` names the dated folder and must differ from the last.
 */
export async function writeAtomicFolder(folder: string, payload: Payload, version: string): Promise<void> {
  for (const path of payload.keys()) checkPath(path);
  await mkdir(folder, { recursive: true });
  const dated = `..${version}`;
  for (const [path, { content, mode }] of payload) {
    await mkdir(dirname(`${folder}/${dated}/${path}`), { recursive: true });
    await writeFile(`${folder}/${dated}/${path}`, content, { mode });
  }
  if (payload.size === 0) await mkdir(`${folder}/${dated}`, { recursive: true });
  const before = await readlink(`${folder}/..data`).catch(() => undefined);
  await symlink(dated, `${folder}/..data_new`);
  await rename(`${folder}/..data_new`, `${folder}/..data`);
  await linkNames(folder, new Set([...payload.keys()].map((path) => path.split('/')[0] ?? path)));
  if (before !== undefined && before !== dated) await rm(`${folder}/${before}`, { recursive: true, force: true });
}

async function linkNames(folder: string, wanted: ReadonlySet<string>): Promise<void> {
  const present = (await readdir(folder)).filter((name) => !name.startsWith('..'));
  for (const name of present) if (!wanted.has(name)) await rm(`${folder}/${name}`, { force: true });
  for (const name of wanted) if (!present.includes(name)) await symlink(`..data/${name}`, `${folder}/${name}`);
}

function checkPath(path: string): void {
  const isBad = path === '' || path.startsWith('/') || path.startsWith('..') || path.split('/').includes('..');
  if (isBad)
    throw new StatusError('Invalid', `cannot write volume file '${path}': it must be a relative path without '..'`);
}
