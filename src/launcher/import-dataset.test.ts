/** Imports of folders and of files behind real HTTP servers that move, fail, break off and change. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { until } from '../../test/until.ts';
import type { Clock } from '../base/clock.ts';
import { openContent } from '../blobs/content.ts';
import { openFolderStore } from '../blobs/folder-store.ts';
import type { BlobStore } from '../blobs/blob-store.ts';
import { getTree } from '../blobs/tree.ts';
import { isStatusError, type Reason } from '../kube/status-error.ts';
import { importFolder, importUrl } from './import-dataset.ts';

const home = mkdtempSync(join(tmpdir(), 'athanor-import-test-'));
const temporary = join(home, 'tmp');
let listener: RequestListener = () => undefined;
const server = createServer((request, response) => listener(request, response));
let url = '';
let store: BlobStore;
let asked: IncomingMessage[] = [];
let delays: number[] = [];
let said: string[] = [];
let stores = 0;

/** Waits for nothing, and remembers for how long it should have. */
const clock: Clock = {
  nowMs: () => 0,
  after: (delayMs, run) => {
    delays.push(delayMs);
    queueMicrotask(run);
    return () => undefined;
  },
};

before(async () => {
  mkdirSync(temporary);
  process.env['TMPDIR'] = temporary;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
beforeEach(async () => {
  [asked, delays, said] = [[], [], []];
  store = await openFolderStore(join(home, `store-${stores++}`));
});
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(home, { recursive: true });
});

/** One answer per request, the last one for all that follow. */
function answer(...answers: readonly RequestListener[]): void {
  listener = (request, response) => {
    asked.push(request);
    answers[Math.min(asked.length, answers.length) - 1]?.(request, response);
  };
}

const load = (path = '/data.bin', more: { readonly sha256?: string } = {}) =>
  importUrl(store, { url: url + path, say: (line) => said.push(line), clock, ...more });

/** The one file that was stored. */
async function read({
  digest,
}: {
  readonly digest: string;
}): Promise<{ readonly path: string; readonly text: string }> {
  const [file] = (await getTree(store, digest)).files;
  assert.ok(file);
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await openContent(store, file.digest)).body) chunks.push(chunk);
  return { path: file.path, text: Buffer.concat(chunks).toString() };
}

async function isEmpty(): Promise<boolean> {
  return (await store.list('')).length === 0;
}

const OLD = Buffer.from('a'.repeat(1000));
const NEW = Buffer.from('b'.repeat(1200));
const send =
  (body: Buffer, headers: Record<string, string> = {}) =>
  (_: unknown, response: ServerResponse) =>
    void response.writeHead(200, { 'content-length': body.length, ...headers }).end(body);
const HALF = 500;
/** What breaks off sooner may be lost on its way. */
const arrived = (bytes: number) =>
  until(`${bytes} bytes are there`, () =>
    readdirSync(temporary).some((name) => {
      const path = join(temporary, name, 'content', 'data.bin');
      return statSync(path, { throwIfNoEntry: false })?.size === bytes;
    }),
  );
/** Half of the file, then nothing. */
const cut =
  (body: Buffer, headers: Record<string, string> = {}) =>
  (_: unknown, response: ServerResponse) => {
    response.writeHead(200, { 'content-length': body.length, ...headers });
    response.write(body.subarray(0, HALF), () => void arrived(HALF).then(() => response.destroy()));
  };
const sendRest =
  (body: Buffer, headers: Record<string, string> = {}, from?: number) =>
  (request: IncomingMessage, response: ServerResponse) => {
    const start = from ?? Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const range = { 'content-range': `bytes ${start}-${body.length - 1}/${body.length}`, ...headers };
    response.writeHead(206, { 'content-length': body.length - start, ...range }).end(body.subarray(start));
  };
const status = (code: number) => (_: unknown, response: ServerResponse) => void response.writeHead(code).end('no');
const TAG = { etag: '"v1"' };
const DATED = { 'last-modified': 'Mon, 02 Jan 2006 15:04:05 GMT' };

interface Download {
  readonly answers: readonly RequestListener[];
  readonly want: Buffer;
  /** Range and If-Range of each request. */
  readonly ranges: readonly (readonly [string | undefined, string | undefined])[];
}

const none = [undefined, undefined] as const;
const resumed = ['bytes=500-', '"v1"'] as const;
const DOWNLOADS: Record<string, Download> = {
  'takes a whole answer': { answers: [send(OLD)], want: OLD, ranges: [none] },
  'takes an answer of unknown length': {
    answers: [(_, response) => void response.write(OLD, () => response.end())],
    want: OLD,
    ranges: [none],
  },
  'resumes by entity tag': { answers: [cut(OLD, TAG), sendRest(OLD, TAG)], want: OLD, ranges: [none, resumed] },
  'resumes by date': {
    answers: [cut(OLD, DATED), sendRest(OLD, DATED)],
    want: OLD,
    ranges: [none, ['bytes=500-', DATED['last-modified']]],
  },
  'begins again when the file has changed': {
    answers: [cut(OLD, TAG), send(NEW, { etag: '"v2"' })],
    want: NEW,
    ranges: [none, resumed],
  },
  'begins again when a server ignores If-Range': {
    answers: [cut(OLD, TAG), sendRest(NEW, { etag: '"v2"' }), send(NEW, { etag: '"v2"' })],
    want: NEW,
    ranges: [none, resumed, none],
  },
  'begins again when the rest starts elsewhere': {
    answers: [cut(OLD, TAG), sendRest(OLD, TAG, 400), send(OLD, TAG)],
    want: OLD,
    ranges: [none, resumed, none],
  },
  'begins again when the file became shorter': {
    answers: [cut(OLD, TAG), status(416), send(NEW.subarray(0, 9))],
    want: NEW.subarray(0, 9),
    ranges: [none, resumed, none],
  },
  'begins again without a validator': { answers: [cut(OLD), send(OLD)], want: OLD, ranges: [none, none] },
  'begins again with a weak entity tag': {
    answers: [cut(OLD, { etag: 'W/"v1"' }), send(NEW)],
    want: NEW,
    ranges: [none, none],
  },
  'begins again with a date too young to be sure': {
    answers: [
      cut(OLD, { 'last-modified': 'Mon, 02 Jan 2006 15:04:05 GMT', date: 'Mon, 02 Jan 2006 15:04:05 GMT' }),
      send(NEW),
    ],
    want: NEW,
    ranges: [none, none],
  },
  'unpacks what a server packs unasked': {
    answers: [send(gzipSync(OLD), { 'content-encoding': 'gzip' })],
    want: OLD,
    ranges: [none],
  },
  'tries again after 503, 500 and 429': {
    answers: [status(503), status(500), status(429), send(OLD)],
    want: OLD,
    ranges: [none, none, none, none],
  },
  'resumes after a 502 in between': {
    answers: [cut(OLD, TAG), status(502), send(OLD, TAG)],
    want: OLD,
    ranges: [none, resumed, none],
  },
};

for (const [sentence, { answers, want, ranges }] of Object.entries(DOWNLOADS)) {
  test(`importUrl() ${sentence}`, async () => {
    answer(...answers);
    const result = await load();
    assert.deepEqual(await read(result), { path: 'data.bin', text: want.toString() });
    assert.deepEqual([result.files, result.sizeBytes], [1, want.length]);
    const given = asked.map(({ headers }) => [headers.range, headers['if-range']]);
    assert.deepEqual(given, ranges);
    // fetch() adds one of its own to a request for a range
    for (const { headers } of asked) assert.match(String(headers['accept-encoding']), /^identity(, identity)?$/);
    assert.deepEqual(delays, [500, 1000, 2000].slice(0, ranges.length - 1));
  });
}

test('importUrl() follows redirects and keeps the name it was asked for', async () => {
  answer((_, response) => void response.writeHead(302, { location: '/elsewhere' }).end(), send(OLD));
  assert.deepEqual(await read(await load('/a/mnist.gz?x=1')), { path: 'mnist.gz', text: OLD.toString() });
  assert.equal(asked[1]?.url, '/elsewhere');
});

const NAMES: Record<string, string> = {
  '/': 'data',
  '/a%20b.csv': 'a b.csv',
  '/x%2Fy.csv': 'y.csv',
  '/x%2F..': 'data',
  '/100%.csv': '100%.csv',
  '/%00': 'data',
  '/a%5Cb': 'data',
  [`/${'n'.repeat(300)}`]: 'data',
};

for (const [path, want] of Object.entries(NAMES)) {
  test(`importUrl() names what is behind ${path.slice(0, 20)} ${want}`, async () => {
    answer(send(OLD));
    assert.equal((await read(await load(path))).path, want);
  });
}

interface Refusal {
  readonly answers: readonly RequestListener[];
  readonly reason: Reason;
  readonly says: RegExp;
  readonly requests: number;
  readonly sha256?: string;
}

const REFUSALS: Record<string, Refusal> = {
  'a 404 at once': {
    answers: [status(404)],
    reason: 'NotFound',
    says: /answered 404 Not Found, check the/,
    requests: 1,
  },
  'a 403 at once': { answers: [status(403)], reason: 'Forbidden', says: /answered 403 Forbidden/, requests: 1 },
  'a 410 at once': { answers: [status(410)], reason: 'Expired', says: /answered 410 Gone/, requests: 1 },
  'a 418 at once': { answers: [status(418)], reason: 'Invalid', says: /answered 418/, requests: 1 },
  'a 503 that stays': {
    answers: [status(503)],
    reason: 'ServiceUnavailable',
    says: /answered 503 Service Unavailable \(after 0 bytes and 4 tries\); nothing was stored/,
    requests: 4,
  },
  'a connection that always breaks': {
    answers: [cut(OLD)],
    reason: 'ServiceUnavailable',
    says: /terminated: .*\(after \d+ bytes and 4 tries\); nothing was stored/,
    requests: 4,
  },
  'an end before the length that was told': {
    answers: [
      (_, response) => {
        response.writeHead(200, { 'content-length': '1000', connection: 'close' });
        response.write(OLD.subarray(0, 10), () => response.socket?.end());
      },
    ],
    reason: 'ServiceUnavailable',
    says: /\(after \d+ bytes and 4 tries\); nothing was stored/,
    requests: 4,
  },
  'a checksum that is another': {
    answers: [send(OLD)],
    reason: 'Invalid',
    says: /its SHA-256 is [0-9a-f]{64}, the data set wants 00/,
    requests: 1,
    sha256: '00'.repeat(32),
  },
};

for (const [sentence, { answers, reason, says, requests, sha256 }] of Object.entries(REFUSALS)) {
  test(`importUrl() refuses ${sentence}, and stores nothing`, async () => {
    answer(...answers);
    await assert.rejects(load('/data.bin', sha256 === undefined ? {} : { sha256 }), (error) => {
      assert.ok(isStatusError(error, reason), String(error));
      assert.match(error.message, /^cannot import http:/);
      assert.match(error.message, says);
      return true;
    });
    assert.equal(asked.length, requests);
    assert.ok(await isEmpty());
    assert.deepEqual(readdirSync(temporary), []);
  });
}

test('importUrl() refuses what is no address, and tells no password', async () => {
  for (const bad of ['http://', 'ftp://x/y', 'nonsense', 'http://u:secret@127.0.0.1/x'])
    await assert.rejects(importUrl(store, { url: bad, say: () => undefined, clock }), (error) => {
      assert.ok(isStatusError(error, 'Invalid'), String(error));
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
});

test('importFolder() stores what is below, the same digest for the same files', async () => {
  for (const name of ['one', 'two']) {
    mkdirSync(join(home, name, 'deep'), { recursive: true });
    writeFileSync(join(home, name, 'deep', 'a.txt'), 'hello');
    writeFileSync(join(home, name, 'empty'), '');
  }
  const first = await importFolder(store, join(home, 'one'));
  assert.deepEqual([first.files, first.sizeBytes], [2, 5]);
  assert.deepEqual(await importFolder(store, join(home, 'two')), first);
});

test('importFolder() refuses a folder without a file, and one that is not there', async () => {
  mkdirSync(join(home, 'hollow', 'deep'), { recursive: true });
  await assert.rejects(importFolder(store, join(home, 'hollow')), {
    reason: 'Invalid',
    message: /there is no file in it/,
  });
  await assert.rejects(importFolder(store, join(home, 'nowhere')), { reason: 'NotFound', message: /no such folder/ });
});
