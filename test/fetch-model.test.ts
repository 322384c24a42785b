/** Models fetched from the real registry and blob store, and from tracking servers that misbehave. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { openBlobStore } from '../src/blobs/open-blob-store.ts';
import { isStatusError, type Reason, StatusError } from '../src/kube/status-error.ts';
import { type FetchModelOptions, fetchModel } from '../src/launcher/fetch-model.ts';
import { importFolder } from '../src/launcher/import-dataset.ts';
import type { TrackingServer } from '../src/tracking/server.ts';
import { startTestTracking } from '../src/tracking/test-tracking.ts';
import { startBackend } from './gateway-world.ts';

const home = mkdtempSync(join(tmpdir(), 'athanor-fetch-model-'));
const blobsUrl = pathToFileURL(join(home, 'models')).href;
const FILES: Readonly<Record<string, string>> = { MLmodel: 'flavors: {}', 'data/a b.bin': 'weights', 'data/empty': '' };
let tracking: TrackingServer;
let digest = '';
let targets = 0;

before(async () => {
  const authenticate = async ({ bearerToken }: { readonly bearerToken: string }) => {
    if (bearerToken === 'good') return { user: 'pod' };
    throw new StatusError('Unauthorized', 'cannot accept the token: it is unknown');
  };
  tracking = await startTestTracking({ home, database: { path: join(home, 'rows.db') }, authenticate });
  const { run } = await post('runs/create', { experiment_id: '0', user_id: 'u', start_time: 1 });
  const { run_id, artifact_uri } = run?.info ?? { run_id: '', artifact_uri: '' };
  const place = artifact_uri.replace('mlflow-artifacts:/', '/api/2.0/mlflow-artifacts/artifacts/');
  for (const [path, body] of Object.entries(FILES)) await send('PUT', `${place}/m/${encodeURI(path)}`, body);
  await post('registered-models/create', { name: 'digits' });
  const version = { name: 'digits', version: '1' };
  await post('model-versions/create', { name: 'digits', run_id, source: `${artifact_uri}/m` });
  await post('model-versions/create', { name: 'digits', run_id, source: `${artifact_uri}/nothing-there` });
  await post('model-versions/create', { name: 'digits', source: 's3://elsewhere/m' });
  await post('registered-models/alias', { ...version, alias: 'champion' });
  const folder = join(home, 'folder');
  mkdirSync(folder);
  writeFileSync(join(folder, 'model.onnx'), 'onnx');
  ({ digest } = await importFolder(await openBlobStore(blobsUrl), folder));
});
after(async () => {
  await tracking.close();
  rmSync(home, { recursive: true, force: true });
});

interface Answer {
  readonly run?: { readonly info: { readonly run_id: string; readonly artifact_uri: string } };
}

async function send(method: string, path: string, body: string): Promise<Answer> {
  const response = await fetch(tracking.url + path, { method, body });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text) as Answer;
}

const post = (path: string, body: object) => send('POST', `/api/2.0/mlflow/${path}`, JSON.stringify(body));

async function load(uri: string, more: Partial<FetchModelOptions> = {}): Promise<Readonly<Record<string, string>>> {
  const target = join(home, `target-${targets++}`);
  await fetchModel({ uri, target, trackingUrl: tracking.url, blobsUrl, say: () => undefined, ...more });
  return readFolder(more.target ?? target);
}

function readFolder(folder: string): Readonly<Record<string, string>> {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = found.map(({ parentPath, name }) => join(parentPath, name)).toSorted();
  return Object.fromEntries(paths.map((path) => [path.slice(folder.length + 1), readFileSync(path, 'utf8')]));
}

test('fetchModel() fetches a version, an alias and a digest', async () => {
  assert.deepEqual(await load('models:/digits/1'), FILES);
  assert.deepEqual(await load('models:/digits@champion'), FILES);
  assert.deepEqual(await load(`blobs:/${digest}`), { 'model.onnx': 'onnx' });
  assert.deepEqual(await load(`blobs:/${digest.slice('sha256:'.length)}`), { 'model.onnx': 'onnx' });
});

test('fetchModel() brings its token', async () => {
  assert.deepEqual(await load('models:/digits/1', { token: 'good' }), FILES);
  await assert.rejects(load('models:/digits/1', { token: 'bad' }), {
    reason: 'Unauthorized',
    message: /it is unknown/,
  });
});

test('fetchModel() removes what an earlier try left in the folder', async () => {
  const target = join(home, 'dirty');
  mkdirSync(join(target, 'old'), { recursive: true });
  writeFileSync(join(target, 'old', 'model.onnx'), 'of another version');
  assert.deepEqual(await load('models:/digits/1', { target }), FILES);
});

const REFUSED: Record<string, { readonly uri: string; readonly reason: Reason; readonly says: RegExp }> = {
  'what is no URI': { uri: 'digits', reason: 'Invalid', says: /want models:\/name\/version, models:\/name@alias or/ },
  'a stage': { uri: 'models:/digits/Production', reason: 'Invalid', says: /want models:/ },
  'a path below a digest': { uri: `blobs:/sha256:${'0'.repeat(64)}/x`, reason: 'Invalid', says: /want models:/ },
  'a missing digest': { uri: `blobs:/sha256:${'0'.repeat(64)}`, reason: 'NotFound', says: /0000/ },
  'a missing model': { uri: 'models:/nobody/1', reason: 'NotFound', says: /cannot fetch models:\/nobody\/1: .*nobody/ },
  'a missing version': { uri: 'models:/digits/99', reason: 'NotFound', says: /cannot fetch .*99/ },
  // MLflow's registry answers 400 to this
  'a missing alias': { uri: 'models:/digits@nobody', reason: 'Invalid', says: /cannot fetch .*alias nobody not found/ },
  'a version without files': { uri: 'models:/digits/2', reason: 'NotFound', says: /there is no file at mlflow-art/ },
  'files elsewhere': {
    uri: 'models:/digits/3',
    reason: 'Invalid',
    says: /at s3:\/\/elsewhere\/m, which is not in this/,
  },
};

for (const [sentence, { uri, reason, says }] of Object.entries(REFUSED)) {
  test(`fetchModel() refuses ${sentence}`, async () => {
    await assert.rejects(load(uri), (error) => {
      assert.ok(isStatusError(error), String(error));
      assert.equal(error.reason, reason, error.message);
      assert.match(error.message, says);
      return true;
    });
  });
}

test('fetchModel() says that nobody answers', async () => {
  const trackingUrl = 'http://127.0.0.1:1';
  await assert.rejects(load('models:/digits/1', { trackingUrl }), {
    reason: 'ServiceUnavailable',
    message: /does not answer/,
  });
});

/** A tracking server with one model of one file. */
function pretend(file: string, sendFile: RequestListener): RequestListener {
  return (request, response) => {
    const url = request.url ?? '';
    const json = (body: object) => response.end(JSON.stringify(body));
    if (url.includes('/api/athanor/')) response.writeHead(404).end('{}');
    else if (url.includes('get-download-uri')) json({ artifact_uri: 'mlflow-artifacts:/m' });
    else if (url.includes('artifacts?')) json({ files: [{ path: file }] });
    else sendFile(request, response);
  };
}

const MISBEHAVING: Record<
  string,
  { readonly answer: RequestListener; readonly reason: Reason; readonly says: RegExp }
> = {
  'an error without JSON': {
    answer: (_, response) => void response.writeHead(500).end('oops'),
    reason: 'InternalError',
    says: /the tracking server answered 500/,
  },
  'a server that is busy': {
    answer: (_, response) => void response.writeHead(503).end('{"message":"busy"}'),
    reason: 'ServiceUnavailable',
    says: /cannot fetch models:\/m\/1: busy/,
  },
  'a file that would leave the folder': {
    answer: pretend('m/..', (_, response) => void response.end('x')),
    reason: 'Invalid',
    says: /its file m\/\.\. cannot be written/,
  },
  'an answer that is no JSON': {
    answer: (_, response) => void response.end('<html>'),
    reason: 'ServiceUnavailable',
    says: /is no JSON/,
  },
  'a file that breaks off': {
    answer: pretend('m/model.onnx', (_, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('half', () => response.destroy());
    }),
    reason: 'ServiceUnavailable',
    says: /cannot fetch models:\/m\/1: m\/model\.onnx broke off/,
  },
};

for (const [sentence, { answer, reason, says }] of Object.entries(MISBEHAVING)) {
  test(`fetchModel() fails clearly on ${sentence}`, async () => {
    const server = await startBackend(answer);
    const trackingUrl = `http://127.0.0.1:${server.port}`;
    const target = join(home, `target-${targets++}`);
    const refused = assert.rejects(load('models:/m/1', { trackingUrl, target }), (error) => {
      assert.ok(isStatusError(error, reason), String(error));
      assert.match(error.message, says);
      return true;
    });
    await refused.finally(() => server.close());
    if (existsSync(target)) assert.deepEqual(readFolder(target), {});
  });
}
