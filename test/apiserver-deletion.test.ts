/** How objects end: finalizers, grace, what becomes of dependents, and namespaces with all they hold. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { DeleteOptions } from '../src/client/types.ts';
import { controllerRefOf, type KubeObject } from '../src/kube/object.ts';
import type { ConfigMap, Pod } from '../src/kube/pod.ts';
import { isStatusError } from '../src/kube/status-error.ts';
import { WELL_KNOWN } from '../src/kube/well-known.ts';
import { startCluster, type TestCluster } from './cluster.ts';
import { until } from './until.ts';

let cluster: TestCluster;
before(async () => {
  cluster = await startCluster();
});
after(() => cluster.close());

const { ConfigMap: MAPS, Namespace: NAMESPACES, Pod: PODS, Secret: SECRETS } = WELL_KNOWN;

function create(name: string, metadata: Partial<KubeObject['metadata']> = {}): Promise<ConfigMap> {
  return cluster.client.create<ConfigMap>(MAPS, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'default', ...metadata },
  });
}

const createOwned = (name: string, owner: KubeObject) => create(name, { ownerReferences: [controllerRefOf(owner)] });
const remove = (name: string, options: DeleteOptions = {}) =>
  cluster.client.delete(MAPS, name, { namespace: 'default', ...options });

async function find(name: string): Promise<ConfigMap | undefined> {
  try {
    return await cluster.client.get<ConfigMap>(MAPS, name, 'default');
  } catch (error) {
    if (isStatusError(error, 'NotFound')) return undefined;
    throw error;
  }
}

const gone = (name: string) => until(`${name} is gone`, async () => (await find(name)) === undefined);
const release = (name: string) =>
  cluster.client.patch(MAPS, { name, namespace: 'default', type: 'merge', body: { metadata: { finalizers: null } } });

test('an object with a finalizer waits for it', async () => {
  await create('held', { finalizers: ['example.com/hold'] });
  await remove('held');
  const { deletionTimestamp } = (await find('held'))?.metadata ?? {};
  assert.match(deletionTimestamp ?? '', /Z$/);
  await remove('held');
  assert.equal((await find('held'))?.metadata.deletionTimestamp, deletionTimestamp, 'asking again changes nothing');
  await release('held');
  assert.equal(await find('held'), undefined);
});

test('a pod with a node gets its grace, one without goes at once', async () => {
  const pod = (name: string, nodeName?: string): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { containers: [{ name: 'main', image: 'sh' }], ...(nodeName !== undefined && { nodeName }) },
  });
  const exists = async (name: string) =>
    (await cluster.client.list(PODS)).items.some((one) => one.metadata.name === name);
  await cluster.client.create(PODS, pod('free'));
  await cluster.client.delete(PODS, 'free', { namespace: 'default' });
  assert.equal(await exists('free'), false);
  await cluster.client.create(PODS, pod('bound', 'node'));
  await cluster.client.delete(PODS, 'bound', { namespace: 'default', gracePeriodSeconds: 7 });
  const { metadata } = await cluster.client.get<Pod>(PODS, 'bound', 'default');
  assert.equal(metadata.deletionGracePeriodSeconds, 7);
  await cluster.client.delete(PODS, 'bound', { namespace: 'default', gracePeriodSeconds: 0 });
  assert.equal(await exists('bound'), false);
});

test('background deletion takes the owner now and its dependents soon, down to the last generation', async () => {
  const owner = await create('bg-owner');
  const child = await createOwned('bg-child', owner);
  await createOwned('bg-grandchild', child);
  await remove('bg-owner');
  assert.equal(await find('bg-owner'), undefined);
  await gone('bg-child');
  await gone('bg-grandchild');
});

test('foreground deletion takes the dependents first', async () => {
  const owner = await create('fg-owner');
  await create('fg-child', { ownerReferences: [controllerRefOf(owner)], finalizers: ['example.com/hold'] });
  await remove('fg-owner', { propagationPolicy: 'Foreground' });
  await until(
    'the child is on its way',
    async () => (await find('fg-child'))?.metadata.deletionTimestamp !== undefined,
  );
  assert.deepEqual((await find('fg-owner'))?.metadata.finalizers, ['foregroundDeletion']);
  await release('fg-child');
  await gone('fg-child');
  await gone('fg-owner');
});

test('orphaning deletion leaves the dependents alone', async () => {
  const owner = await create('or-owner');
  await createOwned('or-child', owner);
  await remove('or-owner', { propagationPolicy: 'Orphan' });
  assert.equal(await find('or-owner'), undefined);
  assert.equal((await find('or-child'))?.metadata.ownerReferences, undefined);
});

test('a dependent with two owners goes with the last one', async () => {
  const owners = [await create('two-a'), await create('two-b')];
  await create('two-child', {
    ownerReferences: owners.map((owner) => ({ ...controllerRefOf(owner), controller: false })),
  });
  await remove('two-a');
  await until('one owner is forgotten', async () => (await find('two-child'))?.metadata.ownerReferences?.length === 1);
  await remove('two-b');
  await gone('two-child');
});

test('an object born of an owner that is gone does not stay', async () => {
  const owner = await create('late-owner');
  await remove('late-owner');
  await createOwned('late-child', owner);
  await gone('late-child');
});

test('a namespace goes with all it holds, and takes nothing new meanwhile', async () => {
  const metadata = { name: 'doomed' };
  await cluster.client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata });
  await create('held', { namespace: 'doomed', finalizers: ['example.com/hold'] });
  await cluster.client.create(SECRETS, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's', namespace: 'doomed' },
  });
  await cluster.client.delete(NAMESPACES, 'doomed');
  await assert.rejects(
    create('new', { namespace: 'doomed' }),
    (error) => isStatusError(error, 'Forbidden') && /because it is being terminated/.test(error.message),
  );
  await until('the secret is gone', async () => (await listIn(SECRETS, 'doomed')).length === 0);
  const held = await cluster.client.get<KubeObject & { status: { phase: string } }>(NAMESPACES, 'doomed');
  assert.equal(held.status.phase, 'Terminating');
  const body = { metadata: { finalizers: null } };
  await cluster.client.patch(MAPS, { name: 'held', namespace: 'doomed', type: 'merge', body });
  await until('the namespace is gone', async () => !(await names(NAMESPACES)).includes('doomed'));
});

test('nothing outlives a namespace, however late it was written', async () => {
  for (let round = 0; round < 5; round++) {
    const name = `brief-${round}`;
    await cluster.client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    const writes = Array.from({ length: 20 }, (_, index) =>
      create(`m${index}`, { namespace: name }).catch((error: unknown) => error),
    );
    await cluster.client.delete(NAMESPACES, name);
    await Promise.all(writes);
  }
  await until(
    'the namespaces are gone',
    async () => !(await names(NAMESPACES)).some((name) => name.startsWith('brief')),
  );
  await until('their content is gone', async () => {
    const left = await Promise.all([MAPS, WELL_KNOWN.ServiceAccount].map((ref) => cluster.client.list(ref)));
    return left.flatMap(({ items }) => items).every(({ metadata }) => !metadata.namespace?.startsWith('brief'));
  });
});

async function listIn(ref: typeof SECRETS, namespace: string): Promise<readonly KubeObject[]> {
  return (await cluster.client.list(ref, { namespace })).items;
}

async function names(ref: typeof NAMESPACES): Promise<readonly string[]> {
  return (await cluster.client.list(ref)).items.map(({ metadata }) => metadata.name);
}

test('nothing above was the server’s own trouble', () => assert.deepEqual(cluster.reported, []));
