/** Large artifacts with MLflow's real client, through the server and past it; ranges, and what must not be reached. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { BlobStore } from '../src/blobs/blob-store.ts';
import { openFolderStore } from '../src/blobs/folder-store.ts';
import { openBlobStore } from '../src/blobs/open-blob-store.ts';
import { collectAbandoned } from '../src/tracking/artifacts/uploads.ts';
import { startTestTracking } from '../src/tracking/test-tracking.ts';
import { ensureVenv } from './python.ts';
import { startS3, type TestS3 } from './s3-server.ts';

const FILES = '/api/2.0/mlflow-artifacts';
const TIMEOUT_MS = 300_000;
const home = mkdtempSync(join(tmpdir(), 'athanor-artifacts-'));
let s3: TestS3;
let folder: BlobStore;
let bucket: BlobStore;
before(async () => {
  s3 = await startS3();
  folder = await openFolderStore(join(home, 'blobs'));
  bucket = await openBlobStore(s3.url(), s3.access);
});
after(async () => {
  await s3.close();
  rmSync(home, { recursive: true, force: true });
});

async function withTracking<T>(blobs: BlobStore, work: (url: string) => Promise<T>): Promise<T> {
  const server = await startTestTracking({ home, database: { path: ':memory:' }, blobs });
  try {
    return await work(server.url);
  } finally {
    await server.close();
  }
}

async function drive(url: string, ...args: readonly string[]): Promise<void> {
  const { python } = await ensureVenv(['mlflow-skinny==3.17.2']);
  const files = mkdtempSync(join(home, 'files-'));
  mkdirSync(files, { recursive: true });
  const env = { PATH: process.env['PATH'], HOME: home, MLFLOW_HTTP_REQUEST_MAX_RETRIES: '0', NO_PROXY: '127.0.0.1' };
  const script = join(import.meta.dirname, 'mlflow', 'artifacts.py');
  const options = { env, cwd: home, timeout: TIMEOUT_MS };
  const { stdout } = await promisify(execFile)(python, [script, url, files, ...args], options);
  assert.match(stdout, /all good/);
}

const stores: Record<string, { readonly blobs: () => BlobStore; readonly kind: string }> = {
  'a folder': { blobs: () => folder, kind: 'proxied' },
  'an S3-compatible store': { blobs: () => bucket, kind: 'direct' },
};

for (const [name, { blobs, kind }] of Object.entries(stores)) {
  test(`MLflow's client sends and gets large files in parts, on ${name}`, async () => {
    await withTracking(blobs(), (url) => drive(url, kind));
    assert.deepEqual(await blobs().list('tracking/uploads/'), []);
  });
  test(`MLflow's client does so when its variable says so, on ${name}`, () =>
    withTracking(blobs(), (url) => drive(url, kind, 'true')));
  test(`an artifact answers HEAD and ranges, on ${name}`, () => withTracking(blobs(), checkRanges));
  test(`no upload leaves its place, on ${name}`, () => withTracking(blobs(), checkEscapes));
}

async function checkRanges(url: string): Promise<void> {
  const place = `${url}${FILES}/artifacts/0/digits.txt`;
  await fetch(place, { method: 'PUT', body: '0123456789' });
  const head = await fetch(place, { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, '10']);
  assert.equal(head.headers.get('accept-ranges'), 'bytes');
  assert.equal((await fetch(`${place}.no`, { method: 'HEAD' })).status, 404);
  const asked = async (range: string) => {
    const answer = await fetch(place, { headers: { range } });
    return [answer.status, answer.headers.get('content-range'), await answer.text()];
  };
  assert.deepEqual(await asked('bytes=2-4'), [206, 'bytes 2-4/10', '234']);
  assert.deepEqual(await asked('bytes=7-'), [206, 'bytes 7-9/10', '789']);
  assert.deepEqual(await asked('bytes=-3'), [206, 'bytes 7-9/10', '789']);
  assert.deepEqual(await asked('bytes=8-99'), [206, 'bytes 8-9/10', '89']);
  assert.deepEqual(await asked('bytes=10-'), [416, 'bytes */10', '']);
  assert.deepEqual(await asked('bytes=4-2'), [200, null, '0123456789']);
  assert.deepEqual(await asked('lines=1-2'), [200, null, '0123456789']);
}

async function checkEscapes(url: string): Promise<void> {
  const post = async (verb: string, path: string, body: object) => {
    const answer = await fetch(`${url}${FILES}/mpu/${verb}/${path}`, { method: 'POST', body: JSON.stringify(body) });
    return { status: answer.status, text: await answer.text() };
  };
  for (const path of ['..%2f..%2fetc', '0/%00', '0/a%5cb', 'workspaces/other/0']) {
    const { status, text } = await post('create', path, { path: 'x.bin', num_parts: 1 });
    assert.ok(status === 400 || status === 403, `${path}: ${status} ${text}`);
  }
  for (const path of ['..', 'a/..', '/', '.']) {
    const { status, text } = await post('create', '0/deep', { path, num_parts: 1 });
    assert.equal(status, 400, `${path}: ${text}`);
  }
  for (const count of [0, 10_001, -1]) {
    assert.equal((await post('create', '0', { path: 'x', num_parts: count })).status, 400);
  }
  for (const uploadId of ['', '../../0', 'f'.repeat(32)]) {
    const parts = [{ part_number: 1, etag: '"x"' }];
    const { status } = await post('complete', '0', { path: 'x', upload_id: uploadId, parts });
    assert.ok(status === 400 || status === 404, String(status));
  }
}

test('an upload goes only where it was begun for, with the parts that arrived', () =>
  withTracking(folder, async (url) => {
    const post = async (verb: string, body: object) =>
      fetch(`${url}${FILES}/mpu/${verb}/0/a`, { method: 'POST', body: JSON.stringify({ path: 'x', ...body }) });
    const begun = (await (await post('create', { num_parts: 2 })).json()) as {
      upload_id: string;
      credentials: { url: string; headers: Record<string, string> }[];
    }; // why: the answer's shape is what this is about
    const etags: string[] = [];
    for (const { url: to, headers } of begun.credentials) {
      const sent = await fetch(to, { method: 'PUT', body: `part ${etags.length}`, headers });
      etags.push(sent.headers.get('etag') ?? '');
    }
    const [first = '', second = ''] = etags;
    const parts = (...list: [number, string][]) => list.map(([part_number, etag]) => ({ part_number, etag }));
    const complete = (list: object, more = {}) =>
      post('complete', { upload_id: begun.upload_id, parts: list, ...more });
    assert.equal((await complete(parts([1, second]))).status, 400);
    assert.equal((await complete(parts([2, second], [1, first]))).status, 400);
    assert.equal((await complete([])).status, 400);
    assert.equal((await complete(parts([1, first], [2, second]), { path: 'other' })).status, 400);
    assert.equal((await fetch(`${url}${FILES}/artifacts/0/a/x`)).status, 404);
    assert.equal((await complete(parts([1, first], [2, second]))).status, 200);
    assert.equal(await (await fetch(`${url}${FILES}/artifacts/0/a/x`)).text(), 'part 0part 1');
    assert.equal((await complete(parts([1, first], [2, second]))).status, 404);
  }));

test('abandoned uploads are collected, younger ones are not', async () => {
  for (const id of ['old', 'new']) await folder.put(`tracking/uploads/default/${id}/path`, [Buffer.from('x')]);
  utimesSync(join(home, 'blobs', 'tracking/uploads/default/old/path'), 1, 1);
  await collectAbandoned(folder, 1_000_000);
  const left = (await folder.list('tracking/uploads/')).map(({ key }) => key);
  assert.deepEqual(left, ['tracking/uploads/default/new/path']);
  await folder.delete('tracking/uploads/default/new/path');
  const { uploadId } = (await bucket.direct?.beginUpload('tracking/artifacts/0/y', 1)) ?? { uploadId: '' };
  const etag = '"d41d8cd98f00b204e9800998ecf8427e"';
  await collectAbandoned(bucket, Date.now() + 60_000);
  const completed = bucket.direct?.completeUpload('tracking/artifacts/0/y', uploadId, [{ number: 1, etag }]);
  await assert.rejects(completed ?? Promise.resolve(), /that upload is over or was given up/);
});

test('signed URLs move files past the server where the store can, and are refused in MLflow’s words elsewhere', async () => {
  const signed = (url: string, what: string, body: object) =>
    fetch(`${url}/api/2.0/mlflow/artifacts/presigned-${what}-url`, { method: 'POST', body: JSON.stringify(body) });
  const newRun = async (url: string) => {
    const answer = await fetch(`${url}/api/2.0/mlflow/runs/create`, { method: 'POST', body: '{"experiment_id":"0"}' });
    return ((await answer.json()) as { run: { info: { run_id: string } } }).run.info.run_id; // why: as above
  };
  await withTracking(bucket, async (url) => {
    const run_id = await newRun(url);
    const up = (await (await signed(url, 'upload', { run_id, path: 'a/b.txt' })).json()) as { presigned_url: string };
    assert.equal((await fetch(up.presigned_url, { method: 'PUT', body: 'signed' })).status, 200);
    const down = (await (await signed(url, 'download', { run_id, path: 'a/b.txt' })).json()) as {
      presigned_url: string;
      file_size: number;
    }; // why: as above
    assert.equal(await (await fetch(down.presigned_url)).text(), 'signed');
    assert.equal(down.file_size, 6);
    assert.equal((await signed(url, 'download', { run_id, path: '../../x' })).status, 400);
    assert.equal((await signed(url, 'download', { run_id, path: 'a', expiration: 604_801 })).status, 400);
    assert.equal((await signed(url, 'upload', { path: 'a' })).status, 400);
  });
  await withTracking(folder, async (url) => {
    const answer = await signed(url, 'download', { run_id: await newRun(url), path: 'a' });
    assert.match(await answer.text(), /Presigned download is not supported for runs with proxied artifact storage/);
    const presigned = await fetch(`${url}${FILES}/presigned/0/a`);
    assert.equal(presigned.status, 501);
    assert.match(await presigned.text(), /NOT_IMPLEMENTED.*Multipart download is not supported/);
  });
});
