/** Watches through HTTP: from a version on, resumed, bookmarked, selected, and told when the past is forgotten. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { StoredObject } from '../src/kube/object.ts';
import type { ConfigMap } from '../src/kube/pod.ts';
import { isStatusError } from '../src/kube/status-error.ts';
import { WELL_KNOWN } from '../src/kube/well-known.ts';
import { startCluster, type TestCluster } from './cluster.ts';

let cluster: TestCluster;
before(async () => {
  cluster = await startCluster();
});
after(() => cluster.close());

const MAPS = WELL_KNOWN.ConfigMap;
const path = '/api/v1/namespaces/default/configmaps';

interface Seen {
  readonly type: string;
  readonly object: StoredObject;
}

/** Events of a watch by its query, until `count` have come. */
async function collect(query: string, count: number): Promise<readonly Seen[]> {
  const stop = AbortSignal.timeout(20_000);
  const seen: Seen[] = [];
  let rest = '';
  for await (const part of cluster.client.stream(`${path}?watch=1&${query}`, stop)) {
    const lines = (rest + part).split('\n');
    rest = lines.pop() ?? '';
    seen.push(...lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Seen));
    if (seen.length >= count) break;
  }
  return seen;
}

const told = (seen: readonly Seen[]) => seen.map(({ type, object }) => `${type} ${object.metadata.name}`);

function create(name: string, labels: Readonly<Record<string, string>> = {}): Promise<ConfigMap> {
  const metadata = { name, namespace: 'default', labels };
  return cluster.client.create<ConfigMap>(MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata });
}

const relabel = (name: string, labels: object) =>
  cluster.client.patch<ConfigMap>(MAPS, { name, namespace: 'default', type: 'merge', body: { metadata: { labels } } });
const remove = (name: string) => cluster.client.delete(MAPS, name, { namespace: 'default' });
const revision = async () => (await cluster.client.list(MAPS)).resourceVersion;

test('a watch tells all that happened since a version, in order, and can be resumed anywhere', async () => {
  const from = await revision();
  await create('a');
  await relabel('a', { x: '1' });
  await create('b');
  await remove('a');
  const want = ['ADDED a', 'MODIFIED a', 'ADDED b', 'DELETED a'];
  const seen = await collect(`resourceVersion=${from}`, 4);
  assert.deepEqual(told(seen), want);
  const versions = seen.map(({ object }) => Number(object.metadata.resourceVersion));
  assert.deepEqual(
    versions,
    versions.toSorted((a, b) => a - b),
  );
  for (const [index, version] of versions.slice(0, 3).entries())
    assert.deepEqual(told(await collect(`resourceVersion=${version}`, 3 - index)), want.slice(index + 1));
});

test('a watch goes on with what happens later', async () => {
  const following = collect(`resourceVersion=${await revision()}`, 2);
  await create('later');
  await remove('later');
  assert.deepEqual(told(await following), ['ADDED later', 'DELETED later']);
});

test('to a watch with a selector, an object enters by ADDED and leaves by DELETED', async () => {
  const from = await revision();
  await create('moving', { on: 'no' });
  await relabel('moving', { on: 'yes' });
  await relabel('moving', { more: 'x' });
  await relabel('moving', { on: 'no' });
  await relabel('moving', { on: 'yes' });
  await remove('moving');
  const seen = await collect(`resourceVersion=${from}&labelSelector=on%3Dyes`, 5);
  assert.deepEqual(
    seen.map(({ type }) => type),
    ['ADDED', 'MODIFIED', 'DELETED', 'ADDED', 'DELETED'],
  );
  assert.deepEqual(seen[2]?.object.metadata.labels, { on: 'yes', more: 'x' }, 'what it was when it was last in');
  await create('one');
  await create('two');
  const one = await collect(`resourceVersion=${from}&fieldSelector=metadata.name%3Dtwo`, 1);
  assert.deepEqual(told(one), ['ADDED two']);
});

test('the initial events end with a bookmark that says so', async () => {
  await create('initial', { set: 'initial' });
  const query = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
  const seen = await collect(`${query}&labelSelector=set%3Dinitial`, 2);
  assert.deepEqual(
    seen.map(({ type }) => type),
    ['ADDED', 'BOOKMARK'],
  );
  const { metadata } = seen[1]?.object ?? assert.fail('no bookmark came');
  assert.equal(metadata.annotations?.['k8s.io/initial-events-end'], 'true');
  assert.equal(metadata.resourceVersion, await revision());
});

const forgotten: Record<string, string> = {
  'a version older than the server’s memory': '1',
  'a version that this server has not reached': '99999999',
};
for (const [sentence, version] of Object.entries(forgotten)) {
  test(`a watch from ${sentence} is told that it has expired`, async () => {
    const old = await startCluster({
      journal: {
        load: () => Promise.resolve({ revision: 1000, objects: [] }),
        append: () => Promise.resolve(),
        close: () => Promise.resolve(),
      },
    });
    try {
      const events = old.client.watch(MAPS, { resourceVersion: version }, AbortSignal.timeout(20_000));
      await assert.rejects(
        async () => {
          for await (const event of events) assert.fail(`it told ${event.type}`);
        },
        (error) => isStatusError(error, 'Expired'),
      );
      const answer = await old.raw(`/api/v1/configmaps?watch=1&resourceVersion=${version}`);
      assert.deepEqual(
        [answer.code, JSON.parse(answer.text).type, JSON.parse(answer.text).object.code],
        [200, 'ERROR', 410],
      );
    } finally {
      await old.close();
    }
  });
}

test('numbers that are none are refused', async () => {
  for (const query of ['resourceVersion=abc', 'watch=1&resourceVersion=abc', 'limit=abc', 'limit=-1'])
    assert.equal((await cluster.raw(`${path}?${query}`)).code, 400, query);
});

test('a watch ends when its time is over', async () => {
  const answer = await cluster.raw(`${path}?watch=1&timeoutSeconds=1&resourceVersion=${await revision()}`);
  assert.deepEqual([answer.code, answer.text], [200, '']);
});

test('metadata and tables are watched in their own form', async () => {
  const from = await revision();
  await create('formed');
  const ask = async (as: string) => {
    const accept = `application/json;as=${as};v=v1;g=meta.k8s.io`;
    const query = `watch=1&timeoutSeconds=1&resourceVersion=${from}`;
    return JSON.parse((await cluster.raw(`${path}?${query}`, { headers: { accept } })).text) as Seen;
  };
  assert.equal((await ask('PartialObjectMetadata')).object.kind, 'PartialObjectMetadata');
  assert.equal((await ask('Table')).object.kind, 'Table');
});
