/** Signatures beside versions, over HTTP: what is kept, what is refused, and how OCI's clients see them. */
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { useBothDatabases } from '../../../test/both-databases.ts';
import { signModel, verifyModel } from '../../modelfiles/sign-model.ts';
import { BUNDLE_TYPE } from '../../modelfiles/signature-bundle.ts';
import { IMAGE_MANIFEST } from '../oci/oci-manifest.ts';
import type { TrackingServer } from '../server.ts';
import { startTestTracking } from '../test-tracking.ts';
import type { VersionSignature } from './version-signatures.ts';

const { home, databases } = useBothDatabases();
const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const privateKey = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const publicKey = keys.publicKey.export({ type: 'spki', format: 'pem' }).toString();
const fingerprint = createHash('sha256').update(publicKey).digest('hex');
const digestOf = (bytes: string) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

type Files = Readonly<Record<string, string>>;

const toModelFiles = (files: Files) =>
  Object.entries(files).map(([path, body]) => ({
    path,
    bytes: {
      sizeBytes: body.length,
      stream: async function* (start: number, end: number) {
        yield Buffer.from(body).subarray(start, end);
      },
    },
  }));

const signOf = (files: Files, ignorePaths: readonly string[] = []) =>
  signModel(toModelFiles(files), { name: 'm/1', privateKey, ignorePaths });

const FILES = { MLmodel: 'flavors: {}', 'deep/w.txt': 'weights', '.gitattributes': 'git' };
let url = '';

async function ask<T>(path: string, body?: object, method = body ? 'POST' : 'GET') {
  const response = await fetch(`${url}${path}`, { method, ...(body && { body: JSON.stringify(body) }) });
  const text = await response.text();
  // why: each caller knows the answer's shape
  return { status: response.status, text, body: JSON.parse(text || '{}') as T };
}

const mlflow = <T>(path: string, body?: object, method?: string) => ask<T>(`/api/2.0/mlflow/${path}`, body, method);

async function register(name: string, files: Files): Promise<string> {
  const made = await mlflow<{ run: { info: { run_id: string; artifact_uri: string } } }>('runs/create', {
    experiment_id: '0',
  });
  const { run_id, artifact_uri } = made.body.run.info;
  const place = `${url}/api/2.0/mlflow-artifacts/artifacts/${artifact_uri.replace('mlflow-artifacts:/', '')}/model`;
  for (const [path, body] of Object.entries(files)) await fetch(`${place}/${path}`, { method: 'PUT', body });
  await mlflow('registered-models/create', { name });
  await mlflow('model-versions/create', { name, source: `${artifact_uri}/model`, run_id });
  return place;
}

const ATHANOR = '/api/athanor/v1/models';
const keep = (name: string, bundle: string, version = '1') =>
  ask<VersionSignature>(`${ATHANOR}/${name}/versions/${version}/signatures`, { bundle });

type Listed = { readonly signatures?: readonly VersionSignature[] };

async function list(name: string): Promise<NonNullable<Listed['signatures']>> {
  return (await ask<Listed>(`${ATHANOR}/${name}/signatures`)).body.signatures ?? [];
}

interface Index {
  readonly manifests: readonly { readonly digest: string; readonly size: number; readonly artifactType: string }[];
}

async function subjectOf(name: string) {
  const response = await fetch(`${url}/v2/models/${name}/manifests/1`);
  const content = await response.text();
  return { mediaType: IMAGE_MANIFEST, digest: digestOf(content), size: Buffer.byteLength(content) };
}

const referrersOf = async (name: string, subject: string, query = '') =>
  (await ask<Index>(`/v2/models/${name}/referrers/${subject}${query}`)).body.manifests;

async function sendBlob(name: string, bytes: string) {
  const place = `${url}/v2/models/${name}/blobs/uploads/?digest=${digestOf(bytes)}`;
  assert.equal((await fetch(place, { method: 'POST', body: bytes })).status, 201);
  return { digest: digestOf(bytes), size: Buffer.byteLength(bytes) };
}

/** As cosign or another Athanor attaches one. */
async function attach(name: string, bundle: string, subject: object) {
  const config = { mediaType: 'application/vnd.oci.empty.v1+json', ...(await sendBlob(name, '{}')) };
  const layers = [{ mediaType: BUNDLE_TYPE, ...(await sendBlob(name, bundle)) }];
  const shape = { schemaVersion: 2, mediaType: IMAGE_MANIFEST, artifactType: BUNDLE_TYPE };
  const body = JSON.stringify({ ...shape, config, layers, subject });
  const headers = { 'content-type': IMAGE_MANIFEST };
  const response = await fetch(`${url}/v2/models/${name}/manifests/${digestOf(body)}`, {
    method: 'PUT',
    headers,
    body,
  });
  assert.equal(response.status, 201, await response.text());
}

/** By sentence; each has a model of its own. */
const promises: Readonly<Record<string, (name: string) => Promise<void>>> = {
  'a signature is kept once, and nothing else of the version changes': async (name) => {
    await register(name, FILES);
    const versionOf = async () => [
      (await ask(`${ATHANOR}/${name}/versions/1`)).text,
      (await mlflow(`model-versions/get?name=${name}&version=1`)).text,
      (await subjectOf(name)).digest,
    ];
    const before = await versionOf();
    const bundle = await signOf(FILES);
    for (const { status, text } of [await keep(name, bundle), await keep(name, bundle)])
      assert.equal(status, 200, text);
    const [only, ...others] = await list(name);
    assert.deepEqual(only?.signer, { kind: 'key', subject: '', fingerprint });
    assert.deepEqual([only?.version, only?.digest, others.length], ['1', digestOf(bundle), 0]);
    assert.deepEqual(await versionOf(), before);
    const place = `${ATHANOR}/${name}/versions/1/signatures`;
    assert.deepEqual((await ask<Listed>(place)).body.signatures, [only]);
    const whole = await ask<{ bundle: string }>(`${place}/${encodeURIComponent(digestOf(bundle))}`);
    assert.deepEqual(whole.body, { ...only, bundle });
    assert.equal((await ask(`${place}/sha256:other`)).status, 404);
  },
  'registries see it as a referrer, also after the version was described anew': async (name) => {
    await register(name, FILES);
    const bundle = await signOf(FILES);
    await keep(name, bundle);
    for (const description of ['', 'what it is for']) {
      if (description) await mlflow('model-versions/update', { name, version: '1', description }, 'PATCH');
      const subject = await subjectOf(name);
      const [only, ...others] = await referrersOf(name, subject.digest);
      assert.deepEqual([only?.artifactType, others.length], [BUNDLE_TYPE, 0]);
      assert.equal((await referrersOf(name, subject.digest, '?artifactType=application/x-sbom')).length, 0);
      const manifest = await fetch(`${url}/v2/models/${name}/manifests/${only?.digest}`);
      const content = await manifest.text();
      assert.deepEqual([digestOf(content), Buffer.byteLength(content)], [only?.digest, only?.size]);
      const { layers, config, subject: about } = JSON.parse(content);
      assert.deepEqual(about, subject);
      const blob = await fetch(`${url}/v2/models/${name}/blobs/${layers[0].digest}`);
      const trust = { publicKey };
      assert.equal((await verifyModel(toModelFiles(FILES), await blob.text(), { trust })).name, 'm/1');
      assert.equal(await (await fetch(`${url}/v2/models/${name}/blobs/${config.digest}`)).text(), '{}');
    }
  },
  'one that is attached as a referrer counts, and is listed once': async (name) => {
    await register(name, FILES);
    const [mine, theirs] = [await signOf(FILES), await signOf(FILES)];
    await attach(name, theirs, await subjectOf(name));
    await keep(name, mine);
    assert.deepEqual(new Set((await list(name)).map(({ digest }) => digest)), new Set([mine, theirs].map(digestOf)));
    const { digest } = await subjectOf(name);
    assert.equal((await referrersOf(name, digest)).length, 2);
    // Kept here first, attached afterwards: still one.
    await attach(name, mine, await subjectOf(name));
    assert.deepEqual([(await referrersOf(name, digest)).length, (await list(name)).length], [2, 2]);
  },
  'what is attached and no signature of these files is an artifact like others': async (name) => {
    await register(name, FILES);
    const subject = await subjectOf(name);
    await attach(name, await signOf({ ...FILES, MLmodel: 'other' }), subject);
    await attach(name, '{"mediaType":"text/plain"}', subject);
    assert.deepEqual(await list(name), []);
    assert.equal((await referrersOf(name, subject.digest)).length, 2);
  },
  'signatures of other files, and what is none, are refused with the reason': async (name) => {
    await register(name, FILES);
    const bundle = JSON.parse(await signOf(FILES));
    const { 'deep/w.txt': _left, ...fewer } = FILES;
    const noJson = { ...bundle, dsseEnvelope: { ...bundle.dsseEnvelope, payload: btoa('no JSON') } };
    const wrong: readonly (readonly [string, RegExp])[] = [
      [await signOf({ ...FILES, 'deep/w.txt': 'other' }), /other files: deep\/w\.txt has changed since it was signed/],
      [await signOf({ ...FILES, more: '' }), /other files: more is missing/],
      [await signOf(fewer), /other files: deep\/w\.txt was not signed/],
      [await signOf(FILES, ['deep']), /other files: deep\/w\.txt was not signed/],
      ['nonsense', /cannot read the signature: it is not JSON/],
      [JSON.stringify(noJson), /cannot read the signature: it holds no in-toto statement/],
      ['x'.repeat(9_000_000), /it has 9000000 bytes/],
    ];
    for (const [text, want] of wrong) {
      const answer = await keep(name, text);
      assert.deepEqual([answer.status, want.test(answer.text)], [400, true], answer.text);
    }
    assert.equal((await keep(name, await signOf(FILES), '2')).status, 404);
    assert.deepEqual(await list(name), []);
  },
  'a version in quarantine and one whose files are elsewhere cannot be signed': async (name) => {
    const evil = { 'model.pkl': "cposix\nsystem\n(S'echo athanor'\ntR." };
    await register(name, evil);
    assert.match((await keep(name, await signOf(evil))).text, /in quarantine/);
    await mlflow('model-versions/create', { name, source: 's3://elsewhere/model' });
    assert.match((await keep(name, await signOf(evil), '2')).text, /its files are not kept here/);
  },
  'it stays when the model is renamed, and goes with its version': async (name) => {
    await register(name, FILES);
    await keep(name, await signOf(FILES));
    const now = `${name}-now`;
    await mlflow('registered-models/rename', { name, new_name: now });
    assert.equal((await list(now)).length, 1);
    assert.equal((await referrersOf(now, (await subjectOf(now)).digest)).length, 1);
    await mlflow('model-versions/delete', { name: now, version: '1' }, 'DELETE');
    assert.deepEqual(await list(now), []);
  },
  'there are only so many, however many come at once': async (name) => {
    await register(name, FILES);
    const bundles = await Promise.all(Array.from({ length: 103 }, () => signOf(FILES)));
    const answers = await Promise.all(bundles.map((bundle) => keep(name, bundle)));
    const refused = answers.filter(({ status }) => status !== 200);
    assert.deepEqual([(await list(name)).length, refused.length], [100, 3]);
    for (const { text } of refused) assert.match(text, /it has 100 already/);
  },
  'a model may be pushed with layers that a version has, though their pusher was told to send none': async (name) => {
    await register(name, FILES);
    const { layers } = JSON.parse(await (await fetch(`${url}/v2/models/${name}/manifests/1`)).text());
    for (const { digest } of layers) {
      assert.equal((await fetch(`${url}/v2/models/${name}/blobs/${digest}`, { method: 'HEAD' })).status, 200);
    }
    const config = { mediaType: 'application/vnd.cncf.model.config.v1+json', ...(await sendBlob(name, '{}')) };
    const body = JSON.stringify({ schemaVersion: 2, mediaType: IMAGE_MANIFEST, config, layers });
    const headers = { 'content-type': IMAGE_MANIFEST };
    const pushed = await fetch(`${url}/v2/models/${name}/manifests/latest`, { method: 'PUT', headers, body });
    assert.deepEqual([pushed.status, pushed.headers.get('athanor-model-version')], [201, '2']);
  },
};

for (const [dialect, open] of Object.entries(databases)) {
  describe(`signatures of versions on ${dialect}`, () => {
    let server: TrackingServer;
    before(async () => {
      const database = await open();
      server = await startTestTracking({ home, database });
      ({ url } = server);
    });
    after(() => server.close());
    for (const [index, [sentence, keeps]] of Object.entries(promises).entries()) {
      test(sentence, () => keeps(`model-${dialect.toLowerCase()}-${index}`));
    }
  });
}
