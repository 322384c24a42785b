/** The registry, driven by the specification's own conformance suite, by oras, and by clients that stop half way. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { BlobStore } from '../src/blobs/blob-store.ts';
import { openFolderStore } from '../src/blobs/folder-store.ts';
import { openBlobStore } from '../src/blobs/open-blob-store.ts';
import { StatusError } from '../src/kube/status-error.ts';
import { collectAbandoned } from '../src/tracking/artifacts/uploads.ts';
import type { TrackingServer } from '../src/tracking/server.ts';
import { startTestTracking } from '../src/tracking/test-tracking.ts';
import { ensureGoProgram } from './go-program.ts';
import { startPostgres } from './postgres.ts';
import { startS3 } from './s3-server.ts';
import { until } from './until.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;
const TOKEN = 'a-good-token';
const home = mkdtempSync(join(tmpdir(), 'athanor-oci-'));
let blobs: BlobStore;
let server: TrackingServer;
before(async () => {
  blobs = await openFolderStore(join(home, 'blobs'));
  server = await startTestTracking({
    home,
    blobs,
    database: { path: join(home, 'rows.db') },
    authenticate: async ({ bearerToken }) => {
      if (bearerToken === TOKEN) return { user: 'system:serviceaccount:team-a:pusher' };
      throw new StatusError('Unauthorized', 'cannot let in: the token is not known');
    },
    authorize: async ({ namespace }) => namespace === 'team-a',
  });
});
after(async () => {
  await server.close();
  rmSync(home, { recursive: true, force: true });
});

const digestOf = (bytes: string | Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const ask = (path: string, init: RequestInit = {}) => fetch(`${server.url}/v2/${path}`, init);

async function codeOf(response: Response): Promise<string> {
  const { errors } = (await response.json()) as { errors: { code: string }[] }; // why: the registry's own shape
  return errors[0]?.code ?? '';
}

async function conform(url: string, results: string): Promise<Record<string, number>> {
  const env = {
    ...process.env,
    OCI_REGISTRY: new URL(url).host,
    OCI_TLS: 'disabled',
    OCI_RESULTS_DIR: results,
    OCI_API_BLOBS_UPLOAD_CANCEL: 'true',
    OCI_API_BLOBS_DIGEST_HEADER: 'true',
    OCI_API_MANIFESTS_DIGEST_HEADER: 'true',
  };
  mkdirSync(results);
  await run(await ensureGoProgram('conformance'), [], { env, maxBuffer: 64 * MIB });
  const [, attributes = ''] = /<testsuite ([^>]*)>/.exec(readFileSync(join(results, 'junit.xml'), 'utf8')) ?? [];
  return Object.fromEntries([...attributes.matchAll(/(\w+)="(\d+)"/g)].map(([, key, value]) => [key, Number(value)]));
}

test("OCI's conformance suite finds nothing wrong, on SQLite", async () => {
  const { tests = 0, failures, errors } = await conform(server.url, join(home, 'results'));
  assert.deepEqual({ failures, errors, isWhole: tests > 800 }, { failures: 0, errors: 0, isWhole: true });
});

test("OCI's conformance suite finds nothing wrong, on PostgreSQL", async () => {
  const postgres = await startPostgres();
  const other = await startTestTracking({ home: join(home, 'other'), database: { url: postgres.url } });
  try {
    const { failures, errors } = await conform(other.url, join(home, 'results-postgres'));
    assert.deepEqual({ failures, errors }, { failures: 0, errors: 0 });
  } finally {
    await other.close();
    await postgres.close();
  }
});

test("OCI's conformance suite finds nothing wrong, on an S3-compatible store", async () => {
  const s3 = await startS3();
  const store = await openBlobStore(s3.url('registry'), s3.access);
  const other = await startTestTracking({ home, blobs: store, database: { path: ':memory:' } });
  try {
    const { failures, errors } = await conform(other.url, join(home, 'results-s3'));
    assert.deepEqual({ failures, errors }, { failures: 0, errors: 0 });
  } finally {
    await other.close();
    await s3.close();
  }
});

test('oras pushes and pulls, and logs in with a token as its password', async () => {
  const oras = await ensureGoProgram('oras');
  // why: reaches loopback by a name that is not loopback's, so that nobody is taken for the owner
  const host = `0.0.0.0:${new URL(server.url).port}`;
  const [from, to] = [join(home, 'from'), join(home, 'to')];
  const bytes = randomBytes(3 * MIB);
  mkdirSync(from);
  writeFileSync(join(from, 'weights.bin'), bytes);
  const config = join(home, 'oras.json');
  const flags = ['--plain-http', '--registry-config', config];
  const login = ['login', ...flags, '-u', 'anyone', '--password-stdin', host];
  const wrong = run(oras, login);
  wrong.child.stdin?.end('another token');
  await assert.rejects(wrong, /401|unauthorized/i);
  const right = run(oras, login);
  right.child.stdin?.end(TOKEN);
  await right;
  const artifact = `${host}/team-a/tools/weights:v1`;
  await run(oras, ['push', ...flags, artifact, 'weights.bin:application/octet-stream'], { cwd: from });
  await run(oras, ['pull', ...flags, '-o', to, artifact]);
  assert.deepEqual(readFileSync(join(to, 'weights.bin')), bytes);
  await assert.rejects(
    run(oras, ['push', ...flags, `${host}/team-b/weights:v1`, 'weights.bin'], { cwd: from }),
    /403|denied/i,
  );
});

/** Sends half of what it promises, and hangs up. */
async function sendHalf(method: string, location: string, bytes: Buffer): Promise<void> {
  const half = request(`${server.url}${location}`, { method, headers: { 'content-length': bytes.length } });
  half.on('error', () => undefined);
  const closed = new Promise((resolve) => half.on('close', resolve));
  await new Promise((resolve) => half.write(bytes.subarray(0, bytes.length / 2), resolve));
  half.destroy();
  await closed;
}

test('of a push that is cut half way nothing can be pulled, and it can go on', async () => {
  const bytes = randomBytes(4 * MIB);
  const digest = digestOf(bytes);
  const begun = await ask('cut/weights/blobs/uploads/', { method: 'POST' });
  const location = begun.headers.get('location') ?? '';
  await sendHalf('PATCH', location, bytes);
  await sendHalf('PUT', `${location}?digest=${digest}`, bytes);
  assert.equal((await ask(`cut/weights/blobs/${digest}`)).status, 404);
  await until('nothing is left of them', async () => (await blobs.list('tracking/uploads/cut/')).length === 1);
  const state = await fetch(`${server.url}${location}`);
  assert.deepEqual([state.status, state.headers.get('range')], [204, '0-0']);
  const sent = await fetch(`${server.url}${location}?digest=${digest}`, { method: 'PUT', body: bytes });
  assert.equal(sent.status, 201);
  assert.deepEqual(Buffer.from(await (await ask(`cut/weights/blobs/${digest}`)).arrayBuffer()), bytes);
  assert.deepEqual(await blobs.list('tracking/uploads/cut/'), []);
});

test('bytes that are not those of the digest are refused, and none of them stay', async () => {
  const digest = digestOf('what was meant');
  const tampered = await ask(`cut/x/blobs/uploads/?digest=${digest}`, { method: 'POST', body: 'what was sent' });
  assert.deepEqual([tampered.status, await codeOf(tampered)], [400, 'DIGEST_INVALID']);
  assert.equal((await ask(`cut/x/blobs/${digest}`)).status, 404);
  assert.equal((await ask(`cut/x/blobs/${digestOf('what was sent')}`)).status, 404);
  const md5 = await ask('cut/x/blobs/uploads/?digest=md5:d41d8cd98f00b204e9800998ecf8427e', { method: 'POST' });
  assert.deepEqual([md5.status, await codeOf(md5)], [400, 'DIGEST_INVALID']);
});

test('abandoned uploads are collected', async () => {
  const begun = await ask('left/x/blobs/uploads/', { method: 'POST' });
  const location = begun.headers.get('location') ?? '';
  await fetch(`${server.url}${location}`, { method: 'PATCH', body: 'some bytes' });
  assert.equal((await blobs.list('tracking/uploads/left/')).length, 2);
  await collectAbandoned(blobs, Date.now() + 60_000);
  assert.deepEqual(await blobs.list('tracking/uploads/left/'), []);
  assert.equal(await codeOf(await fetch(`${server.url}${location}`)), 'BLOB_UPLOAD_UNKNOWN');
});

const IMAGE = 'application/vnd.oci.image.manifest.v1+json';
const MANIFESTS = {
  'of more than 4 MiB': { body: ' '.repeat(4 * MIB + 1), status: 413, code: 'SIZE_INVALID' },
  'that is no JSON': { body: '{', status: 400, code: 'MANIFEST_INVALID' },
  'of another type': { body: '{}', type: 'text/plain', status: 400, code: 'MANIFEST_INVALID' },
  'with a blob of another repository': {
    body: JSON.stringify({
      schemaVersion: 2,
      config: { mediaType: 'a/b', digest: digestOf('secret'), size: 6 },
      layers: [],
    }),
    status: 404,
    code: 'MANIFEST_BLOB_UNKNOWN',
  },
};

for (const [what, { body, status, code, ...more }] of Object.entries(MANIFESTS)) {
  test(`a manifest ${what} is refused`, async () => {
    await ask(`other/x/blobs/uploads/?digest=${digestOf('secret')}`, { method: 'POST', body: 'secret' });
    const headers = { 'content-type': 'type' in more ? more.type : IMAGE };
    const answer = await ask('team-a/x/manifests/v1', { method: 'PUT', headers, body });
    assert.deepEqual([answer.status, await codeOf(answer)], [status, code]);
    assert.equal((await ask('team-a/x/manifests/v1')).status, 404);
  });
}

test('names, tags and endpoints that nobody has are told as the specification does', async () => {
  const wants = {
    'Upper/x/manifests/v1': 'NAME_INVALID',
    'a/..%2f..%2fb/blobs/uploads/': 'NAME_INVALID',
    'never/pushed/tags/list': 'NAME_UNKNOWN',
    'never/pushed/manifests/v1': 'MANIFEST_UNKNOWN',
    'never/pushed/other/thing': 'UNSUPPORTED',
  };
  for (const [path, want] of Object.entries(wants)) assert.equal(await codeOf(await ask(path)), want, path);
});

test('a blob of one workspace is nothing to another, not even by mounting', async () => {
  const digest = digestOf('of one tenant');
  await ask(`tenant/x/blobs/uploads/?digest=${digest}`, { method: 'POST', body: 'of one tenant' });
  const headers = { authorization: `Bearer ${TOKEN}` };
  const own = await ask(`team-a/x/blobs/${digest}`, { headers });
  assert.deepEqual([own.status, await codeOf(own)], [404, 'BLOB_UNKNOWN']);
  const other = await ask(`tenant/x/blobs/${digest}`, { headers });
  assert.deepEqual([other.status, await codeOf(other)], [403, 'DENIED']);
  const mount = `team-a/x/blobs/uploads/?mount=${digest}&from=tenant/x`;
  assert.equal((await ask(mount, { method: 'POST', headers })).status, 202);
  const within = await ask(`tenant/y/blobs/uploads/?mount=${digest}&from=tenant/x`, { method: 'POST' });
  assert.equal(within.status, 201);
});

test('a page of another site gets a challenge and nothing else', async () => {
  const answer = await ask('', { headers: { origin: 'https://evil.example' } });
  assert.equal(answer.status, 401);
  assert.match(answer.headers.get('www-authenticate') ?? '', /^Basic realm=/);
  assert.equal(await codeOf(answer), 'UNAUTHORIZED');
});
