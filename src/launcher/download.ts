/** Downloads one file over as many connections as it takes, and never joins pieces of two versions of it. */
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { backoffMs } from '../base/backoff.ts';
import { type Clock, hostClock, pause } from '../base/clock.ts';
import { explainFileError } from '../blobs/file-error.ts';
import { fromWireStatus, isStatusError, StatusError, toStatusError } from '../kube/status-error.ts';

export interface DownloadOptions {
  readonly url: string;
  readonly sha256?: string | undefined;
  readonly say: (line: string) => void;
  /** Default: the system's. */
  readonly clock?: Clock;
}

const TRIES_MAX = 4;
const RETRY = { firstMs: 500, maxMs: 8_000 };
const SAY_EVERY_BYTES = 64 * 1024 * 1024;
/** Troubles of a server that pass, besides 5xx. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429]);

/** What has arrived so far. */
interface Partial {
  readonly file: FileHandle;
  bytes: number;
  hash: Hash;
  /** Strong validator of what has arrived, for If-Range; undefined when a connection cannot be resumed. */
  validator: string | undefined;
}

/** Writes the file to `path`. @throws ServiceUnavailable, Invalid, NotFound ...; `path` is of no use. */
export async function download(options: DownloadOptions, path: string): Promise<void> {
  const { url, sha256, say, clock = hostClock(globalThis) } = options;
  const file = await open(path, 'w');
  const partial: Partial = { file, bytes: 0, hash: createHash('sha256'), validator: undefined };
  try {
    for (let tries = 1; !(await tryOnce(partial, options, tries)); tries++) {
      say(`the connection broke after ${partial.bytes} bytes, trying again`);
      await pause(clock, backoffMs(tries, RETRY));
    }
  } finally {
    await partial.file.close();
  }
  const digest = partial.hash.digest('hex');
  if (sha256 === undefined || digest === sha256) return;
  throw new StatusError('Invalid', `cannot import ${url}: its SHA-256 is ${digest}, the data set wants ${sha256}`);
}

/** True when the file is whole; false when another try may help. */
async function tryOnce(partial: Partial, options: DownloadOptions, tries: number): Promise<boolean> {
  try {
    await fetchRest(partial, options);
    return true;
  } catch (error) {
    if (isStatusError(error)) throw error;
    if (tries === TRIES_MAX) throw unreachable(options.url, partial.bytes, error);
    return false;
  }
}

/** @throws StatusError when another try is in vain. */
async function fetchRest(partial: Partial, { url, say }: DownloadOptions): Promise<void> {
  const { bytes, validator } = partial;
  const range = bytes > 0 && validator !== undefined && { range: `bytes=${bytes}-`, 'if-range': validator };
  // why: positions in a compressed answer say nothing about positions in the file
  const response = await fetch(url, { headers: { 'accept-encoding': 'identity', ...range } });
  const isRest = range !== false && isRestOf(response, partial);
  if (!isRest) {
    partial.validator = undefined;
    if (!response.ok || response.status === 206) await refuse(response, url, range !== false);
    await restart(partial);
    partial.validator = findValidator(response.headers);
  }
  const start = partial.bytes;
  for await (const chunk of response.body ?? []) {
    await append(partial, chunk, url);
    if (partial.bytes % SAY_EVERY_BYTES < chunk.length) say(`${partial.bytes} bytes so far`);
  }
  const expected = Number(response.headers.get('content-length') ?? -1);
  const received = partial.bytes - start;
  if (expected >= 0 && !response.headers.has('content-encoding') && received !== expected)
    throw new Error(`the connection ended ${expected - received} bytes early`);
}

/** A server may know ranges and not If-Range, so the answer is looked at too. */
function isRestOf({ status, headers }: Response, { bytes, validator }: Partial): boolean {
  if (status !== 206 || headers.has('content-encoding')) return false;
  const start = /^bytes (\d+)-/.exec(headers.get('content-range') ?? '')?.[1];
  const now = headers.get(validator?.startsWith('"') ? 'etag' : 'last-modified');
  return Number(start) === bytes && (now === null || now === validator);
}

/** @throws StatusError when the answer will not change; an Error when another try may help. */
async function refuse(response: Response, url: string, isResuming: boolean): Promise<never> {
  const { status, statusText } = response;
  await response.body?.cancel();
  const what = `the server answered ${status} ${statusText}`.trim();
  if (isResuming && (status === 206 || status === 416)) throw new Error(`${what} for the rest of the file`);
  if (status >= 500 || PASSING.has(status)) throw new Error(what);
  const { reason } = fromWireStatus({}, status);
  throw new StatusError(
    reason === 'InternalError' ? 'Invalid' : reason,
    `cannot import ${url}: ${what}, check the address`,
  );
}

async function restart(partial: Partial): Promise<void> {
  if (partial.bytes === 0) return;
  partial.bytes = 0;
  partial.hash = createHash('sha256');
  await partial.file.truncate(0);
}

async function append(partial: Partial, chunk: Uint8Array, url: string): Promise<void> {
  try {
    for (let done = 0; done < chunk.length; ) {
      const { bytesWritten } = await partial.file.write(chunk, done, chunk.length - done, partial.bytes + done);
      done += bytesWritten;
    }
  } catch (error) {
    throw toStatusError(explainFileError(error, `import ${url}`)); // why: a StatusError is not tried again
  }
  partial.bytes += chunk.length;
  partial.hash.update(chunk);
}

/** A strong entity tag, or a date that is old enough to be one (RFC 9110, 8.8.2.2). */
function findValidator(headers: Headers): string | undefined {
  if (headers.has('content-encoding')) return undefined;
  const tag = headers.get('etag');
  if (tag?.startsWith('"')) return tag;
  const modified = headers.get('last-modified');
  const ageMs = Date.parse(headers.get('date') ?? '') - Date.parse(modified ?? '');
  return ageMs >= 1_000 && modified !== null ? modified : undefined;
}

function unreachable(url: string, bytes: number, cause: unknown): StatusError {
  const { message, cause: deeper } = cause as Error; // why: fetch rejects with errors
  const why = deeper instanceof Error ? `${message}: ${deeper.message}` : message;
  return new StatusError(
    'ServiceUnavailable',
    `cannot import ${url}: ${why} (after ${bytes} bytes and ${TRIES_MAX} tries); nothing was stored`,
    { cause },
  );
}
