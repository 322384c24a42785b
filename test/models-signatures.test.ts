/** `athanor models sign` and `verify` of registered versions: who signed, what is refused, and what travels with them. */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TrackingServer } from '../src/tracking/server.ts';
import { startTestTracking } from '../src/tracking/test-tracking.ts';
import { HARD_AUTH, type HardRegistry, startHardRegistry } from './hard-registry.ts';
import { startMlflow } from './mlflow/server.ts';

const PROGRAM = join(import.meta.dirname, '..', 'bin', 'athanor');
const home = mkdtempSync(join(tmpdir(), 'athanor-signatures-'));
const at = (name: string) => join(home, name);
let here: TrackingServer;
let there: TrackingServer;
let registry: HardRegistry;
before(async () => {
  const start = (name: string) => {
    mkdirSync(at(name));
    return startTestTracking({ home: at(name), database: { path: ':memory:' } });
  };
  [here, there] = [await start('here'), await start('there')];
  registry = await startHardRegistry(there.url);
  mkdirSync(at('docker'));
  writeFileSync(join(at('docker'), 'config.json'), JSON.stringify({ auths: { [registry.host]: { auth: HARD_AUTH } } }));
  for (const name of ['mine', 'other']) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(at(`${name}.key`), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(at(`${name}.pub`), publicKey.export({ type: 'spki', format: 'pem' }));
  }
  makeCertificates();
});
after(async () => {
  await registry.close();
  await here.close();
  await there.close();
  rmSync(home, { recursive: true, force: true });
});

/** A root that vouches for the owner of `mine.key`. */
function makeCertificates(): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: home, stdio: 'pipe' });
  writeFileSync(at('signer.ext'), 'keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning');
  const authority = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign'];
  openssl('req', '-x509', '-new', '-key', 'other.key', '-subj', '/CN=Root', ...authority, '-out', 'root.crt');
  openssl('req', '-new', '-key', 'mine.key', '-subj', '/O=Lab/CN=Ada', '-out', 'signer.csr');
  const by = ['-CA', 'root.crt', '-CAkey', 'other.key', '-CAcreateserial', '-days', '9', '-extfile', 'signer.ext'];
  openssl('x509', '-req', '-in', 'signer.csr', ...by, '-out', 'signer.crt');
}

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line against `here`. */
function athanor(...args: readonly string[]): Promise<Outcome> {
  const env = { ...process.env, DOCKER_CONFIG: at('docker'), ATHANOR_HOME: at('cli'), NODE_V8_COVERAGE: '' };
  return new Promise((resolve) => {
    const all = ['models', ...args, ...(args.includes('--tracking') ? [] : ['--tracking', here.url])];
    execFile(PROGRAM, all, { env, cwd: home }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

async function say(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await athanor(...args);
  assert.equal(code, 0, stdout + stderr);
  return stdout;
}

/** Where the version's files are. */
async function register(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const ask = async (path: string, body: object) =>
    (await fetch(`${here.url}/api/2.0/mlflow/${path}`, { method: 'POST', body: JSON.stringify(body) })).json();
  // why: MLflow's own answer
  const { run } = (await ask('runs/create', { experiment_id: '0' })) as {
    run: { info: { run_id: string; artifact_uri: string } };
  };
  const { run_id, artifact_uri } = run.info;
  const place = `${here.url}/api/2.0/mlflow-artifacts/artifacts/${artifact_uri.replace('mlflow-artifacts:/', '')}/model`;
  for (const [path, body] of Object.entries(files)) await fetch(`${place}/${path}`, { method: 'PUT', body });
  await ask('registered-models/create', { name });
  await ask('model-versions/create', { name, source: `${artifact_uri}/model`, run_id });
  return place;
}

const FILES = { MLmodel: 'flavors: {}', 'deep/w.txt': 'weights' };
const fingerprintOf = (name: string) =>
  createHash('sha256')
    .update(readFileSync(at(`${name}.pub`)))
    .digest('hex');

test('a version is signed with a key, shown as signed, and verified', async () => {
  await register('digits', FILES);
  const shown = `key ${fingerprintOf('mine').slice(0, 16)}`;
  assert.equal(
    await say('sign', 'models:/digits/1', '--key', 'mine.key'),
    `signed models:/digits/1: 2 files, ${shown}\n`,
  );
  assert.match(await say('digits'), new RegExp(`\\n1 .*READY +${shown} `));
  const verified = await say('verify', 'models:/digits/1', '--key', 'mine.pub');
  assert.equal(verified, `verified models:/digits/1: 2 files, ${shown}\n`);
  await fetch(`${here.url}/api/2.0/mlflow/registered-models/alias`, {
    method: 'POST',
    body: JSON.stringify({ name: 'digits', alias: 'champion', version: '1' }),
  });
  const json = JSON.parse(await say('verify', 'models:/digits@champion', '--key', 'mine.pub', '-o', 'json'));
  assert.deepEqual(json.signer, { kind: 'key', subject: '', fingerprint: fingerprintOf('mine') });
  const [version] = JSON.parse(await say('digits', '-o', 'json'));
  assert.deepEqual(version.signed_by, [json.signer]);
});

test('a version is signed with a certificate, beside others, and one that is trusted is enough', async () => {
  await register('digits', FILES);
  await say('sign', 'models:/digits/2', '--key', 'other.key');
  await say('sign', 'models:/digits/2', '--key', 'mine.key', '--certificate', 'signer.crt');
  assert.match(await say('digits'), /\n2 .*READY +O=Lab, CN=Ada; key [0-9a-f]{16} /);
  for (const flag of ['--certificate-chain', '--certificate']) {
    const said = await say('verify', 'models:/digits/2', flag, 'root.crt');
    assert.equal(said, 'verified models:/digits/2: 2 files, O=Lab, CN=Ada\n');
  }
  assert.match(await say('verify', 'models:/digits/2', '--key', 'other.pub'), /^verified/);
});

/** What is refused after a preparation, by sentence: the exit code and what is said. */
const REFUSED: Readonly<
  Record<
    string,
    {
      readonly prepare?: (name: string, place: string) => Promise<unknown>;
      readonly args: (name: string) => readonly string[];
      readonly code: number;
      readonly want: RegExp;
    }
  >
> = {
  'a version that nobody signed': {
    args: (name) => ['verify', `models:/${name}/1`, '--key', 'mine.pub'],
    code: 3,
    want: /cannot verify models:\/\S+: nobody has signed it, sign it with: athanor models sign models:\S+ --key FILE/,
  },
  'another key': {
    prepare: (name) => say('sign', `models:/${name}/1`, '--key', 'mine.key'),
    args: (name) => ['verify', `models:/${name}/1`, '--key', 'other.pub'],
    code: 1,
    want: /it is signed by key [0-9a-f]{16}, name one of these or have it signed by whom you trust \(.*another key\)/,
  },
  'an authority that vouches for nobody who signed': {
    prepare: (name) => say('sign', `models:/${name}/1`, '--key', 'mine.key'),
    args: (name) => ['verify', `models:/${name}/1`, '--certificate-chain', 'root.crt'],
    code: 1,
    want: /it is signed by key .* \(cannot trust the signature: it has no certificate\)/,
  },
  'a file that was changed behind the version': {
    prepare: async (name, place) => {
      await say('sign', `models:/${name}/1`, '--key', 'mine.key');
      await fetch(`${place}/deep/w.txt`, { method: 'PUT', body: 'tampered' });
    },
    args: (name) => ['verify', `models:/${name}/1`, '--key', 'mine.pub'],
    code: 1,
    want: /deep\/w\.txt has changed since it was signed, bring those files back or register and sign these/,
  },
  'a file that came in behind the version': {
    prepare: async (name, place) => {
      await say('sign', `models:/${name}/1`, '--key', 'mine.key');
      await fetch(`${place}/more.txt`, { method: 'PUT', body: 'more' });
    },
    args: (name) => ['verify', `models:/${name}/1`, '--key', 'mine.pub'],
    code: 1,
    want: /more\.txt was not signed/,
  },
  'to sign files that are not those that were registered': {
    prepare: (_name, place) => fetch(`${place}/deep/w.txt`, { method: 'PUT', body: 'tampered' }),
    args: (name) => ['sign', `models:/${name}/1`, '--key', 'mine.key'],
    code: 1,
    want: /cannot keep the signature .*: it is of other files: deep\/w\.txt has changed .*, sign this version/,
  },
  'the signature of another version': {
    prepare: async (name) => {
      await say('sign', `models:/${name}/1`, '--key', 'mine.key', '--signature', 'first.sig');
      await register(name, { ...FILES, 'deep/w.txt': 'others' });
    },
    args: (name) => ['verify', `models:/${name}/2`, '--key', 'mine.pub', '--signature', 'first.sig'],
    code: 1,
    want: /cannot trust the model \S+\/1: deep\/w\.txt has changed since it was signed/,
  },
  'a version that is not there': {
    args: (name) => ['sign', `models:/${name}/9`, '--key', 'mine.key'],
    code: 3,
    want: /version=9\) not found/,
  },
  'a key that is not there': {
    args: (name) => ['sign', `models:/${name}/1`, '--key', 'no.key'],
    code: 3,
    want: /cannot read no\.key: there is no such file/,
  },
  'a key that is none': {
    args: (name) => ['verify', `models:/${name}/1`, '--key', 'signer.ext'],
    prepare: (name) => say('sign', `models:/${name}/1`, '--key', 'mine.key'),
    code: 1,
    want: /cannot read the key: it is no key in PEM/,
  },
  'no trust at all': {
    args: (name) => ['verify', `models:/${name}/1`],
    code: 2,
    want: /use either --key or --certificate-chain/,
  },
};

for (const [index, [what, { prepare, args, code, want }]] of Object.entries(REFUSED).entries()) {
  test(`${what} is refused`, async () => {
    const name = `refused-${index}`;
    const place = await register(name, FILES);
    await prepare?.(name, place);
    const outcome = await athanor(...args(name));
    assert.deepEqual([outcome.code, want.test(outcome.stderr)], [code, true], outcome.stdout + outcome.stderr);
  });
}

for (const knowsReferrers of [true, false]) {
  const how = knowsReferrers ? 'a registry of distribution-spec 1.1' : 'a registry without referrers';
  test(`signatures go with a version to ${how} and come back with it`, async () => {
    registry.knowsReferrers = knowsReferrers;
    const name = `moved-${knowsReferrers}`;
    const reference = `${registry.host}/team/${name}:v1`;
    await register(name, FILES);
    await say('sign', `models:/${name}/1`, '--key', 'mine.key');
    await say('sign', `models:/${name}/1`, '--key', 'mine.key', '--certificate', 'signer.crt');
    assert.match(await say('push', `${name}/1`, reference), /, 2 signatures\n$/);
    // Again: nothing is there twice.
    assert.equal(JSON.parse(await say('push', `${name}/1`, reference, '-o', 'json')).signatures, 2);
    assert.match(await say('pull', reference, '--name', `${name}-back`), /, 2 signatures\n$/);
    assert.match(await say(`${name}-back`), /READY +(O=Lab, CN=Ada; key \S+|key \S+; O=Lab, CN=Ada) /);
    await say('verify', `models:/${name}-back/1`, '--key', 'mine.pub');
    await say('verify', `models:/${name}-back/1`, '--certificate-chain', 'root.crt');
    const other = await athanor('verify', `models:/${name}-back/1`, '--key', 'other.pub');
    assert.match(other.stderr, /it is signed by/);
  });
}

test('a large model is pulled with its signatures before it was looked through', async () => {
  registry.knowsReferrers = true;
  const reference = `${registry.host}/team/slow:v1`;
  await register('slow', FILES);
  await say('sign', 'models:/slow/1', '--key', 'mine.key');
  await say('push', 'slow/1', reference);
  mkdirSync(at('slow'));
  const slow = await startTestTracking({ home: at('slow'), database: { path: ':memory:' }, judgeAtOnceBytes: 0 });
  try {
    assert.match(await say('pull', reference, '--name', 'slow', '--tracking', slow.url), /, 1 signature\n$/);
    assert.match(await say('slow', '--tracking', slow.url), /(READY|PENDING_REGISTRATION) +key [0-9a-f]{16} /);
  } finally {
    await slow.close();
  }
});

test("versions of MLflow's own server are listed too, which keeps no signatures", async () => {
  const theirs = await startMlflow();
  try {
    const post = (path: string, body: object) =>
      fetch(`${theirs.url}/api/2.0/mlflow/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    await post('registered-models/create', { name: 'foreign' });
    await post('model-versions/create', { name: 'foreign', source: 's3://bucket/model' });
    assert.match(await say('foreign', '--tracking', theirs.url), /\n1 .*READY/);
  } finally {
    await theirs.close();
  }
});
