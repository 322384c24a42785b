/** The scheduler's loop on a real API server: gangs whole or not at all, reasons told, and nothing booked twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Clock, hostClock, VirtualClock } from '../src/base/clock.ts';
import { installKinds } from '../src/cli/install.ts';
import type { ApiClient } from '../src/client/types.ts';
import { podGroup } from '../src/kinds/pod-group/kind.ts';
import { findCondition } from '../src/kube/condition.ts';
import type { KubeObject, ObjectOf } from '../src/kube/object.ts';
import { type Event, type Node, POD_GROUP_LABEL, type Pod } from '../src/kube/pod.ts';
import { WELL_KNOWN } from '../src/kube/well-known.ts';
import { type Scheduler, startScheduler } from '../src/scheduler/scheduler.ts';
import { startCluster } from './cluster.ts';
import { until } from './until.ts';

const PODS = WELL_KNOWN.Pod;
const NODES = WELL_KNOWN.Node;

interface House {
  readonly client: ApiClient;
  readonly reported: unknown[];
  /** Starts one more scheduler; all are closed with the house. */
  schedule(client?: ApiClient, clock?: Clock): Scheduler;
  addNode(name: string, cpu: number, more?: { readonly isReady?: boolean; readonly taint?: string }): Promise<void>;
  addPod(name: string, more?: { readonly gang?: string; readonly tolerates?: string }): Promise<Pod>;
  addGang(name: string, minMember: number): Promise<void>;
  pod(name: string): Promise<Pod>;
  /** Names of the pods that have a node. */
  bound(): Promise<readonly string[]>;
  /** What the pod's condition says of why it waits. */
  waiting(name: string, why: RegExp): Promise<void>;
}

async function inHouse(story: (house: House) => Promise<void>): Promise<void> {
  const cluster = await startCluster();
  const { client } = cluster;
  const schedulers: Scheduler[] = [];
  const reported: unknown[] = [];
  await installKinds(client);
  const pod = (name: string) => client.get<Pod>(PODS, name, 'default');
  try {
    await story({
      client,
      reported,
      schedule: (other = client, clock = hostClock(globalThis)) => {
        const report = (error: unknown) => reported.push(error);
        const started = startScheduler({
          client: other,
          clock,
          schedulerNames: ['athanor'],
          report,
        });
        schedulers.push(started);
        return started;
      },
      addNode: async (name, cpu, more) => void (await client.create(NODES, nodeOf(name, cpu, more))),
      addPod: (name, more) => client.create(PODS, podOf(name, more)),
      addGang: async (name, minMember) => {
        const metadata = { name, namespace: 'default' };
        const group = { apiVersion: 'athanor.dev/v1alpha1', kind: 'PodGroup', metadata, spec: { minMember } };
        await client.create<KubeObject>(podGroup, group);
      },
      pod,
      bound: async () => {
        const { items } = await client.list<Pod>(PODS, { namespace: 'default' });
        return items.filter(({ spec }) => spec.nodeName !== undefined).map(({ metadata }) => metadata.name);
      },
      waiting: async (name, why) => {
        await until(`${name} to wait for ${why}`, async () => {
          const condition = findCondition((await pod(name)).status?.conditions, 'PodScheduled');
          return (
            condition?.status === 'False' && condition.reason === 'Unschedulable' && why.test(condition.message ?? '')
          );
        });
      },
    });
    assert.deepEqual(cluster.reported, []);
  } finally {
    for (const scheduler of schedulers) await scheduler.close();
    await cluster.close();
  }
}

function nodeOf(name: string, cpu: number, more: { isReady?: boolean; taint?: string } = {}): Node {
  const { isReady = true, taint } = more;
  const conditions = [{ type: 'Ready', status: isReady ? ('True' as const) : ('False' as const) }];
  const taints = taint === undefined ? [] : [{ key: taint, effect: 'NoSchedule' as const }];
  const status = { conditions, allocatable: { cpu: String(cpu), memory: '1Gi', pods: '100' } };
  return { apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: { taints }, status } as Node; // why: what plans need
}

function podOf(name: string, { gang, tolerates }: { gang?: string; tolerates?: string } = {}): Pod {
  const labels = gang === undefined ? {} : { [POD_GROUP_LABEL]: gang };
  const containers = [{ name: 'main', image: 'athanor', resources: { requests: { cpu: '1' } } }];
  const tolerations = tolerates === undefined ? [] : [{ key: tolerates, operator: 'Exists' as const }];
  const spec = { schedulerName: 'athanor', containers, tolerations };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default', labels }, spec };
}

/** A client that does something just before the scheduler asks for a binding. */
function beforeBinding(client: ApiClient, act: (path: string) => Promise<unknown>): ApiClient {
  return {
    ...client,
    request: async <T>(method: string, path: string, body?: unknown) => {
      if (path.includes('/binding')) await act(path);
      return client.request<T>(method, path, body);
    },
  };
}

const GANG = ['g-0', 'g-1', 'g-2'];

test('a gang waits whole, saying why, and is bound whole', () =>
  inHouse(async ({ client, schedule, addNode, addGang, addPod, waiting, bound }) => {
    await addNode('small', 2);
    schedule();
    await addGang('g', 3);
    for (const name of GANG.slice(0, 2)) await addPod(name, { gang: 'g' });
    for (const name of GANG.slice(0, 2)) await waiting(name, /pod group default\/g has 2 of 3 members/);
    await addPod('g-2', { gang: 'g' });
    for (const name of GANG) await waiting(name, /needs 3 pods at once, 2 would fit: 0\/1 nodes .*Insufficient cpu/);
    assert.deepEqual(await bound(), []);
    await until('an event that says so', async () => {
      const { items } = await client.list<Event>(WELL_KNOWN.Event, { namespace: 'default' });
      return items.some(({ reason, message, involvedObject }) => {
        return reason === 'FailedScheduling' && involvedObject.name === 'g-2' && /3 pods at once/.test(message ?? '');
      });
    });
    await addNode('other', 1);
    await until('the whole gang to be bound', async () => (await bound()).length === 3);
    await until('the group to say so', async () => {
      const group = await client.get<ObjectOf<unknown, { phase?: string; scheduled?: number }>>(
        podGroup,
        'g',
        'default',
      );
      return group.status?.phase === 'Scheduled' && group.status.scheduled === 3;
    });
  }));

test('a gang of which one member goes before the binding is not bound at all', () =>
  inHouse(async ({ client, schedule, addNode, addGang, addPod, waiting, bound }) => {
    await addNode('n', 3);
    await addGang('g', 3);
    for (const name of GANG) await addPod(name, { gang: 'g' });
    let isFirst = true;
    const spiteful = beforeBinding(client, async (path) => {
      if (!isFirst || !path.includes('g-1')) return;
      isFirst = false;
      await client.delete(PODS, 'g-1', { namespace: 'default' });
    });
    schedule(spiteful);
    for (const name of ['g-0', 'g-2']) await waiting(name, /has 2 of 3 members/);
    assert.deepEqual(await bound(), []);
    await addPod('g-1', { gang: 'g' });
    await until('the whole gang to be bound', async () => (await bound()).length === 3);
  }));

test('a gang that was cut while it was bound is completed first', () =>
  inHouse(async ({ client, schedule, addNode, addGang, addPod, waiting, bound }) => {
    await addNode('n', 3);
    await addGang('g', 3);
    for (const name of GANG) await addPod(name, { gang: 'g' });
    let isFirst = true;
    const spiteful = beforeBinding(client, async (path) => {
      if (!isFirst || !path.endsWith('g-1/binding')) return;
      isFirst = false;
      await client.delete(PODS, 'g-1', { namespace: 'default' });
    });
    const scheduler = schedule(spiteful);
    await waiting('g-2', /has 2 of 3 members/);
    assert.deepEqual(await bound(), ['g-0'], 'none is bound after the one that could not be');
    await scheduler.close();
    for (const name of ['a-first', 'a-second']) await addPod(name);
    await addPod('g-1', { gang: 'g' });
    schedule();
    await until('the rest of the gang to be bound', async () => (await bound()).length === 3);
    assert.deepEqual(await bound(), GANG);
  }));

test('a pod made again under its old name is not bound by a plan for the old one', () =>
  inHouse(async ({ client, schedule, addNode, addPod, bound }) => {
    await addNode('n', 1);
    const { metadata } = await addPod('p');
    const refusals: string[] = [];
    const spiteful = beforeBinding(client, async () => {
      if (refusals.length > 0) return;
      await client.delete(PODS, 'p', { namespace: 'default' });
      await addPod('p');
      const target = { apiVersion: 'v1', kind: 'Node', name: 'n' };
      const body = { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'p', uid: metadata.uid }, target };
      const binding = client.request('POST', '/api/v1/namespaces/default/pods/p/binding', body);
      await binding.catch((error: unknown) => refusals.push(String(error)));
    });
    schedule(spiteful);
    // From the list: between its deletion and its return there is no pod to get.
    await until('the new pod to be bound', async () => (await bound()).includes('p'));
    assert.match(refusals.join(), /object has been modified/);
  }));

test('nodes that are not ready or tainted take nobody, until they do', () =>
  inHouse(async ({ client, schedule, addNode, addPod, waiting, pod }) => {
    await addNode('sick', 1, { isReady: false });
    schedule();
    await addPod('p');
    await waiting('p', /0\/1 nodes are available: 1 node\(s\) were not ready/);
    const status = { conditions: [{ type: 'Ready', status: 'True' }] };
    await client.patch(NODES, { name: 'sick', type: 'merge', subresource: 'status', body: { status } });
    await until('p to be bound', async () => (await pod('p')).spec.nodeName === 'sick');
    await addNode('special', 2, { taint: 'gpu' });
    await addPod('q');
    await waiting('q', /1 Insufficient cpu.*1 node\(s\) had untolerated taint \{gpu: \}|taint.*Insufficient cpu/);
    await addPod('r', { tolerates: 'gpu' });
    await until('r to be bound', async () => (await pod('r')).spec.nodeName === 'special');
    await client.patch(NODES, { name: 'special', type: 'merge', body: { spec: { taints: null } } });
    await until('q to be bound', async () => (await pod('q')).spec.nodeName === 'special');
  }));

test('a scheduler that starts again knows what is booked', () =>
  inHouse(async ({ client, schedule, addNode, addPod, waiting, bound }) => {
    await addNode('n', 2);
    const first = schedule();
    for (const name of ['p-0', 'p-1']) await addPod(name);
    await until('both to be bound', async () => (await bound()).length === 2);
    await first.close();
    schedule();
    await addPod('p-2');
    await waiting('p-2', /1 Insufficient cpu/);
    assert.deepEqual(await bound(), ['p-0', 'p-1']);
    await client.delete(PODS, 'p-0', { namespace: 'default', gracePeriodSeconds: 0 });
    await until('the third to be bound', async () => (await bound()).includes('p-2'));
  }));

test('two schedulers at once book no room twice', () =>
  inHouse(async ({ schedule, addNode, addPod, waiting, bound, client, reported }) => {
    await addNode('n', 5);
    const names = Array.from({ length: 12 }, (_, index) => `p-${String(index).padStart(2, '0')}`);
    for (const name of names) await addPod(name);
    for (let count = 0; count < 2; count++) schedule();
    await waiting('p-11', /Insufficient cpu/);
    await until('the room to be used', async () => (await bound()).length === 5);
    const { items } = await client.list<Event>(WELL_KNOWN.Event, { namespace: 'default' });
    const scheduled = items.filter(({ reason }) => reason === 'Scheduled');
    assert.ok(scheduled.every(({ count }) => count === 1));
    assert.deepEqual(reported, []);
  }));

test('a binding that fails for the server’s trouble is reported and tried again although nothing changes', () =>
  inHouse(async ({ client, schedule, addNode, addPod, reported, bound }) => {
    await addNode('n', 1);
    await addPod('p');
    let failures = 0;
    const clock = new VirtualClock(Date.now());
    const failing = beforeBinding(client, async () => {
      if (failures++ === 0) throw new Error('the disk is full');
    });
    schedule(failing, clock);
    await until('p to be bound', async () => {
      clock.advance(1_000);
      return (await bound()).length === 1;
    });
    assert.match(String(reported[0]), /the disk is full/);
  }));
