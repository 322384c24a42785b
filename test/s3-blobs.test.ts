/** Blobs on a real S3-compatible server: the contract, trees, files of many parts, and what the store refuses. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BlobStore } from '../src/blobs/blob-store.ts';
import { contentKey, putContent } from '../src/blobs/content.ts';
import { materialize } from '../src/blobs/materialize.ts';
import { openBlobStore } from '../src/blobs/open-blob-store.ts';
import { putTree } from '../src/blobs/put-tree.ts';
import { testContract } from '../src/blobs/test-contract.ts';
import { isStatusError, type Reason } from '../src/kube/status-error.ts';
import { startS3, type TestS3 } from './s3-server.ts';

const MIB = 1024 * 1024;
/** Parts of 8 MiB, the last one not full. */
const LARGE_BYTES = 40 * MIB + 7;
const home = mkdtempSync(join(tmpdir(), 'athanor-s3-blobs-'));
let s3: TestS3;
let store: BlobStore;
before(async () => {
  s3 = await startS3();
  store = await openBlobStore(s3.url('tests'), s3.access);
});
after(async () => {
  await s3.close();
  rmSync(home, { recursive: true, force: true });
});

testContract('an S3-compatible server', () => openBlobStore(s3.url('some/where'), s3.access));
testContract('an S3-compatible server, without a prefix', () => openBlobStore(s3.url(), s3.access));

test('a file of many parts comes back as it was, by key and by content, and its name is kept', async () => {
  const bytes = randomBytes(LARGE_BYTES);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  assert.deepEqual(await store.put('large', pieces(bytes)), { sizeBytes: LARGE_BYTES, sha256 });
  assert.ok((await collect(store, 'large')).equals(bytes));
  await rejects(store.put('large', pieces(bytes), { ifAbsent: true }), 'AlreadyExists');
  const { digest } = await putContent(store, pieces(bytes));
  assert.equal(digest, `sha256:${sha256}`);
  assert.ok((await collect(store, contentKey(digest))).equals(bytes));
  assert.deepEqual(await putContent(store, pieces(bytes)), { digest, sizeBytes: LARGE_BYTES });
});

test('a large file whose source breaks leaves nothing, neither parts nor temporary files', async () => {
  async function* breaking() {
    yield Buffer.alloc(33 * MIB);
    throw new Error('source broke');
  }
  await assert.rejects(store.put('torn', breaking()), /source broke/);
  await assert.rejects(putContent(store, breaking()), /source broke/);
  await rejects(store.stat('torn'), 'NotFound');
  assert.deepEqual(await listRaw(), { uploads: 0, temporary: 0 });
});

test('a tree comes back, and a damaged file is found', async () => {
  const source = join(home, 'source');
  mkdirSync(join(source, 'sub'), { recursive: true });
  writeFileSync(join(source, 'a.txt'), 'a');
  writeFileSync(join(source, 'sub', 'ü \u0001+%20.txt'), 'b');
  const { digest, files } = await putTree(store, source);
  await materialize(store, { digest, targetFolder: join(home, 'out') });
  assert.equal(readFileSync(join(home, 'out', 'sub', 'ü \u0001+%20.txt'), 'utf8'), 'b');
  await store.put(contentKey(files[0]?.digest ?? ''), [Buffer.from('bad')]);
  await rejects(materialize(store, { digest, targetFolder: join(home, 'damaged') }), 'InternalError');
});

test('lists more than one page of the store, and stops at the limit', async () => {
  const wanted = Array.from({ length: 1_205 }, (_, index) => `many/${String(index).padStart(5, '0')}`);
  for (let start = 0; start < wanted.length; start += 50)
    await Promise.all(wanted.slice(start, start + 50).map((key) => store.put(key, [])));
  const keys = async (limit: number) => (await store.list('many/', { limit })).map(({ key }) => key);
  assert.deepEqual(await keys(5_000), wanted);
  assert.deepEqual(await keys(1_003), wanted.slice(0, 1_003));
});

test('only one of many writers gets a name that must be free', async () => {
  const tries = Array.from({ length: 8 }, (_, index) =>
    store.put('one', [Buffer.from(String(index))], { ifAbsent: true }),
  );
  const ended = await Promise.allSettled(tries);
  assert.equal(ended.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const each of ended) {
    if (each.status === 'rejected') assert.ok(isStatusError(each.reason, 'AlreadyExists'), String(each.reason));
  }
});

test('a wrong key, and a bucket that is not there, are told as such', async () => {
  const wrong = { ...s3.access, secretAccessKey: 'wrong' };
  await rejects(openBlobStore(s3.url(), wrong), 'Forbidden');
  await rejects(openBlobStore(s3.url(), undefined), 'Forbidden');
  const elsewhere = s3.url().replace('s3://athanor/', 's3://nowhere/');
  await assert.rejects(openBlobStore(elsewhere, s3.access), /the bucket does not exist, create it/);
});

test('a connection that breaks in the middle of a file is made again, and no byte is lost or doubled', async () => {
  const bytes = randomBytes(8 * MIB);
  await store.put('resumed', [bytes]);
  const proxy = await startBreakingProxy(new URL(s3.endpoint), 3 * MIB);
  try {
    const through = await openBlobStore(s3.url('tests').replaceAll(portOf(s3.endpoint), proxy.port), s3.access);
    assert.ok((await collect(through, 'resumed')).equals(bytes));
    assert.ok(proxy.broken() >= 2);
  } finally {
    proxy.close();
  }
});

async function listRaw(): Promise<{ readonly uploads: number; readonly temporary: number }> {
  const sdk = await import('@aws-sdk/client-s3');
  const { endpoint, access: credentials } = s3;
  const client = new sdk.S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true });
  const { Uploads = [] } = await client.send(new sdk.ListMultipartUploadsCommand({ Bucket: 'athanor' }));
  const { Contents = [] } = await client.send(
    new sdk.ListObjectsV2Command({ Bucket: 'athanor', Prefix: 'tests/.temporary/' }),
  );
  client.destroy();
  const temporary = Contents.filter(({ Key }) => !Key?.endsWith('/conditional-write'));
  return { uploads: Uploads.length, temporary: temporary.length };
}

interface BreakingProxy {
  readonly port: string;
  broken(): number;
  close(): void;
}

/** Passes bytes on, and cuts each connection that has carried `limitBytes` of an answer. */
async function startBreakingProxy({ hostname, port }: URL, limitBytes: number): Promise<BreakingProxy> {
  const { connect } = await import('node:net');
  const sockets = new Set<Socket>();
  let broken = 0;
  const server: Server = createServer((inner) => {
    const outer = connect(Number(port), hostname);
    let passed = 0;
    for (const socket of [inner, outer]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => void (inner.destroy(), outer.destroy()));
    }
    inner.pipe(outer);
    outer.on('data', (bytes: Buffer) => {
      passed += bytes.length;
      inner.write(bytes);
      if (passed <= limitBytes) return;
      broken += 1;
      outer.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: own } = server.address() as AddressInfo; // why: it listens on TCP
  const close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { port: String(own), broken: () => broken, close };
}

function portOf(url: string): string {
  return new URL(url).port;
}

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length; start += 100_000) yield bytes.subarray(start, start + 100_000);
}

async function collect(from: BlobStore, key: string): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const bytes of (await from.open(key)).body) parts.push(bytes);
  return Buffer.concat(parts);
}

async function rejects(work: Promise<unknown>, reason: Reason): Promise<void> {
  await assert.rejects(work, (error) => isStatusError(error, reason));
}
