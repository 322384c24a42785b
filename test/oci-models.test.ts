/** Registered models as registry artifacts: pulled and pushed by oras, and by those who mean harm. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import type { BlobStore } from '../src/blobs/blob-store.ts';
import { openFolderStore } from '../src/blobs/folder-store.ts';
import { signModel } from '../src/modelfiles/sign-model.ts';
import { BUNDLE_TYPE } from '../src/modelfiles/signature-bundle.ts';
import type { TrackingServer } from '../src/tracking/server.ts';
import { startTestTracking } from '../src/tracking/test-tracking.ts';
import { ensureGoProgram } from './go-program.ts';

const run = promisify(execFile);
const EVIL = "cposix\nsystem\n(S'echo athanor'\ntR.";
const home = mkdtempSync(join(tmpdir(), 'athanor-oci-models-'));
let blobs: BlobStore;
let server: TrackingServer;
let oras: string;
before(async () => {
  oras = await ensureGoProgram('oras');
  blobs = await openFolderStore(join(home, 'blobs'));
  server = await startTestTracking({ home, blobs, database: { path: join(home, 'rows.db') } });
});
after(async () => {
  await server.close();
  rmSync(home, { recursive: true, force: true });
});

const digestOf = (bytes: string | Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const hostOf = () => new URL(server.url).host;

async function mlflow<T>(path: string, body?: object): Promise<T> {
  const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
  const response = await fetch(`${server.url}/api/2.0/mlflow/${path}`, init);
  return (await response.json()) as T; // why: each test knows the answer's shape
}

interface Version {
  readonly status: string;
  readonly status_message: string;
  readonly source: string;
}

async function getVersion(name: string, version = '1'): Promise<Version | undefined> {
  const query = new URLSearchParams({ name, version });
  return (await mlflow<{ model_version?: Version }>(`model-versions/get?${query}`)).model_version;
}

async function register(name: string, files: Readonly<Record<string, string | Buffer>>): Promise<string> {
  const made = await mlflow<{ run: { info: { run_id: string; artifact_uri: string } } }>('runs/create', {
    experiment_id: '0',
  });
  const { run_id, artifact_uri } = made.run.info;
  const place = `${server.url}/api/2.0/mlflow-artifacts/artifacts/${artifact_uri.replace('mlflow-artifacts:/', '')}`;
  for (const [path, body] of Object.entries(files)) await fetch(`${place}/model/${path}`, { method: 'PUT', body });
  await mlflow('registered-models/create', { name });
  await mlflow('model-versions/create', { name, source: `${artifact_uri}/model`, run_id });
  return `${place}/model`;
}

async function countFiles(): Promise<number> {
  return (await blobs.list('', { limit: 100_000 })).length;
}

async function call(path: string, init: RequestInit = {}) {
  const response = await fetch(`${server.url}/v2/${path}`, init);
  const body = await response.text();
  return { status: response.status, body, digest: response.headers.get('docker-content-digest') };
}

/** What oras pushes as the model's version. */
interface Pushed {
  readonly config: string;
  readonly layers: Readonly<Record<string, { readonly type: string; readonly bytes: Buffer | string }>>;
}

async function push(name: string, { config, layers }: Pushed, tag = 'latest') {
  const folder = mkdtempSync(join(home, 'push-'));
  writeFileSync(join(folder, 'config.json'), '{}');
  const args = Object.entries(layers).map(([path, { type, bytes }]) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
    return `${path}:${type}`;
  });
  // oras writes the second at which it pushes: the same model would be another manifest in the next one.
  const created = ['--annotation', 'org.opencontainers.image.created=2026-01-01T00:00:00Z'];
  const flags = ['--plain-http', '--config', `config.json:${config}`, ...created];
  return run(oras, ['push', ...flags, `${hostOf()}/models/${name}:${tag}`, ...args], { cwd: folder });
}

const PACK = 'application/vnd.cncf.model.config.v1+json';
const KIT = 'application/vnd.kitops.modelkit.config.v1+json';
const DOCKER = 'application/vnd.docker.ai.model.config.v0.1+json';
const raw = (kind: string) => `application/vnd.cncf.model.${kind}.v1.raw`;
const tarOf = (kind: string) => `application/vnd.cncf.model.${kind}.v1.tar`;

/** A tar of one entry, as ustar. */
function tar(name: string, content: string, { type = '0', link = '' } = {}): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0);
  block.write('0000644\0', 100);
  block.write(`${Buffer.byteLength(content).toString(8).padStart(11, '0')}\0`, 124);
  block.write(' '.repeat(8), 148);
  block.write(type, 156);
  block.write(link, 157);
  block.write('ustar\x0000', 257);
  block.write(
    `${[...block]
      .reduce((sum, byte) => sum + byte)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  );
  return Buffer.concat([block, Buffer.from(content), Buffer.alloc(512 - (content.length % 512) + 1024)]);
}

test('a version that is ready is pulled as a ModelPack, and no file is kept twice for it', async () => {
  const weights = randomBytes(100_000);
  await register('digits', { 'weights/w.bin': weights, 'README.md': '# Digits', MLmodel: 'flavors: {}' });
  await mlflow('registered-models/alias', { name: 'digits', alias: 'champion', version: '1' });
  const before = await countFiles();
  const artifact = `${hostOf()}/models/digits`;
  for (const tag of ['1', 'champion', 'latest']) {
    const to = join(home, `pulled-${tag}`);
    await run(oras, ['pull', '--plain-http', '-o', to, `${artifact}:${tag}`]);
    assert.deepEqual(readFileSync(join(to, 'weights/w.bin')), weights);
    assert.equal(readFileSync(join(to, 'README.md'), 'utf8'), '# Digits');
  }
  assert.equal(await countFiles(), before);
  const { stdout } = await run(oras, ['manifest', 'fetch', '--plain-http', `${artifact}:1`]);
  const manifest = JSON.parse(stdout) as { artifactType: string; layers: { mediaType: string; digest: string }[] };
  assert.equal(manifest.artifactType, 'application/vnd.cncf.model.manifest.v1+json');
  const layers = Object.fromEntries(manifest.layers.map(({ mediaType, digest }) => [mediaType, digest]));
  assert.deepEqual(layers, {
    [raw('weight')]: digestOf(weights),
    [raw('doc')]: digestOf('# Digits'),
    [raw('weight.config')]: digestOf('flavors: {}'),
  });
  const tags = await run(oras, ['repo', 'tags', '--plain-http', artifact]);
  assert.deepEqual(tags.stdout.trim().split('\n'), ['1', 'champion', 'latest']);
});

test('a version in quarantine is denied with the reason, and is no tag', async () => {
  await register('evil', { 'model.pkl': EVIL });
  const answer = await call('models/evil/manifests/1');
  assert.equal(answer.status, 403);
  assert.match(answer.body, /"DENIED".*in quarantine: model\.pkl: pickle-import: posix\.system/);
  assert.equal((await call(`models/evil/blobs/${digestOf(EVIL)}`)).status, 404);
  assert.equal((await call('models/evil/tags/list')).status, 404);
});

test('files that were changed behind a version are not taken for it', async () => {
  const place = await register('changed', { 'w.txt': 'before' });
  await fetch(`${place}/w.txt`, { method: 'PUT', body: 'behind' });
  const pull = run(oras, ['pull', '--plain-http', '-o', join(home, 'changed'), `${hostOf()}/models/changed:1`]);
  await assert.rejects(pull, /mismatch|verif/i);
});

const SOUND: Readonly<Record<string, { readonly pushed: Pushed; readonly files: Readonly<Record<string, string>> }>> = {
  'a ModelPack with raw layers': {
    pushed: {
      config: PACK,
      layers: {
        'deep/w.txt': { type: raw('weight'), bytes: 'weights' },
        'README.md': { type: raw('doc'), bytes: 'read me' },
      },
    },
    files: { 'deep/w.txt': 'weights', 'README.md': 'read me' },
  },
  'a ModelPack with tar layers': {
    pushed: { config: PACK, layers: { 'a.tar': { type: tarOf('weight'), bytes: tar('./in/w.txt', 'weights') } } },
    files: { 'in/w.txt': 'weights' },
  },
  "KitOps' ModelKit": {
    pushed: {
      config: KIT,
      layers: {
        'm.tgz': {
          type: 'application/vnd.kitops.modelkit.model.v1.tar+gzip',
          bytes: gzipSync(tar('w.txt', 'weights')),
        },
        'd.tar': { type: 'application/vnd.kitops.modelkit.docs.v1.tar', bytes: tar('README.md', 'read me') },
      },
    },
    files: { 'w.txt': 'weights', 'README.md': 'read me' },
  },
  "Docker's model": {
    pushed: {
      config: DOCKER,
      layers: { LICENSE: { type: 'application/vnd.docker.ai.license', bytes: 'do as you like' } },
    },
    files: { LICENSE: 'do as you like' },
  },
};

for (const [index, [what, { pushed, files }]] of Object.entries(SOUND).entries()) {
  test(`${what} becomes a version when it is pushed, and keeps its digest`, async () => {
    const name = `pushed-${index}`;
    const { stdout } = await push(name, pushed, 'v1.0');
    const digest = /Digest: (sha256:[0-9a-f]{64})/.exec(stdout)?.[1];
    const version = await getVersion(name);
    assert.equal(version?.status, 'READY');
    for (const reference of ['1', 'latest', 'v1.0', digest ?? '']) {
      assert.equal((await call(`models/${name}/manifests/${reference}`)).digest, digest, reference);
    }
    const place = version?.source.replace('mlflow-artifacts:/', '') ?? '';
    for (const [path, content] of Object.entries(files)) {
      const file = await fetch(`${server.url}/api/2.0/mlflow-artifacts/artifacts/${place}/${path}`);
      assert.equal(await file.text(), content);
    }
    await run(oras, ['pull', '--plain-http', '-o', join(home, name), `${hostOf()}/models/${name}:1`]);
    await push(name, pushed, 'again');
    assert.equal(await getVersion(name, '2'), undefined);
  });
}

const one = (type: string, bytes: Buffer | string): Pushed => ({ config: PACK, layers: { 'x.bin': { type, bytes } } });
const UNSOUND: Readonly<Record<string, { readonly pushed: Pushed; readonly want: RegExp }>> = {
  'with a tar that escapes': { pushed: one(tarOf('weight'), tar('../../out', 'x')), want: /leads out of the folder/ },
  'with a tar of an absolute path': { pushed: one(tarOf('weight'), tar('/etc/x', 'x')), want: /path is absolute/ },
  'with a tar of a link': {
    pushed: one(tarOf('weight'), tar('w', '', { type: '2', link: '/etc/passwd' })),
    want: /a link or a special file/,
  },
  'with a broken tar': { pushed: one(tarOf('weight'), randomBytes(2048)), want: /broken header/ },
  'with a bomb': {
    pushed: one(`${tarOf('weight')}+gzip`, gzipSync(Buffer.alloc(128 * 1024 * 1024))),
    want: /unpacks to more than/,
  },
  'with a layer of another kind': { pushed: one('application/x-thing', 'x'), want: /a layer is application\/x-thing/ },
  'that is no model': {
    pushed: { ...one('text/plain', 'x'), config: 'application/x-thing' },
    want: /want a ModelPack/,
  },
};

for (const [index, [what, { pushed, want }]] of Object.entries(UNSOUND).entries()) {
  test(`an artifact ${what} is refused whole`, async () => {
    const before = (await blobs.list('tracking/', { limit: 100_000 })).length;
    const name = `unsound-${index}`;
    await assert.rejects(push(name, pushed), want);
    assert.equal(await getVersion(name), undefined);
    assert.equal((await blobs.list('tracking/', { limit: 100_000 })).length, before);
  });
}

test('a dangerous model that is pushed goes into quarantine: its pusher is told, and nobody gets its bytes', async () => {
  const pushed = { config: PACK, layers: { 'model.pkl': { type: raw('weight'), bytes: EVIL } } };
  await assert.rejects(push('trap', pushed), /version 1 of trap is in quarantine: model\.pkl: pickle-import/);
  assert.equal((await getVersion('trap'))?.status, 'FAILED_REGISTRATION');
  const blob = await call(`models/trap/blobs/${digestOf(EVIL)}`);
  assert.deepEqual([blob.status, /posix\.system/.test(blob.body)], [403, true]);
  for (const reference of ['1', 'latest']) {
    assert.notEqual((await call(`models/trap/manifests/${reference}`)).status, 200, reference);
  }
});

test("what is attached to a version is found by it, and numbers are not the pusher's to give", async () => {
  const config = { config: PACK, layers: { 'w.txt': { type: raw('weight'), bytes: 'weights' } } };
  await push('signed', config);
  await assert.rejects(push('signed', config, '7'), /it is version 1, push latest/);
  const other = { config: PACK, layers: { 'w.txt': { type: raw('weight'), bytes: 'others' } } };
  await assert.rejects(push('signed', other, '7'), /its next version is 2/);
  const artifact = `${hostOf()}/models/signed:1`;
  const folder = mkdtempSync(join(home, 'attach-'));
  writeFileSync(join(folder, 'model.sig'), '{"signature": true}');
  const attach = ['attach', '--plain-http', '--artifact-type', 'application/x-signature', artifact, 'model.sig'];
  await run(oras, attach, { cwd: folder });
  const { stdout } = await run(oras, ['discover', '--plain-http', '--format', 'json', artifact]);
  const { referrers = [] } = JSON.parse(stdout) as { referrers?: { digest: string; artifactType: string }[] };
  const digest = referrers.find(({ artifactType }) => artifactType === 'application/x-signature')?.digest;
  const pulled = join(home, 'attached');
  await run(oras, ['pull', '--plain-http', '-o', pulled, `${hostOf()}/models/signed@${digest}`]);
  assert.match(readFileSync(join(pulled, 'model.sig'), 'utf8'), /signature/);
});

test('a signature that is kept with a version is found and pulled by oras', async () => {
  await register('vouched', { 'w.txt': 'weights' });
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const stream = async function* () {
    yield Buffer.from('weights');
  };
  const bundle = await signModel([{ path: 'w.txt', bytes: { sizeBytes: 7, stream } }], {
    name: 'vouched',
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  });
  const place = `${server.url}/api/athanor/v1/models/vouched/versions/1/signatures`;
  assert.equal((await fetch(place, { method: 'POST', body: JSON.stringify({ bundle }) })).status, 200);
  const artifact = `${hostOf()}/models/vouched`;
  const flags = ['--plain-http', '--format', 'json', '--artifact-type', BUNDLE_TYPE];
  const { stdout } = await run(oras, ['discover', ...flags, `${artifact}:1`]);
  const { referrers = [] } = JSON.parse(stdout) as { referrers?: { digest: string }[] };
  assert.equal(referrers.length, 1);
  const manifest = await run(oras, ['manifest', 'fetch', '--plain-http', `${artifact}@${referrers[0]?.digest}`]);
  const { layers } = JSON.parse(manifest.stdout) as { layers: { digest: string }[] };
  const blob = ['blob', 'fetch', '--plain-http', '--output', '-', `${artifact}@${layers[0]?.digest}`];
  assert.equal((await run(oras, blob)).stdout, bundle);
});
