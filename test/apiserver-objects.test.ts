/** Objects through HTTP: made, read, changed and removed as any client of Kubernetes does it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { KubeObject } from '../src/kube/object.ts';
import type { ConfigMap, Pod } from '../src/kube/pod.ts';
import { isStatusError, type Reason } from '../src/kube/status-error.ts';
import { WELL_KNOWN } from '../src/kube/well-known.ts';
import { startCluster, type TestCluster } from './cluster.ts';

let cluster: TestCluster;
before(async () => {
  cluster = await startCluster();
});
after(() => cluster.close());

const { ConfigMap: MAPS, Pod: PODS, Namespace: NAMESPACES } = WELL_KNOWN;
const maps = '/api/v1/namespaces/default/configmaps';

function map(name: string, data: Readonly<Record<string, string>> = {}, metadata: object = {}): ConfigMap {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default', ...metadata }, data };
}

const get = (name: string) => cluster.client.get<ConfigMap>(MAPS, name, 'default');
const patch = (name: string, type: 'merge' | 'json', body: unknown) =>
  cluster.client.patch<ConfigMap>(MAPS, { name, namespace: 'default', type, body });

function refuses(reason: Reason, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isStatusError(error, reason), `want ${reason}, got ${String(error)}`);
    assert.match(error.message, message);
    return true;
  };
}

test('a created object has its identity, and reads back the same', async () => {
  const created = await cluster.client.create(MAPS, map('made', { a: '1' }));
  assert.match(created.metadata.uid ?? '', /^[0-9a-f-]{36}$/);
  assert.match(created.metadata.creationTimestamp ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.ok(Number(created.metadata.resourceVersion) > 0);
  assert.deepEqual(await get('made'), created);
  await assert.rejects(
    cluster.client.create(MAPS, map('made')),
    refuses('AlreadyExists', /configmaps "made" already exists/),
  );
});

test('what is not there is said to be not there', async () => {
  await assert.rejects(get('missing'), refuses('NotFound', /configmaps "missing" not found/));
  await assert.rejects(cluster.client.update(MAPS, map('missing')), refuses('NotFound', /"missing" not found/));
  await assert.rejects(
    cluster.client.delete(MAPS, 'missing', { namespace: 'default' }),
    refuses('NotFound', /missing/),
  );
  const nowhere = { ...map('a'), metadata: { name: 'a', namespace: 'nowhere' } };
  await assert.rejects(cluster.client.create(MAPS, nowhere), refuses('NotFound', /namespaces "nowhere" not found/));
});

test('generateName makes names that differ', async () => {
  const make = () =>
    cluster.client.request<ConfigMap>('POST', maps, {
      metadata: { generateName: 'many-' },
    });
  const names = await Promise.all(Array.from({ length: 5 }, async () => (await make()).metadata.name));
  for (const name of names) assert.match(name, /^many-[a-z0-9]{5}$/);
  assert.equal(new Set(names).size, 5);
});

test('an update of a stale object is refused, one without a version wins', async () => {
  const first = await cluster.client.create(MAPS, map('locked', { a: '1' }));
  const second = await cluster.client.update(MAPS, { ...first, data: { a: '2' } });
  assert.notEqual(second.metadata.resourceVersion, first.metadata.resourceVersion);
  await assert.rejects(
    cluster.client.update(MAPS, { ...first, data: { a: '3' } }),
    refuses('Conflict', /the object has been modified; please apply your changes to the latest version and try again/),
  );
  assert.deepEqual((await get('locked')).data, { a: '2' });
  assert.deepEqual((await cluster.client.update(MAPS, map('locked', { a: '4' }))).data, { a: '4' });
});

test('an update that changes nothing makes no new version', async () => {
  const first = await cluster.client.create(MAPS, map('same', { a: '1' }));
  assert.deepEqual(await cluster.client.update(MAPS, first), first);
  assert.deepEqual(await patch('same', 'merge', { data: { a: '1' } }), first);
});

test('an update may not speak of another object than the path', async () => {
  const { uid } = (await cluster.client.create(MAPS, map('named'))).metadata;
  const put = (body: object) => cluster.raw(`${maps}/named`, { method: 'PUT', body: JSON.stringify(body) });
  assert.equal((await put(map('other'))).code, 400);
  assert.equal((await put({ ...map('named'), kind: 'Secret' })).code, 400);
  assert.equal((await put(map('named', {}, { namespace: 'kube-system' }))).code, 400);
  const reborn = await put(map('named', {}, { uid: 'another' }));
  assert.equal(reborn.code, 409);
  assert.match(reborn.status.message ?? '', new RegExp(`UID in precondition: another, UID in object meta: ${uid}`));
});

test('the server keeps what is the server’s', async () => {
  const made = await cluster.client.create(MAPS, map('kept'));
  const changed = await patch('kept', 'merge', {
    metadata: { uid: 'x', creationTimestamp: '2000-01-01T00:00:00Z', deletionTimestamp: '2000-01-01T00:00:00Z' },
    data: { a: '1' },
  }).catch((error: unknown) => error);
  assert.ok(isStatusError(changed, 'Conflict'), 'a patch may not change the uid');
  const again = await patch('kept', 'merge', { metadata: { creationTimestamp: null, deletionTimestamp: 'x' } });
  assert.equal(again.metadata.creationTimestamp, made.metadata.creationTimestamp);
  assert.equal(again.metadata.deletionTimestamp, undefined);
});

test('patches: merge removes by null, JSON patch is all or nothing', async () => {
  await cluster.client.create(MAPS, map('patched', { a: '1', b: '2' }));
  assert.deepEqual((await patch('patched', 'merge', { data: { a: null, c: '3' } })).data, { b: '2', c: '3' });
  const operations = [
    { op: 'test', path: '/data/b', value: '2' },
    { op: 'move', from: '/data/b', path: '/data/d' },
    { op: 'add', path: '/metadata/labels', value: { x: 'y' } },
  ];
  const moved = await patch('patched', 'json', operations);
  assert.deepEqual([moved.data, moved.metadata.labels], [{ c: '3', d: '2' }, { x: 'y' }]);
  const half = [
    { op: 'add', path: '/data/e', value: '5' },
    { op: 'test', path: '/data/c', value: 'other' },
  ];
  await assert.rejects(patch('patched', 'json', half), refuses('Invalid', /testing path \/data\/c failed/));
  await assert.rejects(patch('patched', 'json', { op: 'add' }), refuses('BadRequest', /not an array/));
  assert.deepEqual((await get('patched')).data, { c: '3', d: '2' });
  const strategic = { method: 'PATCH', headers: { 'content-type': 'application/strategic-merge-patch+json' } };
  assert.equal((await cluster.raw(`${maps}/patched`, { ...strategic, body: '{}' })).code, 415);
});

test('a JSON patch reaches nothing but the object', async () => {
  await cluster.client.create(MAPS, map('guarded'));
  const body = [{ op: 'add', path: '/__proto__/polluted', value: 'yes' }];
  await assert.rejects(patch('guarded', 'json', body), refuses('Invalid', /nothing at \/__proto__/));
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
});

test('dry run says what would be and does nothing', async () => {
  const body = JSON.stringify(map('dry'));
  assert.equal((await cluster.raw(`${maps}?dryRun=All`, { method: 'POST', body })).code, 201);
  await assert.rejects(get('dry'), refuses('NotFound', /dry/));
});

test('deletion honours preconditions, and deletecollection takes what is selected', async () => {
  const { metadata } = await cluster.client.create(MAPS, map('guard'));
  const preconditions = { uid: 'other' };
  await assert.rejects(
    cluster.client.delete(MAPS, 'guard', { namespace: 'default', preconditions }),
    refuses('Conflict', /Precondition failed: UID in precondition: other/),
  );
  await cluster.client.delete(MAPS, 'guard', { namespace: 'default', preconditions: { uid: metadata.uid ?? '' } });
  for (const name of ['x1', 'x2', 'y1'])
    await cluster.client.create(MAPS, map(name, {}, { labels: { set: name.charAt(0) } }));
  await cluster.client.request('DELETE', `${maps}?labelSelector=set%3Dx`);
  const left = await cluster.client.list<ConfigMap>(MAPS, { namespace: 'default', labelSelector: 'set' });
  assert.deepEqual(
    left.items.map((item) => item.metadata.name),
    ['y1'],
  );
});

interface Page {
  readonly items: readonly KubeObject[];
  readonly metadata: {
    readonly resourceVersion: string;
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
}

test('pages of a list show one moment, whatever is written between them', async () => {
  await cluster.client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'paged' } });
  const create = (name: string) => cluster.client.create(MAPS, map(name, {}, { namespace: 'paged' }));
  const names = Array.from({ length: 10 }, (_, index) => `m${index}`);
  for (const name of names) await create(name);
  const path = '/api/v1/namespaces/paged/configmaps?limit=3&fieldSelector=metadata.name!%3Dkube-root-ca.crt';
  const seen: string[] = [];
  let page = await cluster.client.request<Page>('GET', path);
  assert.equal(page.metadata.remainingItemCount, 7);
  for (let round = 0; ; round++) {
    seen.push(...page.items.map(({ metadata }) => metadata.name));
    if (page.metadata.continue === undefined) break;
    await create(`m5-new${round}`);
    await cluster.client.delete(MAPS, names[9 - round] ?? '', { namespace: 'paged' });
    page = await cluster.client.request<Page>('GET', `${path}&continue=${page.metadata.continue}`);
  }
  assert.deepEqual(seen, names);
  const forged = await cluster.raw('/api/v1/configmaps?limit=1&continue=forged');
  assert.deepEqual([forged.code, forged.status.reason], [400, 'BadRequest']);
  const old = Buffer.from(JSON.stringify({ revision: -1, after: '' })).toString('base64url');
  const expired = await cluster.raw(`/api/v1/configmaps?limit=1&continue=${old}`);
  assert.deepEqual([expired.code, expired.status.reason], [410, 'Expired']);
});

test('selectors choose by labels and by fields', async () => {
  for (const [name, tier] of Object.entries({ s1: 'gold', s2: 'silver', s3: 'gold' }))
    await cluster.client.create(MAPS, map(name, {}, { labels: { tier } }));
  const names = async (query: { labelSelector?: string; fieldSelector?: string }) =>
    (await cluster.client.list<ConfigMap>(MAPS, { namespace: 'default', ...query })).items.map(
      ({ metadata }) => metadata.name,
    );
  assert.deepEqual(await names({ labelSelector: 'tier=gold' }), ['s1', 's3']);
  assert.deepEqual(await names({ labelSelector: 'tier in (silver, bronze)' }), ['s2']);
  assert.deepEqual(await names({ labelSelector: 'tier', fieldSelector: 'metadata.name!=s1' }), ['s2', 's3']);
  assert.equal((await cluster.raw(`${maps}?labelSelector=a%20in%20(`)).code, 400);
});

test('a pod’s status and spec are written apart, and its spec stays', async () => {
  const spec = { containers: [{ name: 'main', image: 'sh' }] };
  const metadata = { name: 'parts', namespace: 'default' };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec, status: { phase: 'Running' as const } };
  const made = await cluster.client.create<Pod>(PODS, pod);
  assert.deepEqual([made.status, made.spec.restartPolicy], [{ phase: 'Pending' }, 'Always']);
  const running = await cluster.client.updateStatus<Pod>(PODS, {
    ...made,
    metadata: { ...made.metadata, labels: { ignored: 'here' } },
    status: { phase: 'Running' },
  });
  assert.deepEqual([running.status, running.metadata.labels], [{ phase: 'Running' }, undefined]);
  const kept = await cluster.client.update<Pod>(PODS, { ...running, status: { phase: 'Failed' } });
  assert.equal(kept.status?.phase, 'Running');
  const other = { ...running, spec: { containers: [{ name: 'main', image: 'other' }] } };
  await assert.rejects(cluster.client.update<Pod>(PODS, other), refuses('Invalid', /pod updates may not change/));
});

const broken: Record<string, readonly [path: string, body: unknown, code: number, message: RegExp]> = {
  'a name that is none': [maps, { metadata: { name: 'No_Good' } }, 422, /metadata.name: Invalid value: "No_Good"/],
  'no name at all': [maps, { metadata: {} }, 422, /name or generateName is required/],
  'a generateName that is no text': [maps, { metadata: { generateName: 5 } }, 422, /generateName is required/],
  'labels that are no map': [maps, { metadata: { name: 'a', labels: 'x' } }, 422, /metadata.labels: Invalid value/],
  'a label that is no text': [maps, { metadata: { name: 'a', labels: { x: 1 } } }, 422, /metadata.labels/],
  'annotations that are no map': [maps, { metadata: { name: 'a', annotations: [1] } }, 422, /metadata.annotations/],
  'owners that are no list': [maps, { metadata: { name: 'a', ownerReferences: 5 } }, 422, /metadata.ownerReferences/],
  'an owner without uid': [
    maps,
    { metadata: { name: 'a', ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'p' }] } },
    422,
    /metadata.ownerReferences\[0\].uid: Required value/,
  ],
  'finalizers that are no list': [maps, { metadata: { name: 'a', finalizers: 'x' } }, 422, /metadata.finalizers/],
  'another kind': [maps, { kind: 'Pod', metadata: { name: 'a' } }, 400, /takes v1, Kind=ConfigMap/],
  'another namespace': [maps, { metadata: { name: 'a', namespace: 'b' } }, 400, /does not match the namespace/],
  'metadata that is none': [maps, { metadata: 'x' }, 400, /not an object with metadata/],
  'a pod without containers': [
    '/api/v1/namespaces/default/pods',
    { metadata: { name: 'a' }, spec: {} },
    422,
    /Pod "a" is invalid: spec.containers: Required value/,
  ],
  'a pod whose containers are no objects': [
    '/api/v1/namespaces/default/pods',
    { metadata: { name: 'a' }, spec: { containers: [null] } },
    422,
    /spec.containers\[0\]/,
  ],
  'a pod whose volumes are no list': [
    '/api/v1/namespaces/default/pods',
    { metadata: { name: 'a' }, spec: { containers: [{ name: 'a', image: 'b' }], volumes: 'x' } },
    422,
    /spec.volumes/,
  ],
};

for (const [sentence, [path, body, code, message]] of Object.entries(broken)) {
  test(`create refuses ${sentence}`, async () => {
    const answer = await cluster.raw(path, { method: 'POST', body: JSON.stringify(body) });
    assert.equal(answer.code, code, answer.text);
    assert.match(answer.status.message ?? '', message);
    assert.equal((await cluster.client.list(MAPS, { fieldSelector: 'metadata.name=a' })).items.length, 0);
  });
}

test('a body that cannot be read is refused with the reason', async () => {
  const post = (body: string, type = 'application/json') =>
    cluster.raw(maps, { method: 'POST', body, headers: { 'content-type': type } });
  const bad = await post('{"metadata":');
  assert.deepEqual([bad.code, bad.status.reason], [400, 'BadRequest']);
  assert.match(bad.status.message ?? '', /unrecognized: .*JSON/);
  assert.equal((await post('k8s', 'application/vnd.kubernetes.protobuf')).code, 415);
  const large = await post(JSON.stringify(map('large', { a: 'x'.repeat(3 * 1024 * 1024) })));
  assert.deepEqual([large.code, large.status.reason], [413, 'RequestEntityTooLarge']);
  assert.equal((await post('apiVersion: v1\nmetadata: {name: from-yaml}\n', 'application/yaml')).code, 201);
});

test('paths that lead nowhere say so', async () => {
  for (const path of ['/api/v1/unicorns', '/apis/none.dev/v1/things', '/nothing', `${maps}/a/unknown`])
    assert.equal((await cluster.raw(path)).code, 404, path);
  assert.equal((await cluster.raw('/api/v1/namespaces/%zz/pods')).code, 400);
  assert.equal((await cluster.raw(maps, { method: 'PUT', body: '{}' })).code, 405);
  assert.equal((await cluster.raw('/api/v1/pods', { method: 'POST', body: '{}' })).code, 400);
  const accept = { accept: 'application/vnd.kubernetes.protobuf' };
  assert.equal((await cluster.raw(maps, { headers: accept })).code, 406);
  for (const path of ['/healthz', '/livez', '/readyz']) assert.equal((await cluster.raw(path)).text, 'ok');
});

test('nothing above was the server’s own trouble', () => assert.deepEqual(cluster.reported, []));
