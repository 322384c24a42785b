/** The door, limits, errors, artifacts and pages over plain HTTP: what MLflow's own client would never send. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { StatusError } from '../kube/status-error.ts';
import type { TrackingServer } from './server.ts';
import { startTestTracking } from './test-tracking.ts';

const API = '/api/2.0/mlflow';
const FILES = '/api/2.0/mlflow-artifacts/artifacts';
const LARGE_BYTES = 8 * 1024 * 1024;
const home = mkdtempSync(join(tmpdir(), 'athanor-tracking-'));
let server: TrackingServer;

before(async () => {
  const authenticate = async ({ bearerToken }: { readonly bearerToken: string }) => {
    if (bearerToken !== 'good') throw new StatusError('Unauthorized', 'cannot accept the token: it is unknown');
    return { user: 'ada' };
  };
  server = await startTestTracking({ home, database: { path: join(home, 'rows.db') }, authenticate });
});
after(async () => {
  await server.close();
  rmSync(home, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** node:http, for fetch() lets nobody choose Host. */
async function send(
  method: string,
  path: string,
  { body, headers = {} }: { body?: string | Buffer; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const { hostname, port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, method, path, headers }, (reply) => {
      const parts: Buffer[] = [];
      reply.on('data', (part: Buffer) => parts.push(part));
      reply.on('end', () => resolve({ status: reply.statusCode ?? 0, text: Buffer.concat(parts).toString() }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

async function post(path: string, body: object): Promise<Record<string, never>> {
  const { status, text } = await send('POST', `${API}${path}`, { body: JSON.stringify(body) });
  assert.equal(status, 200, text);
  return JSON.parse(text);
}

async function newRun(name: string): Promise<string> {
  const { run } = (await post('/runs/create', { experiment_id: '0', run_name: name })) as unknown as {
    run: { info: { run_id: string } };
  }; // why: the answer's shape is what these tests are about
  return run.info.run_id;
}

const EVIL = '<script>alert(1)</script>';

const answers: Record<
  string,
  {
    readonly method?: string;
    readonly path: string;
    readonly body?: string;
    readonly headers?: Record<string, string>;
    readonly want: readonly [number, RegExp];
  }
> = {
  'says that it is well': { path: '/health', want: [200, /^OK$/] },
  'says whose API it speaks': { path: '/version', want: [200, /^3\.17\.2$/] },
  'says what it can': { path: '/api/3.0/mlflow/server-info', want: [200, /"multipart_uploads_enabled":true/] },
  'answers under the prefix of pages': {
    path: '/ajax-api/2.0/mlflow/experiments/get?experiment_id=0',
    want: [200, /"Default"/],
  },
  'answers under 3.0': { path: '/api/3.0/mlflow/experiments/get?experiment_id=0', want: [200, /"Default"/] },
  'shows metrics': { path: '/metrics', want: [200, /athanor_tracking_requests_total/] },
  'explains itself': { path: '/', want: [200, /MLFLOW_TRACKING_URI/] },
  'knows no other endpoint': { path: '/api/2.0/mlflow/gateway/endpoints', want: [404, /ENDPOINT_NOT_FOUND/] },
  'names the missing field': {
    method: 'POST',
    path: `${API}/experiments/create`,
    body: '{}',
    want: [400, /INVALID_PARAMETER_VALUE.*Missing value for required parameter 'name'/],
  },
  'names the wrong field': {
    method: 'POST',
    path: `${API}/runs/log-batch`,
    body: '{"run_id":"x","metrics":[{"key":"a","value":"b","timestamp":1}]}',
    want: [400, /metrics\[0\]\.value/],
  },
  'refuses what is not JSON': {
    method: 'POST',
    path: `${API}/runs/create`,
    body: '{',
    want: [400, /BAD_REQUEST.*not JSON/],
  },
  'refuses a batch over 1 MB': {
    method: 'POST',
    path: `${API}/runs/log-batch`,
    body: JSON.stringify({ run_id: 'x', tags: [{ key: 'a', value: 'x'.repeat(1_000_001) }] }),
    want: [400, /INVALID_PARAMETER_VALUE.*too large/],
  },
  'refuses a foreign page token': {
    path: `${API}/experiments/search?page_token=zzz`,
    want: [400, /Invalid page token/],
  },
  'lets a good token in from anywhere': {
    path: `${API}/experiments/get?experiment_id=0`,
    headers: { host: 'evil.example', authorization: 'Bearer good' },
    want: [200, /Default/],
  },
  'refuses a bad token even on loopback': {
    path: `${API}/experiments/get?experiment_id=0`,
    headers: { authorization: 'Bearer bad' },
    want: [401, /UNAUTHENTICATED/],
  },
  'refuses another Host without a token': {
    path: `${API}/experiments/get?experiment_id=0`,
    headers: { host: 'evil.example' },
    want: [401, /UNAUTHENTICATED/],
  },
  'refuses another site without a token': {
    path: `${API}/experiments/get?experiment_id=0`,
    headers: { origin: 'https://evil.example' },
    want: [401, /UNAUTHENTICATED/],
  },
  'refuses an artifact path that leaves': {
    method: 'PUT',
    path: `${FILES}/a/%2e%2e/%2e%2e/x`,
    body: 'x',
    want: [400, /INVALID_PARAMETER_VALUE/],
  },
  'refuses to read above the root': { path: `${FILES}/..%2f..%2fetc%2fpasswd`, want: [400, /INVALID_PARAMETER_VALUE/] },
  'refuses to list above the root': { path: `${FILES}?path=../..`, want: [400, /INVALID_PARAMETER_VALUE/] },
  'has no artifact that nobody put': { path: `${FILES}/nothing`, want: [404, /RESOURCE_DOES_NOT_EXIST/] },
};

for (const [sentence, { method = 'GET', path, want, ...options }] of Object.entries(answers)) {
  test(`tracking ${sentence}`, async () => {
    const { status, text } = await send(method, path, options);
    assert.equal(status, want[0], text);
    assert.match(text, want[1]);
  });
}

test('tracking keeps and gives back a large artifact, whatever its type', async () => {
  const bytes = Buffer.alloc(LARGE_BYTES, 'abc');
  const headers = { 'content-type': 'application/json' };
  assert.equal((await send('PUT', `${FILES}/0/large.json`, { body: bytes, headers })).status, 200);
  const { text } = await send('GET', `${FILES}/0/large.json`);
  assert.ok(Buffer.from(text).equals(bytes));
  assert.equal((await send('DELETE', `${FILES}/0/large.json`)).status, 200);
  assert.equal((await send('GET', `${FILES}/0/large.json`)).status, 404);
});

test('tracking shows nothing of an upload that breaks off', async () => {
  const { hostname, port } = new URL(server.url);
  const path = `${FILES}/0/half`;
  const sent = request({ hostname, port, method: 'PUT', path, headers: { 'content-length': '1000000' } });
  const ended = new Promise((resolve) => sent.once('error', resolve));
  sent.write(Buffer.alloc(100_000), () => sent.destroy(new Error('gone')));
  await ended;
  assert.equal((await send('GET', path)).status, 404);
});

test('tracking lists folders of one page of files after another', async () => {
  for (const name of ['b/1', 'b/2', 'a', 'c/d/e']) await send('PUT', `${FILES}/9/${name}`, { body: 'x' });
  const { text } = await send('GET', `${FILES}?path=9`);
  assert.deepEqual(JSON.parse(text).files, [
    { path: 'a', is_dir: false, file_size: 1 },
    { path: 'b', is_dir: true },
    { path: 'c', is_dir: true },
  ]);
});

test('tracking escapes everything on the page of a run', async () => {
  const runId = await newRun(EVIL);
  await post('/runs/log-batch', {
    run_id: runId,
    params: [{ key: 'p', value: EVIL }],
    tags: [{ key: 't', value: EVIL }],
  });
  const { status, text } = await send('GET', `/experiments/0/runs/${runId}`);
  assert.equal(status, 200);
  assert.ok(!text.includes('<script'));
  assert.ok(text.includes('&lt;script&gt;alert(1)&lt;/script&gt;'));
  assert.ok(!(await send('GET', '/')).text.includes('<script'));
  assert.equal((await send('GET', `/experiments/1/runs/${runId}`)).status, 404);
});

test('tracking says NaN in quotes and int64 as numbers, as MLflow does', async () => {
  const runId = await newRun('numbers');
  await post('/runs/log-metric', { run_uuid: runId, key: 'a', value: 'NaN', timestamp: '1700000000000', step: '3' });
  const { text } = await send('GET', `${API}/metrics/get-history?run_id=${runId}&metric_key=a`);
  assert.deepEqual(JSON.parse(text), { metrics: [{ key: 'a', value: 'NaN', timestamp: 1700000000000, step: 3 }] });
});

test('tracking logs the same batch twice as one', async () => {
  const runId = await newRun('again');
  const batch = {
    run_id: runId,
    metrics: [{ key: 'a', value: 1, timestamp: 1, step: 1 }],
    params: [{ key: 'p', value: 'v' }],
  };
  await post('/runs/log-batch', batch);
  await post('/runs/log-batch', batch);
  const { text } = await send('GET', `${API}/metrics/get-history?run_id=${runId}&metric_key=a`);
  assert.equal(JSON.parse(text).metrics.length, 1);
});

test('startTracking() says which port is taken', async () => {
  const { port } = new URL(server.url);
  const second = startTestTracking({ home, database: { path: ':memory:' }, port: Number(port) });
  await assert.rejects(second, /cannot listen for tracking on 127\.0\.0\.1:\d+: .*EADDRINUSE.*choose another port/);
});
