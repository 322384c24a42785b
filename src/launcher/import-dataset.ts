/** Brings data into the blob store: a folder of the node, or one file from the web. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { findKeyProblem } from '../blobs/blob-key.ts';
import type { BlobStore } from '../blobs/blob-store.ts';
import { putTree } from '../blobs/put-tree.ts';
import { StatusError } from '../kube/status-error.ts';
import { download, type DownloadOptions } from './download.ts';

/** What a stored folder is known by. */
export interface TreeResult {
  readonly digest: string;
  readonly files: number;
  readonly sizeBytes: number;
}

/** Stores a folder and all below it. @throws Invalid when it is empty. */
export async function importFolder(store: BlobStore, folder: string): Promise<TreeResult> {
  const { digest, files } = await putTree(store, folder);
  if (files.length === 0) throw new StatusError('Invalid', `cannot import ${folder}: there is no file in it`);
  return { digest, files: files.length, sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
}

/**
 * Stores the one file behind a URL; a cut connection is resumed where it broke, unless the file has changed. @throws
 * ServiceUnavailable, Invalid, NotFound ...; nothing is stored then.
 */
export async function importUrl(store: BlobStore, options: DownloadOptions): Promise<TreeResult> {
  const name = chooseFileName(parseAddress(options.url));
  const folder = await mkdtemp(join(tmpdir(), 'athanor-import-'));
  try {
    const content = join(folder, 'content');
    await mkdir(content);
    await download(options, join(content, name));
    return await importFolder(store, content);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function parseAddress(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new StatusError('Invalid', `cannot import ${text}: it is no address, use http://... or https://...`);
  if (url.username === '' && url.password === '') return url;
  throw new StatusError(
    'Invalid',
    `cannot import from ${url.host}: the address holds a name or password, which objects may not keep; remove it`,
  );
}

/** The last part of the path, or `data` when that cannot name a file. */
function chooseFileName({ pathname }: URL): string {
  let name = posix.basename(pathname);
  try {
    name = posix.basename(decodeURIComponent(pathname));
  } catch {
    // why: a percent sign that encodes nothing stands for itself
  }
  return findKeyProblem(name) === undefined ? name : 'data';
}
