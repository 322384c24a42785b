/** `athanor models push, pull, scan, sign, verify`: between two Athanors, with a registry that makes it hard between. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TrackingServer } from '../src/tracking/server.ts';
import { startTestTracking } from '../src/tracking/test-tracking.ts';
import { HARD_AUTH, type HardRegistry, startHardRegistry } from './hard-registry.ts';

const PROGRAM = join(import.meta.dirname, '..', 'bin', 'athanor');
const EVIL = "cposix\nsystem\n(S'echo athanor'\ntR.";
const WEIGHTS = randomBytes(600_000);
const home = mkdtempSync(join(tmpdir(), 'athanor-transfer-'));
const docker = join(home, 'docker');
let here: TrackingServer;
let there: TrackingServer;
let registry: HardRegistry;
before(async () => {
  const start = (name: string) => {
    mkdirSync(join(home, name));
    return startTestTracking({ home: join(home, name), database: { path: ':memory:' } });
  };
  [here, there] = [await start('here'), await start('there')];
  registry = await startHardRegistry(there.url);
  mkdirSync(docker);
  const auths = { [registry.host]: { auth: HARD_AUTH } };
  writeFileSync(join(docker, 'config.json'), JSON.stringify({ auths }));
});
after(async () => {
  await registry.close();
  await here.close();
  await there.close();
  rmSync(home, { recursive: true, force: true });
});

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line against `here`, in a folder of its own. */
function athanor(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const all = { ...process.env, DOCKER_CONFIG: docker, ATHANOR_HOME: join(home, 'cli'), NODE_V8_COVERAGE: '', ...env };
  return new Promise((resolve) => {
    const tracking = ['--tracking', here.url];
    execFile(PROGRAM, ['models', ...args, ...tracking], { env: all, cwd: home }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

async function register(name: string, files: Readonly<Record<string, string | Buffer>>): Promise<void> {
  const ask = async (path: string, body: object) =>
    (await fetch(`${here.url}/api/2.0/mlflow/${path}`, { method: 'POST', body: JSON.stringify(body) })).json();
  // why: MLflow's own answer
  const { run } = (await ask('runs/create', { experiment_id: '0' })) as {
    run: { info: { run_id: string; artifact_uri: string } };
  };
  const { run_id, artifact_uri } = run.info;
  const place = `${here.url}/api/2.0/mlflow-artifacts/artifacts/${artifact_uri.replace('mlflow-artifacts:/', '')}`;
  for (const [path, body] of Object.entries(files)) await fetch(`${place}/model/${path}`, { method: 'PUT', body });
  await ask('registered-models/create', { name });
  await ask('model-versions/create', { name, source: `${artifact_uri}/model`, run_id });
}

test('a version goes to another registry and comes back, and nothing is sent twice', async () => {
  await register('Round trip', { 'w.bin': WEIGHTS, 'README.md': '# Round' });
  const reference = `${registry.host}/team/round:v1`;
  const pushed = await athanor(['push', 'Round trip/1', reference, '-o', 'json']);
  assert.equal(pushed.code, 0, pushed.stderr);
  const first = JSON.parse(pushed.stdout) as { digest: string; sentBlobs: number; sentBytes: number };
  assert.deepEqual([first.sentBlobs, first.sentBytes > WEIGHTS.length], [3, true]);
  const again = await athanor(['push', 'Round trip/1', reference, '-o', 'json']);
  assert.equal((JSON.parse(again.stdout) as { sentBlobs: number }).sentBlobs, 0);
  const pulled = await athanor(['pull', reference, '--name', 'back']);
  assert.equal(pulled.code, 0, pulled.stderr);
  assert.match(pulled.stdout, /^pulled 127\.0\.0\.1:\d+\/team\/round:v1 as back\/1: 3 of 3 blobs/);
  const manifest = await fetch(`${here.url}/v2/models/back/manifests/1`);
  assert.equal(manifest.headers.get('docker-content-digest'), first.digest);
  const once = await athanor(['pull', reference, '--name', 'back', '-o', 'name']);
  assert.equal(once.stdout, 'models:/back/1\n');
});

test('a download that breaks goes on where it broke', async () => {
  registry.cutAfterBytes = 100_000;
  registry.blobRequests.length = 0;
  const pulled = await athanor(['pull', `${registry.host}/team/round:v1`, '--name', 'resumed']);
  assert.equal(pulled.code, 0, pulled.stderr);
  assert.equal(registry.blobRequests.filter((line) => /^GET bytes=\d+-$/.test(line)).length, 1);
});

test('bytes that were changed on the way are not registered', async () => {
  registry.isTampering = true;
  const pulled = await athanor(['pull', `${registry.host}/team/round:v1`, '--name', 'tampered']);
  registry.isTampering = false;
  assert.equal(pulled.code, 1);
  assert.match(pulled.stderr, /cannot believe sha256:/);
  assert.equal((await fetch(`${here.url}/v2/models/tampered/manifests/1`)).status, 404);
});

const REFUSED: Readonly<Record<string, { readonly args: () => readonly string[]; readonly want: RegExp }>> = {
  'a version in quarantine': {
    args: () => ['push', 'evil/1', `${registry.host}/team/evil:v1`],
    want: /in quarantine: model\.pkl: pickle-import: posix\.system/,
  },
  'a version that is not there': { args: () => ['push', 'no/1', `${registry.host}/team/no:v1`], want: /cannot/ },
  'an artifact that is no model': { args: () => ['pull', `${registry.host}/team/other:v1`], want: /no ModelPack/ },
  'a reference without a registry': { args: () => ['pull', 'team/round:v1'], want: /want registry\/repository/ },
};

for (const [what, { args, want }] of Object.entries(REFUSED)) {
  test(`${what} is refused`, async () => {
    await register('evil', { 'model.pkl': EVIL });
    const empty = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a';
    await fetch(`${there.url}/v2/team/other/blobs/uploads/?digest=${empty}`, { method: 'POST', body: '{}' });
    const config = { mediaType: 'application/x-thing', digest: empty, size: 2 };
    await fetch(`${there.url}/v2/team/other/manifests/v1`, {
      method: 'PUT',
      headers: { 'content-type': 'application/vnd.oci.image.manifest.v1+json' },
      body: JSON.stringify({ schemaVersion: 2, config, layers: [] }),
    });
    const outcome = await athanor(args());
    assert.notEqual(outcome.code, 0);
    assert.match(outcome.stderr, want);
  });
}

test('a registry that does not know one says so', async () => {
  const outcome = await athanor(['pull', `${registry.host}/team/round:v1`], { DOCKER_CONFIG: join(home, 'nothing') });
  assert.deepEqual([outcome.code, /cannot log in/.test(outcome.stderr)], [1, true]);
  const env = {
    DOCKER_CONFIG: join(home, 'nothing'),
    ATHANOR_REGISTRY_USER: 'me',
    ATHANOR_REGISTRY_PASSWORD: 'secret',
  };
  const known = await athanor(['pull', `${registry.host}/team/round:v1`, '--name', 'by-env'], env);
  assert.equal(known.code, 0, known.stderr);
});

test('a token that one has is used, also where the owner would be let in without', async () => {
  const outcome = await athanor(['push', 'Round trip/1', `${registry.host}/team/x:v1`], { MLFLOW_TRACKING_TOKEN: 'x' });
  assert.deepEqual([outcome.code, /no token is accepted here/.test(outcome.stderr)], [1, true], outcome.stderr);
});

test('scan tells what is dangerous, and ends with 1', async () => {
  const folder = join(home, 'scanned');
  mkdirSync(folder);
  writeFileSync(join(folder, 'notes.txt'), 'harmless');
  const fine = await athanor(['scan', folder]);
  assert.deepEqual([fine.code, /notes\.txt +text +safe/.test(fine.stdout)], [0, true], fine.stdout + fine.stderr);
  writeFileSync(join(folder, 'model.pkl'), EVIL);
  const evil = await athanor(['scan', folder]);
  assert.deepEqual(
    [evil.code, /model\.pkl +pickle +unsafe +pickle-import +posix\.system/.test(evil.stdout)],
    [1, true],
  );
  const one = await athanor(['scan', join(folder, 'model.pkl'), '-o', 'json']);
  assert.deepEqual([one.code, (JSON.parse(one.stdout) as { verdict: string }).verdict], [1, 'unsafe']);
  assert.equal((await athanor(['scan', join(folder, 'nothing')])).code, 3);
});

test('what was signed is verified, and what was changed afterwards is not', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [key, pub] = [join(home, 'key.pem'), join(home, 'pub.pem')];
  writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(pub, publicKey.export({ type: 'spki', format: 'pem' }));
  const folder = join(home, 'signed');
  mkdirSync(folder);
  writeFileSync(join(folder, 'w.txt'), 'weights');
  const signed = await athanor(['sign', folder, '--key', key]);
  assert.equal(signed.code, 0, signed.stderr);
  assert.equal((await athanor(['verify', folder, '--key', pub])).code, 0);
  writeFileSync(join(folder, 'w.txt'), 'changed');
  const changed = await athanor(['verify', folder, '--key', pub]);
  assert.deepEqual([changed.code, /w\.txt has changed/.test(changed.stderr)], [1, true]);
  assert.equal((await athanor(['verify', folder])).code, 2);
  await register('signed', { 'w.txt': 'weights' });
  const signature = ['--signature', join(home, 'registered.sig')];
  assert.equal((await athanor(['sign', 'models:/signed/1', '--key', key, ...signature])).code, 0);
  const verified = await athanor(['verify', 'models:/signed/1', '--key', pub, ...signature, '-o', 'json']);
  assert.equal((JSON.parse(verified.stdout) as { files: number }).files, 1);
  // A signature that goes to a file is not kept with the version.
  assert.equal((await athanor(['verify', 'models:/signed/1', '--key', pub])).code, 3);
});
