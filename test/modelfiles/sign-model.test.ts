/** Model signatures, ours and those of the reference implementation (PyPI's model-signing), each verified by the other. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { listFolderFiles } from '../../src/modelfiles/model-files.ts';
import { signModel, type Trust, verifyModel } from '../../src/modelfiles/sign-model.ts';
import { digestModel } from '../../src/modelfiles/signed-statement.ts';
import { ensureVenv } from '../python.ts';

const CURVES = { 'P-256': 'prime256v1', 'P-384': 'secp384r1', 'P-521': 'secp521r1' } as const;
const home = mkdtempSync(join(tmpdir(), 'athanor-sign-'));
const at = (...names: string[]) => join(home, ...names);
let python = '';

before(async () => {
  ({ python } = await ensureVenv(['model-signing==1.1.1', 'pyopenssl']));
  mkdirSync(at('model', 'a', 'deep'), { recursive: true });
  mkdirSync(at('model', '.git'));
  const files = {
    'a.txt': 'x',
    'a/b': 'y',
    'a/deep/c.bin': '\0\x01',
    'a-b': '',
    'é.bin': 'z',
    '.git/config': 'not part',
  };
  for (const [path, body] of Object.entries(files)) writeFileSync(at('model', path), body);
  for (const [name, curve] of Object.entries(CURVES)) writeKey(name, curve);
  writeKey('other', 'prime256v1');
  makeCertificates();
});
after(() => rmSync(home, { recursive: true, force: true }));

function writeKey(name: string, namedCurve: string): void {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
  writeFileSync(at(`${name}.key`), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(at(`${name}.pub`), publicKey.export({ type: 'spki', format: 'pem' }));
}

/** A root, one between, a signer, one who may not sign, and a root that nobody trusts. */
function makeCertificates(): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: home, stdio: 'pipe' });
  const make = (name: string, issuer: string | undefined, extensions: string) => {
    writeKey(name, 'prime256v1');
    writeFileSync(at(`${name}.ext`), extensions);
    openssl('req', '-new', '-key', `${name}.key`, '-subj', `/CN=${name}`, '-out', `${name}.csr`);
    const by = issuer === undefined ? ['-signkey', `${name}.key`] : ['-CA', `${issuer}.crt`, '-CAkey', `${issuer}.key`];
    const rest = ['-CAcreateserial', '-days', '10', '-extfile', `${name}.ext`, '-out', `${name}.crt`];
    openssl('x509', '-req', '-in', `${name}.csr`, ...by, ...(issuer === undefined ? rest.slice(1) : rest));
  };
  const authority = 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign';
  make('root', undefined, authority);
  make('between', 'root', authority);
  make('signer', 'between', 'keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning');
  make('no-signer', 'between', 'keyUsage=critical,keyEncipherment');
  make('no-authority', 'root', 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature');
  make('by-no-authority', 'no-authority', 'keyUsage=critical,digitalSignature');
  make('stranger', undefined, authority);
}

const read = (name: string) => readFileSync(at(name), 'utf8');

function reference(...args: string[]) {
  return spawnSync(python, ['-m', 'model_signing', ...args], { cwd: home, encoding: 'utf8' });
}

function expectReference(...args: string[]): void {
  const { status, stdout, stderr } = reference(...args);
  assert.equal(status, 0, stdout + stderr);
}

function expectRefusal(...args: string[]): void {
  const { status, stdout, stderr } = reference(...args);
  assert.notEqual(status, 0);
  assert.match(stdout + stderr, /Verification failed/i);
}

const verifyOurs = async (folder: string, signature: string, trust: Trust) =>
  verifyModel(await listFolderFiles(at(folder)), signature, { trust });

async function signOurs(name: string, certificates?: string): Promise<string> {
  const options = { name: 'model', privateKey: read(`${name}.key`), ...(certificates && { certificates }) };
  return signModel(await listFolderFiles(at('model')), options);
}

for (const curve of Object.keys(CURVES)) {
  test(`the reference verifies what a key of ${curve} signs here`, async () => {
    writeFileSync(at('ours.sig'), await signOurs(curve));
    expectReference('verify', 'key', 'model', '--signature', 'ours.sig', '--public_key', `${curve}.pub`);
    expectRefusal('verify', 'key', 'model', '--signature', 'ours.sig', '--public_key', 'other.pub');
  });
  test(`verifyModel() verifies what a key of ${curve} signs with the reference`, async () => {
    expectReference('sign', 'key', 'model', '--signature', 'theirs.sig', '--private_key', `${curve}.key`);
    const { name, resources } = await verifyOurs('model', read('theirs.sig'), { publicKey: read(`${curve}.pub`) });
    assert.equal(name, 'model');
    assert.deepEqual(
      resources.map(({ name: path }) => path),
      ['a/b', 'a/deep/c.bin', 'a-b', 'a.txt', 'é.bin'],
    );
  });
}

test('digestModel() gives the digest that the reference signs', async () => {
  expectReference('sign', 'key', 'model', '--signature', 'theirs.sig', '--private_key', 'P-256.key');
  const { dsseEnvelope } = JSON.parse(read('theirs.sig'));
  const { subject } = JSON.parse(Buffer.from(dsseEnvelope.payload, 'base64').toString());
  assert.equal((await digestModel(await listFolderFiles(at('model')))).digest, subject[0].digest.sha256);
});

test('certificates are verified both ways', async () => {
  writeFileSync(at('ours.sig'), await signOurs('signer', read('signer.crt') + read('between.crt')));
  expectReference('verify', 'certificate', 'model', '--signature', 'ours.sig', '--certificate_chain', 'root.crt');
  const by = [
    '--private_key',
    'signer.key',
    '--signing_certificate',
    'signer.crt',
    '--certificate_chain',
    'between.crt',
  ];
  expectReference('sign', 'certificate', 'model', '--signature', 'theirs.sig', ...by);
  for (const signature of ['ours.sig', 'theirs.sig']) {
    assert.equal((await verifyOurs('model', read(signature), { authorities: read('root.crt') })).name, 'model');
  }
});

const untrusted: Record<string, { readonly signer: string; readonly chain: readonly string[]; readonly root: string }> =
  {
    'an unknown root': { signer: 'signer', chain: ['signer', 'between'], root: 'stranger' },
    'a gap in the path': { signer: 'signer', chain: ['signer'], root: 'root' },
    'one between as the only authority': { signer: 'signer', chain: ['signer'], root: 'between' },
    'one who may not sign': { signer: 'no-signer', chain: ['no-signer', 'between'], root: 'root' },
    'one whom no authority vouches for': {
      signer: 'by-no-authority',
      chain: ['by-no-authority', 'no-authority'],
      root: 'root',
    },
  };
for (const [sentence, { signer, chain, root }] of Object.entries(untrusted)) {
  test(`verifyModel() trusts not ${sentence}, as the reference`, async () => {
    const signature = await signOurs(signer, chain.map((name) => read(`${name}.crt`)).join(''));
    await assert.rejects(verifyOurs('model', signature, { authorities: read(`${root}.crt`) }), { reason: 'Forbidden' });
    writeFileSync(at('untrusted.sig'), signature);
    const theirs = ['model', '--signature', 'untrusted.sig', '--certificate_chain', `${root}.crt`];
    expectRefusal('verify', 'certificate', ...theirs);
  });
}

const changes: Record<string, { readonly change: (folder: string) => void; readonly says: RegExp }> = {
  'a changed file': { change: (folder) => writeFileSync(join(folder, 'a.txt'), 'X'), says: /a\.txt has changed/ },
  'a missing file': { change: (folder) => rmSync(join(folder, 'a/b')), says: /a\/b is missing/ },
  'a further file': { change: (folder) => writeFileSync(join(folder, 'new'), ''), says: /new was not signed/ },
  'a link': { change: (folder) => symlinkSync('/etc/passwd', join(folder, 'link')), says: /link is a link/ },
};
for (const [sentence, { change, says }] of Object.entries(changes)) {
  test(`verifyModel() refuses ${sentence}, as the reference`, async () => {
    const folder = at('changed');
    cpSync(at('model'), folder, { recursive: true });
    const signature = await signOurs('P-256');
    change(folder);
    await assert.rejects(verifyOurs('changed', signature, { publicKey: read('P-256.pub') }), { message: says });
    writeFileSync(at('ours.sig'), signature);
    const theirs = ['changed', '--signature', 'ours.sig', '--public_key', 'P-256.pub'];
    expectRefusal('verify', 'key', ...theirs);
    rmSync(folder, { recursive: true });
  });
}

test('verifyModel() refuses another key, another signature and what is no signature', async () => {
  const signature = await signOurs('P-256');
  const trust = { publicKey: read('P-256.pub') };
  const bundle = JSON.parse(signature);
  const { dsseEnvelope: envelope } = bundle;
  const statement = JSON.parse(Buffer.from(envelope.payload, 'base64').toString());
  const other = Buffer.from(JSON.stringify({ ...statement, predicate: {} })).toString('base64');
  const forged: Record<string, unknown> = {
    'another payload': { ...bundle, dsseEnvelope: { ...envelope, payload: other } },
    'no signature': { ...bundle, dsseEnvelope: { ...envelope, signatures: [] } },
    'two signatures': {
      ...bundle,
      dsseEnvelope: { ...envelope, signatures: [...envelope.signatures, ...envelope.signatures] },
    },
    'another type': { ...bundle, mediaType: 'application/json' },
    'another payload type': { ...bundle, dsseEnvelope: { ...envelope, payloadType: 'text/plain' } },
    nothing: {},
  };
  for (const [what, value] of Object.entries(forged)) {
    await assert.rejects(verifyOurs('model', JSON.stringify(value), trust), /cannot (read|trust) the signature/, what);
  }
  await assert.rejects(verifyOurs('model', 'no JSON', trust), { reason: 'Invalid' });
  await assert.rejects(verifyOurs('model', signature, { publicKey: read('other.pub') }), { reason: 'Forbidden' });
  await assert.rejects(verifyOurs('model', signature, { authorities: read('root.crt') }), { reason: 'Forbidden' });
  await assert.rejects(verifyOurs('model', signature, { publicKey: 'no key' }), { reason: 'Invalid' });
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
  const odd = { name: 'model', privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
  await assert.rejects(signModel([], odd), { reason: 'Invalid', message: /P-256/ });
});
