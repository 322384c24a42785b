/** What every blob store promises, as tests: the folder and S3-compatible servers pass the same. Used by tests only. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { isStatusError, type Reason } from '../kube/status-error.ts';
import type { BlobStore } from './blob-store.ts';
import { openContent, putContent } from './content.ts';

const HELLO_SHA256 = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824';

const badKeys = [
  '',
  '/a',
  'a//b',
  'a/',
  '../a',
  'a/../b',
  './a',
  'a\0b',
  'a\\b',
  'x'.repeat(256),
  '\ud800',
  '.temporary/x',
];

const promises: Record<string, (store: BlobStore) => Promise<void>> = {
  'gives back what was put, with size and hash': async (store) => {
    assert.deepEqual(await store.put('a/b.txt', text('hello')), { sizeBytes: 5, sha256: HELLO_SHA256 });
    assert.equal(await read(store, 'a/b.txt'), 'hello');
    const { key, sizeBytes } = await store.stat('a/b.txt');
    assert.deepEqual({ key, sizeBytes }, { key: 'a/b.txt', sizeBytes: 5 });
  },
  'keeps an empty file': async (store) => {
    await store.put('empty', []);
    assert.equal(await read(store, 'empty'), '');
  },
  'replaces a file at once, and only when allowed': async (store) => {
    await store.put('r', text('old'));
    await rejects(store.put('r', text('new'), { ifAbsent: true }), 'AlreadyExists');
    assert.equal(await read(store, 'r'), 'old');
    await store.put('r', text('new'));
    assert.equal(await read(store, 'r'), 'new');
  },
  'shows nothing of a source that breaks half way': async (store) => {
    await assert.rejects(store.put('broken/file', breaking()), /source broke/);
    await rejects(store.stat('broken/file'), 'NotFound');
    assert.deepEqual(await keys(store, 'broken'), []);
  },
  'keeps the old file when the source of the new one breaks': async (store) => {
    await store.put('steady', text('old'));
    await assert.rejects(store.put('steady', breaking()), /source broke/);
    assert.equal(await read(store, 'steady'), 'old');
  },
  'reads ranges, both ends included': async (store) => {
    await store.put('range', text('0123456789'));
    assert.equal(await read(store, 'range', { start: 2, end: 4 }), '234');
    assert.equal(await read(store, 'range', { start: 7 }), '789');
    assert.equal(await read(store, 'range', { start: 7, end: 99 }), '789');
    await rejects(store.open('range', { start: 10 }), 'Invalid');
    await rejects(store.open('range', { start: 3, end: 2 }), 'Invalid');
  },
  'lists by prefix, in order of keys, page by page': async (store) => {
    const wanted = ['l/a', 'l/a-b', 'l/a.b/x', 'l/a/b', 'l/b', 'l/\u00e9', 'l/\u{1f600}'].filter(
      (key) => key !== 'l/a',
    );
    for (const key of wanted.toReversed()) await store.put(key, text(key));
    await store.put('m', text('m'));
    assert.deepEqual(await keys(store, 'l/'), wanted);
    assert.deepEqual(await keys(store, 'l/a'), ['l/a-b', 'l/a.b/x', 'l/a/b']);
    const pages: string[] = [];
    for (let after = ''; ; ) {
      const page = await store.list('l/', { limit: 2, after });
      pages.push(...page.map(({ key }) => key));
      if (page.length < 2) break;
      after = page.at(-1)?.key ?? '';
    }
    assert.deepEqual(pages, wanted);
  },
  'lists nothing for a prefix that nothing has': async (store) => {
    assert.deepEqual(await keys(store, 'nowhere/at/all'), []);
    assert.deepEqual(await keys(store, '../'), []);
  },
  'forgets a file, also one that is not there': async (store) => {
    await store.put('d/x', text('x'));
    await store.delete('d/x');
    await store.delete('d/x');
    await store.delete('d');
    await rejects(store.open('d/x'), 'NotFound');
  },
  'refuses a key below a file': async (store) => {
    await store.put('file', text('x'));
    await rejects(store.put('file/below', text('y')), 'AlreadyExists');
  },
  'refuses keys that leave the store or name nothing': async (store) => {
    for (const key of badKeys) {
      await rejects(store.put(key, text('x')), 'Invalid');
      await rejects(store.open(key), 'Invalid');
      await rejects(store.delete(key), 'Invalid');
    }
  },
  'keeps equal content once, under its digest': async (store) => {
    const first = await putContent(store, text('hello'));
    const second = await putContent(store, text('hello'));
    assert.deepEqual([first, second], Array(2).fill({ digest: `sha256:${HELLO_SHA256}`, sizeBytes: 5 }));
    assert.deepEqual(await keys(store, 'content/'), [`content/sha256/2c/${HELLO_SHA256.slice(2)}`]);
    const { body } = await openContent(store, first.digest);
    assert.equal(await collect(body), 'hello');
    await rejects(openContent(store, `sha256:${'0'.repeat(64)}`), 'NotFound');
    await rejects(openContent(store, 'sha256:../../x'), 'Invalid');
  },
  'puts the same key from many sides without mixing them': async (store) => {
    const texts = Array.from({ length: 8 }, (_, index) => String(index).repeat(1000));
    await Promise.all(texts.map((each) => store.put('contended', text(each))));
    assert.ok(texts.includes(await read(store, 'contended')));
  },
};

/** Declares a test for each promise; `open` gives an empty store. */
export function testContract(name: string, open: () => Promise<BlobStore>): void {
  describe(name, () => {
    let store: BlobStore;
    before(async () => {
      store = await open();
    });
    for (const [sentence, check] of Object.entries(promises)) test(sentence, () => check(store));
  });
}

function text(value: string): Uint8Array[] {
  return [...value].map((character) => Buffer.from(character));
}

async function* breaking(): AsyncGenerator<Uint8Array> {
  yield Buffer.alloc(1000);
  throw new Error('source broke');
}

async function read(store: BlobStore, key: string, range?: { start: number; end?: number }): Promise<string> {
  return collect((await store.open(key, range)).body);
}

async function collect(body: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const bytes of body) parts.push(bytes);
  return Buffer.concat(parts).toString();
}

async function keys(store: BlobStore, prefix: string): Promise<string[]> {
  return (await store.list(prefix)).map(({ key }) => key);
}

async function rejects(work: Promise<unknown>, reason: Reason): Promise<void> {
  await assert.rejects(work, (error) => isStatusError(error, reason));
}
