/** Folders to trees and back, with everything that a folder may hold. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { isStatusError, type Reason } from '../kube/status-error.ts';
import type { BlobStore } from './blob-store.ts';
import { contentKey, putContent } from './content.ts';
import { openFolderStore } from './folder-store.ts';
import { materialize } from './materialize.ts';
import { putTree } from './put-tree.ts';
import { getTree, getTreeStats, putTreeFiles } from './tree.ts';

let home: string;
let source: string;
let store: BlobStore;
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'athanor-tree-'));
  source = join(home, 'source');
  mkdirSync(join(source, 'sub'), { recursive: true });
  writeFileSync(join(source, 'b.txt'), 'bee');
  writeFileSync(join(source, 'sub', 'a.txt'), 'bee');
  writeFileSync(join(source, 'run.sh'), '#!/bin/sh\n');
  chmodSync(join(source, 'run.sh'), 0o755);
  store = await openFolderStore(join(home, 'store'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

test('putTree() lists files in order, and equal folders give equal digests', async () => {
  const tree = await putTree(store, source);
  assert.deepEqual(
    tree.files.map(({ path, executable }) => [path, executable]),
    [
      ['b.txt', undefined],
      ['run.sh', true],
      ['sub/a.txt', undefined],
    ],
  );
  assert.equal((await putTree(store, source)).digest, tree.digest);
  assert.deepEqual(await getTree(store, tree.digest), tree);
  assert.deepEqual(await getTreeStats(store, tree.digest), { files: 3, sizeBytes: 16 });
  writeFileSync(join(source, 'b.txt'), 'changed');
  assert.notEqual((await putTree(store, source)).digest, tree.digest);
});

test('materialize() makes the folder again, read-only, and leaves nothing beside it', async () => {
  const { digest } = await putTree(store, source);
  const targetFolder = join(home, 'out', 'deep');
  await materialize(store, { digest, targetFolder });
  assert.equal(readFileSync(join(targetFolder, 'sub', 'a.txt'), 'utf8'), 'bee');
  assert.equal(statSync(join(targetFolder, 'sub', 'a.txt')).mode & 0o777, 0o444);
  assert.equal(statSync(join(targetFolder, 'run.sh')).mode & 0o777, 0o555);
  assert.deepEqual(readdirSync(join(home, 'out')), ['deep']);
});

test('materialize() refuses a target that has content, and changes nothing in it', async () => {
  const { digest } = await putTree(store, source);
  await rejects(materialize(store, { digest, targetFolder: source }), 'AlreadyExists');
  assert.deepEqual(readdirSync(home).sort(), ['source', 'store']);
});

test('materialize() finds a damaged file and makes nothing', async () => {
  const { digest, files } = await putTree(store, source);
  const damaged = join(home, 'store', contentKey(files[0]?.digest ?? ''));
  writeFileSync(damaged, 'bad');
  await rejects(materialize(store, { digest, targetFolder: join(home, 'out') }), 'InternalError');
  assert.deepEqual(readdirSync(home).sort(), ['source', 'store']);
});

test('materialize() stops when told to', async () => {
  const { digest } = await putTree(store, source);
  const options = { digest, targetFolder: join(home, 'out'), signal: AbortSignal.abort(new Error('enough')) };
  await assert.rejects(materialize(store, options), /enough/);
});

test('an empty folder is a tree too', async () => {
  const empty = join(home, 'empty');
  mkdirSync(empty);
  const { digest } = await putTree(store, empty);
  await materialize(store, { digest, targetFolder: join(home, 'out') });
  assert.deepEqual(readdirSync(join(home, 'out')), []);
});

const oddities: Record<string, { readonly make: () => void; readonly want: RegExp | string }> = {
  'follows a link to a file inside': {
    make: () => symlinkSync('../b.txt', join(source, 'sub', 'link')),
    want: 'sub/link',
  },
  'refuses a link out of the folder': {
    make: () => symlinkSync('/etc/passwd', join(source, 'link')),
    want: /cannot import link: it is a link out of the folder/,
  },
  'refuses a link to a folder': {
    make: () => symlinkSync('sub', join(source, 'link')),
    want: /cannot import link: it is a link to a folder/,
  },
  'refuses a link to nothing': {
    make: () => symlinkSync('nothing', join(source, 'link')),
    want: /cannot import link: it is a link to nothing/,
  },
  'refuses a link to itself': {
    make: () => symlinkSync('link', join(source, 'link')),
    want: /cannot import link: it is a link to nothing/,
  },
  'refuses a pipe': {
    make: () => execFileSync('mkfifo', [join(source, 'pipe')]),
    want: /cannot import pipe: it is a socket, a pipe or a device/,
  },
  'refuses a folder that is not there': {
    make: () => rmSync(source, { recursive: true }),
    want: /there is no such folder/,
  },
};

for (const [sentence, { make, want }] of Object.entries(oddities)) {
  test(`putTree() ${sentence}`, async () => {
    make();
    if (want instanceof RegExp) return assert.rejects(putTree(store, source), want);
    const { files } = await putTree(store, source);
    assert.ok(files.some(({ path }) => path === want));
  });
}

test('getTree() refuses what is no tree, or names files outside', async () => {
  const { digest: plain } = await putContent(store, [Buffer.from('{}')]);
  const { digest: text } = await putContent(store, [Buffer.from('hello')]);
  const { digest: escaping } = await putTreeFiles(store, [{ path: '../x', digest: plain, sizeBytes: 2 }]);
  for (const digest of [plain, text, escaping]) await rejects(getTree(store, digest), 'Invalid');
});

test('openFolderStore() removes what a crash left an hour ago, and nothing younger', async () => {
  const temporary = join(home, 'store', '.temporary');
  writeFileSync(join(temporary, 'old'), 'x');
  writeFileSync(join(temporary, 'young'), 'x');
  utimesSync(join(temporary, 'old'), new Date(0), new Date(0));
  await openFolderStore(join(home, 'store'));
  assert.deepEqual(readdirSync(temporary), ['young']);
});

test('a full disk is InsufficientStorage and says so', async () => {
  const full = async function* (): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(1);
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  };
  await assert.rejects(store.put('x', full()), /cannot write x: the disk is full, make room and try again/);
});

async function rejects(work: Promise<unknown>, reason: Reason): Promise<void> {
  await assert.rejects(work, (error) => isStatusError(error, reason));
}
