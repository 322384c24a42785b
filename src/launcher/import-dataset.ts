/** Brings data into the blob store: a folder of the node, or one file from the web. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BlobStore } from '../blobs/blob-store.ts';
import { putTree } from '../blobs/put-tree.ts';
import { StatusError } from '../kube/status-error.ts';

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

export interface DownloadOptions {
  readonly url: string;
  readonly sha256?: string | undefined;
  readonly say: (line: string) => void;
}

const TRIES_MAX = 4;
const RETRY_MS = 500;
const SAY_EVERY_BYTES = 64 * 1024 * 1024;

/**
 * Stores the one file behind a URL; a cut connection is resumed where it broke. @throws ServiceUnavailable, Invalid;
 * nothing is stored then.
 */
export async function importUrl(store: BlobStore, options: DownloadOptions): Promise<TreeResult> {
  const folder = await mkdtemp(join(tmpdir(), 'athanor-import-'));
  try {
    const content = join(folder, 'content');
    await mkdir(content);
    const name = basename(decodeURIComponent(new URL(options.url).pathname)) || 'data';
    await download(options, join(content, name));
    return await importFolder(store, content);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function download({ url, sha256, say }: DownloadOptions, path: string): Promise<void> {
  const file = await open(path, 'w');
  const hash = createHash('sha256');
  try {
    for await (const chunk of readPersistently(url, say)) {
      await file.write(chunk);
      hash.update(chunk);
    }
  } finally {
    await file.close();
  }
  const digest = hash.digest('hex');
  if (sha256 === undefined || digest === sha256) return;
  throw new StatusError('Invalid', `cannot import ${url}: its SHA-256 is ${digest}, the data set wants ${sha256}`);
}

/** The bytes behind the URL, each once, over as many connections as it takes. */
async function* readPersistently(url: string, say: (line: string) => void): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for (let tries = 1; ; tries++) {
    try {
      for await (const chunk of readFrom(url, bytes)) {
        bytes += chunk.length;
        sayProgress(bytes, chunk.length, say);
        yield chunk;
      }
      return;
    } catch (error) {
      if (error instanceof StatusError || tries === TRIES_MAX) throw unreachable(url, bytes, error);
      say(`the connection broke after ${bytes} bytes, trying again`);
      await sleep(RETRY_MS * tries);
    }
  }
}

function sayProgress(bytes: number, added: number, say: (line: string) => void): void {
  if (bytes % SAY_EVERY_BYTES < added) say(`${bytes} bytes so far`);
}

async function* readFrom(url: string, offset: number): AsyncGenerator<Uint8Array> {
  const response = await fetch(url, offset > 0 ? { headers: { range: `bytes=${offset}-` } } : {});
  if (!response.ok)
    throw new StatusError('ServiceUnavailable', `the server answered ${response.status} ${response.statusText}`);
  if (offset > 0 && response.status !== 206)
    throw new StatusError('ServiceUnavailable', 'the server cannot resume where the connection broke');
  const expected = Number(response.headers.get('content-length') ?? -1);
  const isEncoded = response.headers.has('content-encoding');
  let received = 0;
  for await (const chunk of response.body ?? []) {
    received += chunk.length;
    yield chunk;
  }
  if (expected >= 0 && !isEncoded && received < expected)
    throw new Error(`the connection ended ${expected - received} bytes early`);
}

function unreachable(url: string, bytes: number, cause: unknown): StatusError {
  if (cause instanceof StatusError)
    return new StatusError(cause.reason, `cannot import ${url}: ${cause.message}`, { cause });
  const { message, cause: deeper } = cause as Error; // why: fetch rejects with errors
  const why = deeper instanceof Error ? `${message}: ${deeper.message}` : message;
  return new StatusError(
    'ServiceUnavailable',
    `cannot import ${url}: ${why} (after ${bytes} bytes and ${TRIES_MAX} tries); nothing was stored`,
    { cause },
  );
}
