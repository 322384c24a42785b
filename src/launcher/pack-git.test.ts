/** Real repositories, packed by branch, tag and commit; and what cannot be packed. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BlobStore } from '../blobs/blob-store.ts';
import { openFolderStore } from '../blobs/folder-store.ts';
import { getTree } from '../blobs/tree.ts';
import { isStatusError } from '../kube/status-error.ts';
import { packGit, type PackGitOptions } from './pack-git.ts';

const home = mkdtempSync(join(tmpdir(), 'athanor-pack-git-'));
const repository = join(home, 'repository');
const secret = join(home, 'secret');
const url = `file://${repository}`;
const commits: string[] = [];
let store: BlobStore;

function git(...args: readonly string[]): string {
  const who = ['-c', 'user.name=t', '-c', 'user.email=t@example.com', '-c', 'commit.gpgsign=false'];
  return execFileSync('git', ['-C', repository, ...who, ...args], { encoding: 'utf8' }).trim();
}

before(async () => {
  store = await openFolderStore(join(home, 'blobs'));
  for (const folder of [secret, join(repository, 'train')]) mkdirSync(folder, { recursive: true });
  writeFileSync(join(secret, 'key'), 'k');
  git('init', '--quiet', '--initial-branch=main');
  for (const version of ['one', 'two']) {
    writeFileSync(join(repository, 'train', 'main.py'), version);
    git('add', '-A');
    git('commit', '--quiet', '-m', version);
    commits.push(git('rev-parse', 'HEAD'));
    if (version === 'one') git('tag', 'v1');
  }
  git('checkout', '--quiet', '-b', 'links');
  symlinkSync(secret, join(repository, 'out'));
  symlinkSync('train', join(repository, 'in'));
  git('add', '-A');
  git('commit', '--quiet', '-m', 'links');
  git('checkout', '--quiet', 'main');
});
after(() => rmSync(home, { recursive: true }));

const pack = (more: Partial<PackGitOptions> = {}) =>
  packGit(store, { url, ref: 'HEAD', path: '.', work: join(home, 'work'), env: process.env, ...more });

const PACKED: Record<
  string,
  { readonly more: () => Partial<PackGitOptions>; readonly commit: number; readonly files: readonly string[] }
> = {
  'the head': { more: () => ({}), commit: 1, files: ['train/main.py'] },
  'a branch': { more: () => ({ ref: 'main' }), commit: 1, files: ['train/main.py'] },
  'a tag': { more: () => ({ ref: 'v1' }), commit: 0, files: ['train/main.py'] },
  'a commit': { more: () => ({ ref: commits[0] ?? '' }), commit: 0, files: ['train/main.py'] },
  'a folder': { more: () => ({ path: 'train' }), commit: 1, files: ['main.py'] },
};

for (const [sentence, { more, commit, files }] of Object.entries(PACKED)) {
  test(`packGit() packs ${sentence}, without git's own files`, async () => {
    const result = await pack(more());
    assert.equal(result.commit, commits[commit]);
    assert.deepEqual(
      (await getTree(store, result.digest)).files.map(({ path }) => path),
      files,
    );
  });
}

test('packGit() packs the folder that a link in the repository names', async () => {
  const { files } = await pack({ ref: 'links', path: 'in' });
  assert.equal(files, 1);
});

const REFUSED: Record<string, { readonly more: Partial<PackGitOptions>; readonly says: RegExp }> = {
  'a missing ref': {
    more: { ref: 'nowhere' },
    says: /at nowhere: git ended with 128\n.*couldn't find remote ref nowhere/s,
  },
  'a missing repository': {
    more: { url: `file://${home}/none` },
    says: /git ended with 128\n.*does not (exist|appear)/s,
  },
  'an address that is an option': { more: { url: '--upload-pack=touch /tmp/x' }, says: /git ended with 128/ },
  'a transport that runs a program': { more: { url: 'ext::sh -c true' }, says: /transport 'ext' not allowed/ },
  'a path out of the repository': { more: { path: '../..' }, says: /path \.\.\/\.\. leads out of the repository/ },
  'a link out of the repository': { more: { ref: 'links', path: 'out' }, says: /path out leads out of the repository/ },
  'a missing folder': { more: { path: 'nowhere' }, says: /at HEAD: it has no folder nowhere/ },
  'a file': { more: { path: 'train/main.py' }, says: /it has no folder train\/main\.py/ },
  'to work without git': { more: { env: { PATH: '/nowhere' } }, says: /git is not on this node, install it/ },
};

for (const [sentence, { more, says }] of Object.entries(REFUSED)) {
  test(`packGit() refuses ${sentence}`, async () => {
    await assert.rejects(pack(more), (error) => {
      assert.ok(isStatusError(error, 'Invalid'), String(error));
      assert.match(error.message, says);
      return true;
    });
  });
}

test('packGit() tells nobody the password of an address', async () => {
  await assert.rejects(pack({ url: 'http://user:hush@127.0.0.1:1/x.git' }), (error) => {
    assert.match(String(error), /cannot pack http:\/\/127\.0\.0\.1:1\/x\.git at HEAD/);
    assert.doesNotMatch(String(error), /hush/);
    return true;
  });
});
