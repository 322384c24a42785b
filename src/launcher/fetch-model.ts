/** Brings a model's files into a folder: from the registry by name, or from the blob store by digest. */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { findKeyProblem } from '../blobs/blob-key.ts';
import { explainFileError } from '../blobs/file-error.ts';
import { openBlobStore } from '../blobs/open-blob-store.ts';
import type { BlobAccess } from '../blobs/s3-location.ts';
import { hashTreeFiles, type TreeFile } from '../blobs/tree.ts';
import { fromWireStatus, ignoreNotFound, StatusError } from '../kube/status-error.ts';
import { emptyFolder, fetchTree } from './fetch-tree.ts';

export interface FetchModelOptions {
  /** `models:/name/version`, `models:/name@alias` or `blobs:/sha256:digest`. */
  readonly uri: string;
  readonly target: string;
  readonly trackingUrl: string;
  readonly blobsUrl: string;
  readonly blobsAccess?: BlobAccess | undefined;
  /** Bearer token for the tracking server. */
  readonly token?: string | undefined;
  readonly say: (line: string) => void;
}

const FILES_MAX = 10_000;

/** The folder is whole or empty. @throws NotFound when there is no such model or version, Invalid for an alias. */
export async function fetchModel(options: FetchModelOptions): Promise<void> {
  const { uri, target, blobsUrl, blobsAccess } = options;
  const blob = /^blobs:\/((?:sha256:)?[0-9a-f]{64})$/.exec(uri)?.[1];
  if (blob !== undefined) {
    const digest = blob.startsWith('sha256:') ? blob : `sha256:${blob}`;
    return fetchTree(await openBlobStore(blobsUrl, blobsAccess), { digest, target });
  }
  const { source, digest } = await resolveModel(options);
  const path = /^mlflow-artifacts:(?:\/\/[^/]*)?\/(.+)$/.exec(source)?.[1];
  if (path === undefined)
    throw new StatusError(
      'Invalid',
      `cannot fetch ${uri}: its files are at ${source}, which is not in this platform's artifact store`,
    );
  const files = await listFiles(options, path, '');
  if (files.length === 0) throw new StatusError('NotFound', `cannot fetch ${uri}: there is no file at ${source}`);
  await emptyFolder(target);
  try {
    const fetched: TreeFile[] = [];
    for (const file of files) {
      options.say(`fetching ${file}`);
      fetched.push({ path: file, ...(await fetchFile(options, posix.join(path, file), join(target, file))) });
    }
    if (digest !== undefined && hashTreeFiles(fetched) !== digest)
      throw new StatusError(
        'Conflict',
        `cannot fetch ${uri}: its files are not those that were registered, register them as a new version`,
      );
  } catch (error) {
    await emptyFolder(target);
    throw error;
  }
}

interface Resolved {
  readonly source: string;
  /** Of the files as they were looked through; undefined with a server that does not look. */
  readonly digest: string | undefined;
}

async function resolveModel(options: FetchModelOptions): Promise<Resolved> {
  const { uri } = options;
  const match = /^models:\/([^/@]+)(?:\/(\d+)|@(.+))$/.exec(uri);
  if (match === null)
    throw new StatusError(
      'Invalid',
      `cannot fetch ${uri}: want models:/name/version, models:/name@alias or blobs:/sha256:digest`,
    );
  const [, name = '', number, alias = ''] = match;
  const version = number ?? (await resolveAlias(options, name, alias));
  const query = new URLSearchParams({ name, version });
  const { artifact_uri: source } = await ask<{ artifact_uri: string }>(
    options,
    `/api/2.0/mlflow/model-versions/get-download-uri?${query}`,
  );
  const place = `/api/athanor/v1/models/${encodeURIComponent(name)}/versions/${version}`;
  const known = await ask<{ digest?: string }>(options, place).catch(ignoreNotFound);
  return { source, digest: known?.digest };
}

async function resolveAlias(options: FetchModelOptions, name: string, alias: string): Promise<string> {
  const query = new URLSearchParams({ name, alias });
  const answer = await ask<{ model_version: { version: string } }>(
    options,
    `/api/2.0/mlflow/registered-models/alias?${query}`,
  );
  return answer.model_version.version;
}

interface Listing {
  readonly files?: readonly { readonly path: string; readonly is_dir?: boolean }[];
}

async function listFiles(options: FetchModelOptions, root: string, below: string): Promise<readonly string[]> {
  const query = new URLSearchParams({ path: posix.join(root, below) });
  const { files = [] } = await ask<Listing>(options, `/api/2.0/mlflow-artifacts/artifacts?${query}`);
  const found: string[] = [];
  for (const { path, is_dir: isFolder } of files) {
    const relative = posix.join(below, posix.basename(path));
    const problem = findKeyProblem(relative);
    if (problem !== undefined)
      throw new StatusError('Invalid', `cannot fetch ${options.uri}: its file ${path} cannot be written, ${problem}`);
    if (isFolder === true) found.push(...(await listFiles(options, root, relative)));
    else found.push(relative);
    if (found.length > FILES_MAX)
      throw new StatusError('Invalid', `cannot fetch ${options.uri}: it has more than ${FILES_MAX} files`);
  }
  return found;
}

async function fetchFile(
  options: FetchModelOptions,
  path: string,
  target: string,
): Promise<Pick<TreeFile, 'digest' | 'sizeBytes'>> {
  const encoded = path.split('/').map(encodeURIComponent).join('/');
  const response = await send(options, `/api/2.0/mlflow-artifacts/artifacts/${encoded}`);
  await mkdir(dirname(target), { recursive: true });
  const hash = createHash('sha256');
  let sizeBytes = 0;
  await pipeline(
    Readable.fromWeb(response.body ?? new ReadableStream({ start: (body) => body.close() })),
    async function* (parts: AsyncIterable<Uint8Array>) {
      for await (const part of parts) {
        hash.update(part);
        sizeBytes += part.length;
        yield part;
      }
    },
    createWriteStream(target),
  ).catch((cause: unknown) => {
    const known = explainFileError(cause, `fetch ${options.uri}`);
    if (known instanceof StatusError) throw known;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StatusError(
      'ServiceUnavailable',
      `cannot fetch ${options.uri}: ${path} broke off (${why}), nothing was kept`,
      { cause },
    );
  });
  return { digest: `sha256:${hash.digest('hex')}`, sizeBytes };
}

async function ask<T>(options: FetchModelOptions, path: string): Promise<T> {
  const text = await (await send(options, path)).text();
  try {
    return JSON.parse(text) as T; // why: MLflow's REST API gives these fields
  } catch (cause) {
    throw new StatusError(
      'ServiceUnavailable',
      `cannot fetch ${options.uri}: what ${options.trackingUrl} answers is no JSON, is it a tracking server?`,
      { cause },
    );
  }
}

async function send({ trackingUrl, token, uri }: FetchModelOptions, path: string): Promise<Response> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(trackingUrl + path, { headers }).catch((cause: unknown) => {
    throw new StatusError(
      'ServiceUnavailable',
      `cannot fetch ${uri}: the tracking server at ${trackingUrl} does not answer`,
      { cause },
    );
  });
  if (response.ok) return response;
  const body = (await response.json().catch(() => ({}))) as { message?: string }; // why: an error may come without JSON
  throw new StatusError(
    response.status === 400 ? 'Invalid' : fromWireStatus({}, response.status).reason,
    `cannot fetch ${uri}: ${body.message ?? `the tracking server answered ${response.status}`}`,
  );
}
