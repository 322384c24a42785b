/** The controllers' loop on a real API server, with a kind made up for it: jars, each of which wants config maps. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { VirtualClock } from '../src/base/clock.ts';
import type { ApiClient } from '../src/client/types.ts';
import { type Controllers, startControllers } from '../src/control/controllers.ts';
import { toCrd } from '../src/kube/crd.ts';
import { defineKind, type Outcome, type World } from '../src/kube/kind.ts';
import { controllerRefOf, type KubeObject, type ObjectOf } from '../src/kube/object.ts';
import { isStatusError } from '../src/kube/status-error.ts';
import { WELL_KNOWN } from '../src/kube/well-known.ts';
import { startCluster, type TestCluster } from './cluster.ts';
import { until } from './until.ts';

const Spec = z.object({
  maps: z.array(z.string()),
  surprise: z.boolean().exactOptional(),
  againInMs: z.number().exactOptional(),
});
const Status = z.object({ owned: z.array(z.string()).exactOptional() });
type Spec = z.infer<typeof Spec>;
type Status = z.infer<typeof Status>;
type Jar = ObjectOf<Spec, Status>;

const jar = defineKind({
  kind: 'Jar',
  scope: 'Namespaced',
  description: 'Wants config maps.',
  spec: Spec,
  status: Status,
  columns: {},
  owns: ['ConfigMap'],
});
const MAPS = WELL_KNOWN.ConfigMap;
const NAMESPACE = 'default';
const SETTINGS = { trackingUrl: 'http://127.0.0.1', blobsUrl: 'file:///', nodeCachePath: '/' };

let cluster: TestCluster;
before(async () => {
  cluster = await startCluster();
  await cluster.client.create(WELL_KNOWN.CustomResourceDefinition, toCrd(jar));
  await until('jars to be served', () => cluster.client.list(jar).catch(() => undefined));
});
after(() => cluster.close());

interface Loop {
  readonly clock: VirtualClock;
  readonly reported: string[];
  /** How often the jar has been asked about. */
  asked(name: string): number;
}

/** Runs a loop of its own over all jars while the story is told. */
async function withLoop(story: (loop: Loop) => Promise<void>, client: ApiClient = cluster.client): Promise<void> {
  const loop = startLoop(client);
  try {
    await loop.controllers.synced;
    await story(loop);
  } finally {
    await loop.controllers.close();
    for (const { metadata } of (await cluster.client.list<Jar>(jar)).items)
      await cluster.client.delete(jar, metadata.name, { namespace: NAMESPACE });
  }
}

function startLoop(client: ApiClient): Loop & { readonly controllers: Controllers } {
  const clock = new VirtualClock(1_000_000);
  const reported: string[] = [];
  const names: string[] = [];
  const reconcile = ({ metadata, spec }: Jar, world: World): Outcome<Status> => {
    names.push(metadata.name);
    if (spec.surprise === true) throw new Error('surprise');
    const owner = { apiVersion: 'athanor.dev/v1alpha1', kind: 'Jar', metadata };
    const owned = world.owned(owner, 'ConfigMap').map((map) => map.metadata.name);
    const { againInMs } = spec;
    return { children: spec.maps.map(mapOf), status: { owned }, ...(againInMs !== undefined && { againInMs }) };
  };
  const report = (what: string, error: unknown) => reported.push(`${what}: ${String(error)}`);
  const controllers = startControllers({
    client,
    clock,
    report,
    controllers: [{ kind: jar, reconcile }],
    settings: SETTINGS,
  });
  return { controllers, clock, reported, asked: (name) => names.filter((one) => one === name).length };
}

function mapOf(name: string): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: NAMESPACE } };
}

function addJar(name: string, spec: Spec, more: { readonly finalizers?: readonly string[] } = {}): Promise<Jar> {
  const metadata = { name, namespace: NAMESPACE, ...more };
  return cluster.client.create<Jar>(jar, { apiVersion: 'athanor.dev/v1alpha1', kind: 'Jar', metadata, spec });
}

function change(name: string, spec: Partial<Record<keyof Spec, unknown>>): Promise<Jar> {
  return cluster.client.patch<Jar>(jar, { name, namespace: NAMESPACE, type: 'merge', body: { spec } });
}

const find = (name: string) =>
  cluster.client.get(MAPS, name, NAMESPACE).catch((error: unknown) => {
    if (!isStatusError(error, 'NotFound')) throw error;
  });

/** Resolves when the jar's status names exactly these maps. */
function untilOwned(name: string, maps: readonly string[]): Promise<unknown> {
  return until(`${name} to own ${maps.join()}`, async () => {
    const { status } = await cluster.client.get<Jar>(jar, name, NAMESPACE);
    return status?.owned?.join() === maps.join();
  });
}

const removeMap = (name: string) => cluster.client.delete(MAPS, name, { namespace: NAMESPACE });

test('a child deleted behind its back is made again', () =>
  withLoop(async () => {
    await addJar('again', { maps: ['again-a', 'again-b'] });
    await untilOwned('again', ['again-a', 'again-b']);
    const before = await find('again-a');
    await removeMap('again-a');
    await until('another child', async () => {
      const now = await find('again-a');
      return now !== undefined && now.metadata.uid !== before?.metadata.uid;
    });
  }));

test('what is no longer wanted goes, but only of kinds it owns, and never after an error in the same pass', () =>
  withLoop(async ({ clock, reported }) => {
    const owner = await addJar('picky', { maps: ['picky-a', 'picky-b'] });
    await untilOwned('picky', ['picky-a', 'picky-b']);
    const metadata = { name: 'picky', namespace: NAMESPACE, ownerReferences: [controllerRefOf(owner)] };
    await cluster.client.create(WELL_KNOWN.Secret, { apiVersion: 'v1', kind: 'Secret', metadata });
    await cluster.client.create(MAPS, mapOf('picky-foreign'));
    await change('picky', { maps: ['picky-a', 'picky-foreign'] });
    await until('the refusal', () => reported.some((line) => /picky-foreign: one that is not owned/.test(line)));
    assert.ok((await find('picky-b')) !== undefined);
    await removeMap('picky-foreign');
    await until('the rest', async () => {
      clock.advance(1_000);
      return (await find('picky-b')) === undefined;
    });
    await untilOwned('picky', ['picky-a', 'picky-foreign']);
    assert.equal((await cluster.client.get(WELL_KNOWN.Secret, 'picky', NAMESPACE)).metadata.name, 'picky');
  }));

test('a surprise is tried again later each time', () =>
  withLoop(async ({ clock, reported, asked }) => {
    await addJar('odd', { maps: ['odd-a'], surprise: true });
    await until('the first surprise', () => reported.length === 1);
    for (const [index, delayMs] of [50, 100, 200, 400].entries()) {
      clock.advance(delayMs - 1);
      assert.equal(asked('odd'), index + 1);
      clock.advance(1);
      await until('the next surprise', () => reported.length === index + 2);
    }
    await change('odd', { surprise: false });
    await untilOwned('odd', ['odd-a']);
    assert.equal(reported.length, 5);
  }));

test('what is invalid is told once and not tried again before something changes', () =>
  withLoop(async ({ clock, reported, asked }) => {
    await addJar('invalid', { maps: ['Not_A_Name'] });
    await until('the refusal', () => reported.length === 1);
    assert.match(reported.join(), /^reconcile Jar default\/invalid: .*is invalid/);
    clock.advance(3_600_000);
    await addJar('other', { maps: ['other-a'] });
    await untilOwned('other', ['other-a']);
    assert.deepEqual([asked('invalid'), reported.length], [1, 1]);
    await change('invalid', { maps: ['a-name'] });
    await untilOwned('invalid', ['a-name']);
  }));

test('againInMs asks again although nothing changes', () =>
  withLoop(async ({ clock, asked }) => {
    await addJar('timed', { maps: [], againInMs: 5_000 });
    await untilOwned('timed', []);
    await until('the informer to bring the status back', () => asked('timed') >= 2);
    for (let round = 0; round < 3; round++) {
      const before = asked('timed');
      await until('the next time', () => {
        clock.advance(5_000);
        return asked('timed') > before;
      });
    }
  }));

test('a conflict on the status is no error: the newer object asks again', () => {
  let isFirst = true;
  const racing: ApiClient = {
    ...cluster.client,
    updateStatus: async (ref, object) => {
      if (isFirst) await change('raced', { maps: ['raced-a', 'raced-b'] });
      isFirst = false;
      return cluster.client.updateStatus(ref, object);
    },
  };
  return withLoop(async ({ reported }) => {
    await addJar('raced', { maps: ['raced-a'] });
    await untilOwned('raced', ['raced-a', 'raced-b']);
    assert.deepEqual([isFirst, reported], [false, []]);
  }, racing);
});

test('an object on its way out is left alone, and its children go with it', () =>
  withLoop(async ({ asked }) => {
    await addJar('leaving', { maps: ['leaving-a', 'leaving-b'] }, { finalizers: ['test.dev/hold'] });
    await untilOwned('leaving', ['leaving-a', 'leaving-b']);
    await cluster.client.delete(jar, 'leaving', { namespace: NAMESPACE });
    await removeMap('leaving-a');
    await addJar('staying', { maps: ['staying-a'] });
    await untilOwned('staying', ['staying-a']);
    const times = asked('leaving');
    assert.ok((await find('leaving-a')) === undefined && (await find('leaving-b')) !== undefined);
    const body = { metadata: { finalizers: null } };
    await cluster.client.patch(jar, { name: 'leaving', namespace: NAMESPACE, type: 'merge', body });
    await until('the last child to go', async () => (await find('leaving-b')) === undefined);
    assert.equal(asked('leaving'), times);
  }));

test('a loop that dies in the middle of its children is taken up where it was', async () => {
  let isDead = false;
  const mortal: ApiClient = {
    ...cluster.client,
    create: async (ref, object, options) => {
      isDead ||= object.metadata.name === 'cut-c';
      if (isDead) throw new Error('killed');
      return cluster.client.create(ref, object, options);
    },
    updateStatus: (ref, object) =>
      isDead ? Promise.reject(new Error('killed')) : cluster.client.updateStatus(ref, object),
  };
  const maps = ['cut-a', 'cut-b', 'cut-c', 'cut-d'];
  const first = startLoop(mortal);
  await addJar('cut', { maps });
  await until('the death', () => first.reported.length > 0);
  await first.controllers.close();
  const before = await Promise.all(maps.map(find));
  assert.deepEqual(
    before.map((map) => map !== undefined),
    [true, true, false, false],
  );
  await withLoop(async ({ reported }) => {
    await untilOwned('cut', maps);
    assert.deepEqual(reported, []);
    const after = await Promise.all(maps.map(find));
    const uids = (found: typeof before) => found.slice(0, 2).map((map) => map?.metadata.uid);
    assert.deepEqual(uids(after), uids(before), 'what was there stays');
  });
});

test('nothing above was the server’s own trouble', () => assert.deepEqual(cluster.reported, []));
