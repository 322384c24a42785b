/** The store under its journal: what is seen when, and what a refusing disk leaves behind. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredObject } from '../kube/object.ts';
import { isStatusError, StatusError } from '../kube/status-error.ts';
import { type Journal, type JournalEntry, memoryJournal } from './journal.ts';
import { Store } from './store.ts';

const address = { resource: 'configmaps', namespace: 'default', name: 'a' };

function object(value: number, metadata: Partial<StoredObject['metadata']> = {}): StoredObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'a', namespace: 'default', uid: 'u', ...metadata },
    value,
  };
}

/** A journal whose appends wait to be told how they end. */
function heldJournal() {
  const batches: (readonly JournalEntry[])[] = [];
  const endings: PromiseWithResolvers<void>[] = [];
  const journal: Journal = {
    ...memoryJournal(),
    append: (batch) => {
      batches.push(batch);
      const ending = Promise.withResolvers<void>();
      endings.push(ending);
      return ending.promise;
    },
  };
  return { journal, batches, endings };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const full = new StatusError('ServiceUnavailable', 'the disk is full');

test('Store shows a write to readers when it is durable, and to later writers at once', async () => {
  const { journal, endings } = heldJournal();
  const store = await Store.open(journal);
  const first = store.write(address, () => object(1));
  await turn();
  assert.equal(store.get(address), undefined);
  const second = store.write(address, (current) => ({ ...object(2), before: current?.['value'] }));
  endings[0]?.resolve();
  await first;
  assert.equal(store.get(address)?.['value'], 1);
  await turn();
  endings[1]?.resolve();
  assert.equal((await second)?.['before'], 1);
  assert.equal(store.revision, 2);
});

test('Store gathers the writes of one moment in one batch', async () => {
  const { journal, batches, endings } = heldJournal();
  const store = await Store.open(journal);
  const writes = ['a', 'b', 'c'].map((name) => store.write({ ...address, name }, () => object(1, { name, uid: name })));
  await turn();
  assert.deepEqual(
    batches.map((batch) => batch.map(({ key }) => key)),
    [['configmaps/default/a', 'configmaps/default/b', 'configmaps/default/c']],
  );
  endings[0]?.resolve();
  await Promise.all(writes);
});

test('Store refuses all that stands on a write the disk refused, also what changes nothing', async () => {
  const { journal, endings } = heldJournal();
  const store = await Store.open(journal);
  const events: string[] = [];
  store.subscribe(({ type }) => events.push(type));
  const first = store.write(address, () => object(1));
  await turn();
  const onTop = store.write(address, () => object(2));
  const same = store.write(address, (current) => current);
  endings[0]?.reject(full);
  for (const write of [first, onTop, same])
    await assert.rejects(write, (error) => isStatusError(error, 'ServiceUnavailable'));
  assert.deepEqual([store.get(address), store.revision, events], [undefined, 0, []]);
  const later = store.write(address, (current) => (current === undefined ? object(3) : current));
  await turn();
  endings[1]?.resolve();
  assert.equal((await later)?.['value'], 3);
  assert.deepEqual(events, ['ADDED']);
});

test('Store lists a moment of the past while it remembers it', async () => {
  const store = await Store.open(memoryJournal());
  const at = (name: string) => ({ ...address, name });
  for (const name of ['a', 'b']) await store.write(at(name), () => object(1, { name, uid: name }));
  const { revision } = store;
  await store.write(at('a'), () => undefined);
  await store.write(at('b'), () => object(2, { name: 'b', uid: 'b' }));
  await store.write(at('c'), () => object(1, { name: 'c', uid: 'c' }));
  const names = (items: readonly StoredObject[]) => items.map(({ metadata, value }) => `${metadata.name}${value}`);
  assert.deepEqual(names(store.listAt('configmaps', 'default', revision).items), ['a1', 'b1']);
  assert.deepEqual(names(store.list('configmaps', 'default').items), ['b2', 'c1']);
  for (const wrong of [-1, 99])
    assert.throws(
      () => store.listAt('configmaps', 'default', wrong),
      (error) => isStatusError(error, 'Expired'),
    );
});
