/** Trees laid out in folders that are mount points, also where an earlier try broke off. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BlobStore } from '../blobs/blob-store.ts';
import { openFolderStore } from '../blobs/folder-store.ts';
import { fetchTree } from './fetch-tree.ts';
import { importFolder } from './import-dataset.ts';

const home = mkdtempSync(join(tmpdir(), 'athanor-fetch-tree-'));
let store: BlobStore;
let digest = '';
before(async () => {
  store = await openFolderStore(join(home, 'blobs'));
  mkdirSync(join(home, 'source', 'deep'), { recursive: true });
  writeFileSync(join(home, 'source', 'main.py'), 'print()', { mode: 0o755 });
  writeFileSync(join(home, 'source', 'deep', 'a'), 'a');
  writeFileSync(join(home, 'source', '.athanor-arriving'), 'a name like any other');
  ({ digest } = await importFolder(store, join(home, 'source')));
});
after(() => rmSync(home, { recursive: true }));

const list = (folder: string) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted();

test('fetchTree() makes the folder and what is in it', async () => {
  const target = join(home, 'new', 'target');
  await fetchTree(store, { digest, target });
  assert.deepEqual(list(target), ['.athanor-arriving', 'deep', 'deep/a', 'main.py']);
  assert.equal(readFileSync(join(target, 'deep', 'a'), 'utf8'), 'a');
  assert.equal(statSync(join(target, 'main.py')).mode & 0o777, 0o555);
});

test('fetchTree() keeps the folder itself, and removes what was left in it', async () => {
  const target = join(home, 'mount');
  mkdirSync(join(target, '.arriving-x', 'half'), { recursive: true });
  writeFileSync(join(target, 'stale'), '');
  const { ino } = statSync(target);
  await fetchTree(store, { digest, target });
  assert.equal(statSync(target).ino, ino);
  assert.deepEqual(list(target), ['.athanor-arriving', 'deep', 'deep/a', 'main.py']);
});

test('fetchTree() of what is not there leaves an empty folder', async () => {
  const target = join(home, 'none');
  await assert.rejects(fetchTree(store, { digest: `sha256:${'0'.repeat(64)}`, target }), { reason: 'NotFound' });
  await assert.rejects(fetchTree(store, { digest: 'latest', target }), { reason: 'Invalid' });
  assert.deepEqual(list(target), []);
});
