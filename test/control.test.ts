/** Children through the embedded API: made, kept as wanted, pruned, and never taken from somebody else. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { hostClock } from '../src/base/clock.ts';
import { holdLease } from '../src/client/lease.ts';
import type { ApiClient } from '../src/client/types.ts';
import { applyChildren } from '../src/control/children.ts';
import { controllerRefOf, type KubeObject } from '../src/kube/object.ts';
import type { ConfigMap } from '../src/kube/pod.ts';
import { isStatusError, type Reason } from '../src/kube/status-error.ts';
import { WELL_KNOWN } from '../src/kube/well-known.ts';
import { startCluster, type TestCluster } from './cluster.ts';
import { until } from './until.ts';

let cluster: TestCluster;
before(async () => {
  cluster = await startCluster();
});
after(() => cluster.close());

const MAPS = WELL_KNOWN.ConfigMap;
const applied = new Map<string, string>();

function map(name: string, data: Readonly<Record<string, string>> = {}): ConfigMap {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, data };
}

/** What the loop of a controller that owns config maps does once. */
async function settle(
  owner: KubeObject,
  wanted: readonly KubeObject[],
  client: ApiClient = cluster.client,
): Promise<void> {
  const { items } = await cluster.client.list<ConfigMap>(MAPS, { namespace: 'default' });
  const uid = controllerRefOf(owner).uid;
  const mine = items.filter(({ metadata }) => metadata.ownerReferences?.some((one) => one.uid === uid));
  const present = new Map<string, readonly KubeObject[]>([
    ['ConfigMap', mine.map((item) => ({ ...item, kind: 'ConfigMap' }))],
  ]);
  const refOf = (kind: string) => WELL_KNOWN[kind as keyof typeof WELL_KNOWN];
  await applyChildren({ client, owner, wanted, present, refOf, fieldManager: 'athanor', applied });
}

async function names(prefix: string): Promise<readonly string[]> {
  const { items } = await cluster.client.list<ConfigMap>(MAPS, { namespace: 'default' });
  return items.map(({ metadata }) => metadata.name).filter((name) => name.startsWith(prefix));
}

const is = (reason: Reason) => (error: unknown) => isStatusError(error, reason);
const get = (name: string) => cluster.client.get<ConfigMap>(MAPS, name, 'default');

test('applyChildren() makes what is missing, mends what differs, and prunes what is no longer wanted', async () => {
  const owner = await cluster.client.create(MAPS, map('owner-a'));
  await settle(owner, [map('a-one', { x: '1' }), map('a-two')]);
  assert.deepEqual(await names('a-'), ['a-one', 'a-two']);
  assert.deepEqual((await get('a-one')).metadata.ownerReferences, [controllerRefOf(owner)]);
  await cluster.client.patch(MAPS, {
    name: 'a-one',
    namespace: 'default',
    type: 'merge',
    body: { data: { x: 'bent' } },
  });
  await settle(owner, [map('a-one', { x: '1' })]);
  assert.deepEqual((await get('a-one')).data, { x: '1' });
  assert.deepEqual(await names('a-'), ['a-one']);
  const { resourceVersion } = (await get('a-one')).metadata;
  await settle(owner, [map('a-one', { x: '1' })]);
  assert.equal((await get('a-one')).metadata.resourceVersion, resourceVersion, 'nothing to do writes nothing');
});

test('applyChildren() refuses a foreign object of the same name, leaves it, and prunes nothing then', async () => {
  const owner = await cluster.client.create(MAPS, map('owner-b'));
  await settle(owner, [map('b-old')]);
  const foreign = await cluster.client.create(MAPS, map('b-foreign', { mine: 'yes' }));
  await assert.rejects(settle(owner, [map('b-foreign', { mine: 'no' })]), (error) => {
    assert.ok(isStatusError(error, 'AlreadyExists'));
    assert.match(error.message, /ConfigMap default\/b-foreign: one that is not owned by ConfigMap owner-b is there/);
    return true;
  });
  assert.deepEqual(await get('b-foreign'), foreign);
  assert.deepEqual(await names('b-'), ['b-foreign', 'b-old']);
});

test('applyChildren() prunes only kinds it owns', async () => {
  const owner = await cluster.client.create(MAPS, map('owner-c'));
  const metadata = { name: 'c', namespace: 'default', ownerReferences: [controllerRefOf(owner)] };
  await cluster.client.create(WELL_KNOWN.Secret, { apiVersion: 'v1', kind: 'Secret', metadata });
  await settle(owner, []);
  assert.equal((await cluster.client.get(WELL_KNOWN.Secret, 'c', 'default')).metadata.name, 'c');
});

test('applyChildren() takes a field away again that is no longer wanted', async () => {
  const owner = await cluster.client.create(MAPS, map('owner-d'));
  await settle(owner, [map('d', { x: '1', y: '2' })]);
  await settle(owner, [map('d', { y: '2', z: '3' })]);
  assert.deepEqual((await get('d')).data, { y: '2', z: '3' });
  await settle(owner, [map('d', { z: '4' })]);
  assert.deepEqual((await get('d')).data, { z: '4' });
});

/** A client that does something once, just before a request of that kind. */
function beforeFirst(verb: 'create' | 'patch' | 'delete', act: () => Promise<unknown>): ApiClient {
  let isDone = false;
  const first = async () => {
    if (isDone) return;
    isDone = true;
    await act();
  };
  const { client } = cluster;
  const races = {
    create: { create: (...args: Parameters<ApiClient['create']>) => first().then(() => client.create(...args)) },
    patch: { patch: (...args: Parameters<ApiClient['patch']>) => first().then(() => client.patch(...args)) },
    delete: { delete: (...args: Parameters<ApiClient['delete']>) => first().then(() => client.delete(...args)) },
  };
  return { ...client, ...races[verb] } as ApiClient; // why: the same functions, less their type parameters
}

const remake = async (name: string, data: Readonly<Record<string, string>>) => {
  await cluster.client.delete(MAPS, name, { namespace: 'default' });
  await cluster.client.create(MAPS, map(name, data));
};

async function adoptBy(owner: KubeObject, name: string): Promise<void> {
  const body = { metadata: { ownerReferences: [controllerRefOf(owner)] } };
  await cluster.client.patch(MAPS, { name, namespace: 'default', type: 'merge', body });
}

test('applyChildren() never takes what somebody else made or got between its look and its write', async () => {
  const owner = await cluster.client.create(MAPS, map('owner-e'));
  const other = await cluster.client.create(MAPS, map('owner-f'));
  const early = beforeFirst('create', () => cluster.client.create(MAPS, map('e-new', { mine: 'yes' })));
  await assert.rejects(settle(owner, [map('e-new', { mine: 'no' })], early), is('AlreadyExists'));
  assert.deepEqual((await get('e-new')).data, { mine: 'yes' });

  await settle(owner, [map('e-remade'), map('e-moved'), map('e-pruned')]);
  const wanted = [map('e-remade', { mine: 'no' }), map('e-moved'), map('e-pruned')];
  await assert.rejects(
    settle(
      owner,
      wanted,
      beforeFirst('patch', () => remake('e-remade', { mine: 'yes' })),
    ),
    is('Conflict'),
  );
  assert.deepEqual((await get('e-remade')).data, { mine: 'yes' });
  await cluster.client.delete(MAPS, 'e-remade', { namespace: 'default' });

  const moving = beforeFirst('patch', () => adoptBy(other, 'e-moved'));
  const moved = [map('e-moved', { mine: 'no' }), map('e-pruned')];
  await assert.rejects(settle(owner, moved, moving), is('Conflict'));
  assert.deepEqual((await get('e-moved')).metadata.ownerReferences, [controllerRefOf(other)]);

  await settle(
    owner,
    [],
    beforeFirst('delete', () => adoptBy(other, 'e-pruned')),
  );
  assert.deepEqual((await get('e-pruned')).metadata.ownerReferences, [controllerRefOf(other)]);
});

test('an object has one controller at most, so that an apply cannot add another', async () => {
  const owners = await Promise.all(['owner-g', 'owner-h'].map((name) => cluster.client.create(MAPS, map(name))));
  const refs = owners.map(controllerRefOf);
  const twice = { ...map('g'), metadata: { ...map('g').metadata, ownerReferences: refs } };
  await assert.rejects(cluster.client.create(MAPS, twice), is('Invalid'));
});

test('holdLease() never lets two lead at once, and passes the lead on', async () => {
  let leading = 0;
  const led: string[] = [];
  const hold = (identity: string, client: ApiClient, stop: AbortSignal) =>
    holdLease(
      { client, clock: hostClock(globalThis), name: 'l', namespace: 'default', identity, durationMs: 500 },
      async (signal) => {
        assert.equal(++leading, 1);
        led.push(identity);
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        leading--;
      },
      stop,
    );
  const stops = [new AbortController(), new AbortController()];
  const holders = stops.map(({ signal }, index) =>
    hold(`h${index}`, cluster.connect(cluster.credentials.ownerToken), signal),
  );
  await until('one leads', () => led.length === 1);
  const first = led[0] === 'h0' ? 0 : 1;
  stops[first]?.abort();
  await holders[first];
  await until('the other leads', () => led.length === 2);
  assert.notEqual(led[0], led[1]);
  for (const stop of stops) stop.abort();
  await Promise.all(holders);
});

test('holdLease() stops leading when its renewals hang, before another may start', async () => {
  const hanging: ApiClient = { ...cluster.client, update: () => new Promise(() => undefined) };
  const lost = Promise.withResolvers<void>();
  const stop = new AbortController();
  void holdLease(
    { client: hanging, clock: hostClock(globalThis), name: 'm', namespace: 'default', identity: 'h', durationMs: 300 },
    async (signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      lost.resolve();
    },
    stop.signal,
  );
  await lost.promise;
  stop.abort();
});
