/** The scheduler on a real API server: shares of devices, queues that take back, elastic gangs, reservations, drains. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostClock } from '../src/base/clock.ts';
import { installKinds } from '../src/cli/install.ts';
import type { ApiClient } from '../src/client/types.ts';
import {
  ASSIGNED_DEVICES_ANNOTATION,
  type AssignedDevices,
  NODE_DEVICES_ANNOTATION,
} from '../src/kinds/device-class/kind.ts';
import { DEVICES_ANNOTATION } from '../src/kinds/fields/resources.ts';
import { nodePool } from '../src/kinds/node-pool/kind.ts';
import { podGroup } from '../src/kinds/pod-group/kind.ts';
import { queue } from '../src/kinds/queue/kind.ts';
import { type ReservationStatus, reservation } from '../src/kinds/reservation/kind.ts';
import { trainingJob } from '../src/kinds/training-job/kind.ts';
import { findCondition } from '../src/kube/condition.ts';
import type { KubeObject, ObjectOf, ResourceRef } from '../src/kube/object.ts';
import { type Node, POD_GROUP_LABEL, type Pod } from '../src/kube/pod.ts';
import { WELL_KNOWN } from '../src/kube/well-known.ts';
import { createSchedulingAdmission } from '../src/scheduler/admission.ts';
import { hasUpstreamGroups, UPSTREAM_POD_GROUP } from '../src/scheduler/objects/upstream-groups.ts';
import { type Scheduler, startScheduler } from '../src/scheduler/scheduler.ts';
import { startCluster } from './cluster.ts';
import { until } from './until.ts';

interface PodShape {
  readonly gang?: string;
  readonly finalizer?: string;
  /** A pod group of Kubernetes' own. */
  readonly upstream?: string;
}

class House {
  readonly client: ApiClient;
  readonly reported: unknown[] = [];
  readonly #schedulers: Scheduler[] = [];

  constructor(client: ApiClient) {
    this.client = client;
  }

  schedule(): Scheduler {
    const report = (error: unknown) => this.reported.push(error);
    const options = { client: this.client, clock: hostClock(globalThis), schedulerNames: ['athanor'], report };
    const scheduler = startScheduler(options);
    this.#schedulers.push(scheduler);
    return scheduler;
  }

  async close(): Promise<void> {
    for (const scheduler of this.#schedulers) await scheduler.close();
  }

  create(ref: ResourceRef, name: string, spec: object): Promise<KubeObject> {
    const metadata = { name, ...(ref.scope === 'Namespaced' && { namespace: 'default' }) };
    const object = { apiVersion: 'athanor.dev/v1alpha1', kind: ref.kind, metadata, spec };
    return this.client.create<KubeObject>(ref, object);
  }

  /** With so many devices of a kind; the node says it itself. */
  async addNode(name: string, devices: number, sick: readonly number[] = []): Promise<void> {
    await this.client.create<Node>(WELL_KNOWN.Node, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name, annotations: { [NODE_DEVICES_ANNOTATION]: listDevices(devices, sick) } },
      spec: {},
      status: {
        conditions: [{ type: 'Ready', status: 'True' }],
        allocatable: { cpu: '64', memory: '64Gi', pods: '100' },
      },
    });
  }

  async setSick(name: string, devices: number, sick: readonly number[]): Promise<void> {
    const annotations = { [NODE_DEVICES_ANNOTATION]: listDevices(devices, sick) };
    await this.client.patch(WELL_KNOWN.Node, { name, type: 'merge', body: { metadata: { annotations } } });
  }

  addPod(name: string, request: object, { gang, finalizer, upstream }: PodShape = {}): Promise<Pod> {
    return this.client.create<Pod>(WELL_KNOWN.Pod, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name,
        namespace: 'default',
        annotations: { [DEVICES_ANNOTATION]: JSON.stringify(request) },
        ...(gang !== undefined && { labels: { [POD_GROUP_LABEL]: gang } }),
        ...(finalizer !== undefined && { finalizers: [finalizer] }),
      },
      spec: {
        schedulerName: 'athanor',
        ...(upstream !== undefined && { schedulingGroup: { podGroupName: upstream } }),
        // why: there is no kubelet that would end it
        terminationGracePeriodSeconds: 0,
        containers: [{ name: 'main', image: 'athanor', resources: { requests: { cpu: '1' } } }],
      },
    });
  }

  async addGang(name: string, size: number, spec: { readonly minMember: number; readonly [field: string]: unknown }) {
    await this.create(podGroup, name, spec);
    for (let index = 0; index < size; index += 1)
      await this.addPod(`${name}-${index}`, { class: 'nvidia' }, { gang: name });
  }

  async pods(): Promise<readonly Pod[]> {
    return (await this.client.list<Pod>(WELL_KNOWN.Pod, { namespace: 'default' })).items;
  }

  /** Names of the pods that have a node and are not ending. */
  async bound(): Promise<readonly string[]> {
    const pods = await this.pods();
    const live = pods.filter(({ spec, metadata }) => spec.nodeName !== undefined && !metadata.deletionTimestamp);
    return live.map(({ metadata }) => metadata.name).sort();
  }

  async untilBound(...names: readonly string[]): Promise<void> {
    await until(`just ${names.join(', ')} to have a node`, async () => (await this.bound()).join() === names.join());
  }

  async devicesOf(name: string): Promise<AssignedDevices> {
    const pod = await this.client.get<Pod>(WELL_KNOWN.Pod, name, 'default');
    const text = pod.metadata.annotations?.[ASSIGNED_DEVICES_ANNOTATION] ?? '{}';
    return JSON.parse(text) as AssignedDevices; // why: the scheduler wrote it
  }

  async waiting(name: string, why: RegExp): Promise<void> {
    await until(`${name} to wait for ${why}`, async () => {
      const pod = await this.client.get<Pod>(WELL_KNOWN.Pod, name, 'default');
      return why.test(findCondition(pod.status?.conditions, 'PodScheduled')?.message ?? '');
    });
  }
}

function listDevices(count: number, sick: readonly number[]): string {
  const devices = Array.from({ length: count }, (_, index) => {
    return { id: `GPU-${index}`, class: 'nvidia', model: 'A100', memoryMiB: 40_960, isHealthy: !sick.includes(index) };
  });
  return JSON.stringify(devices);
}

async function inHouse(story: (house: House) => Promise<void>): Promise<void> {
  const cluster = await startCluster({ admit: createSchedulingAdmission() });
  await installKinds(cluster.client);
  const house = new House(cluster.client);
  try {
    await story(house);
    assert.deepEqual([...cluster.reported, ...house.reported], []);
  } finally {
    await house.close();
    await cluster.close();
  }
}

test('halves share a device, and each is told which and how much of it', () =>
  inHouse(async (house) => {
    await house.addNode('n', 2);
    for (const name of ['a', 'b', 'c']) await house.addPod(name, { class: 'nvidia', fraction: 0.5 });
    house.schedule();
    await house.untilBound('a', 'b', 'c');
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name) => house.devicesOf(name)));
    assert.ok(a && b && c);
    const ids = [a, b, c].flatMap(({ devices }) => devices.map(({ id }) => id)).sort();
    assert.deepEqual(ids, ['GPU-0', 'GPU-0', 'GPU-1']);
    assert.deepEqual(a.share, { milli: 500, memoryMiB: 20_480 });
    assert.equal(a.env['NVIDIA_VISIBLE_DEVICES'], a.devices[0]?.id);
    assert.equal(a.env['CUDA_DEVICE_MEMORY_LIMIT_0'], '20480m');
    assert.equal(a.env['CUDA_DEVICE_SM_LIMIT'], '50');
  }));

test('a scheduler that starts again books no device twice', () =>
  inHouse(async (house) => {
    await house.addNode('n', 2);
    await house.addPod('a', { class: 'nvidia' });
    await house.addPod('b', { class: 'nvidia', fraction: 0.7 });
    const first = house.schedule();
    await house.untilBound('a', 'b');
    await first.close();
    await house.addPod('c', { class: 'nvidia', fraction: 0.4 });
    await house.addPod('d', { class: 'nvidia', fraction: 0.3 });
    house.schedule();
    await house.untilBound('a', 'b', 'd');
    await house.waiting('c', /Insufficient nvidia.com\/gpu/);
    assert.deepEqual((await house.devicesOf('d')).devices, (await house.devicesOf('b')).devices);
  }));

test('a queue takes back what another holds beyond its share, surplus first, and says so', () =>
  inHouse(async (house) => {
    await house.addNode('n', 4);
    await house.create(queue, 'p', { guaranteed: { devices: 2 } });
    await house.create(queue, 'q', { guaranteed: { devices: 2 } });
    house.schedule();
    await house.addGang('elastic', 4, { minMember: 1, queue: 'p' });
    await house.untilBound('elastic-0', 'elastic-1', 'elastic-2', 'elastic-3');
    await house.addGang('pair', 2, { minMember: 2, queue: 'q' });
    await until('both to have their share', async () => {
      const names = await house.bound();
      return names.filter((name) => name.startsWith('pair')).length === 2 && names.length === 4;
    });
    assert.ok((await house.bound()).includes('elastic-0'), 'the gang goes on with fewer members');
    await until('the queue to say what it holds', async () => {
      const { status } = await house.client.get<ObjectOf<unknown, { allocated?: Record<string, string> }>>(queue, 'q');
      return status?.allocated?.['devices'] === '2';
    });
  }));

test('one who never leaves blocks only himself: others find room, or somebody else', () =>
  inHouse(async (house) => {
    await house.addNode('n', 2);
    await house.addNode('other', 1);
    house.schedule();
    await house.addPod('stuck', { class: 'nvidia', count: 2 }, { finalizer: 'test/never' });
    await house.untilBound('stuck');
    await house.client.delete(WELL_KNOWN.Pod, 'stuck', { namespace: 'default', gracePeriodSeconds: 0 });
    await house.addPod('small', { class: 'nvidia' });
    await house.addPod('large', { class: 'nvidia', count: 2 });
    await house.untilBound('small');
    await house.waiting('large', /0\/2 nodes are available/);
    const pods = await house.pods();
    const stuck = pods.find(({ metadata }) => metadata.name === 'stuck');
    assert.ok(stuck);
    const body = { metadata: { finalizers: null } };
    await house.client.patch(WELL_KNOWN.Pod, { name: 'stuck', namespace: 'default', type: 'merge', body });
    await house.untilBound('large', 'small');
  }));

test('what runs on a device that is not well is stopped where the pool says so, and nobody new gets it', () =>
  inHouse(async (house) => {
    await house.addNode('n', 2);
    await house.create(nodePool, 'all', { drainUnhealthy: true });
    house.schedule();
    await house.addPod('a', { class: 'nvidia' });
    await house.addPod('b', { class: 'nvidia' });
    await house.untilBound('a', 'b');
    const sick = (await house.devicesOf('a')).devices[0]?.index ?? 0;
    await house.setSick('n', 2, [sick]);
    await until('a to be stopped', async () => !(await house.bound()).includes('a'));
    await house.addPod('c', { class: 'nvidia' });
    await house.waiting('c', /nodes are available/);
    await house.setSick('n', 2, []);
    await house.untilBound('b', 'c');
  }));

test('reserved room is for those who name it', () =>
  inHouse(async (house) => {
    await house.addNode('n', 2);
    house.schedule();
    await house.create(reservation, 'demo', { members: 2, resources: { devices: { class: 'nvidia' } } });
    const status = async () =>
      (await house.client.get<ObjectOf<unknown, ReservationStatus>>(reservation, 'demo')).status;
    await until('the room to be kept', async () => (await status())?.nodes?.join() === 'n,n');
    await house.addPod('stranger', { class: 'nvidia' });
    await house.waiting('stranger', /Insufficient nvidia.com\/gpu/);
    await house.addGang('guest', 1, { minMember: 1, reservation: 'demo' });
    await house.untilBound('guest-0');
    await until('one member to be in use', async () => (await status())?.used === 1);
    await house.client.delete(reservation, 'demo');
    await house.untilBound('guest-0', 'stranger');
  }));

test("Kubernetes' own pod groups start whole too, where there are any", () =>
  inHouse(async (house) => {
    const schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
    await house.client.create<KubeObject>(WELL_KNOWN.CustomResourceDefinition, {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'podgroups.scheduling.k8s.io' },
      spec: {
        group: 'scheduling.k8s.io',
        scope: 'Namespaced',
        names: { kind: 'PodGroup', plural: 'podgroups' },
        versions: [{ name: 'v1beta1', served: true, storage: true, schema: { openAPIV3Schema: schema } }],
      },
    } as KubeObject); // why: a CRD is an object
    const group = {
      apiVersion: 'scheduling.k8s.io/v1beta1',
      kind: 'PodGroup',
      metadata: { name: 'g', namespace: 'default' },
      spec: { schedulingPolicy: { gang: { minCount: 2 } } },
    };
    await until('the API to serve them', () => hasUpstreamGroups(house.client));
    await house.client.create<KubeObject>(UPSTREAM_POD_GROUP, group);
    await house.addNode('n', 2);
    house.schedule();
    await house.addPod('g-0', {}, { upstream: 'g' });
    await house.waiting('g-0', /has 1 of 2 members/);
    await house.addPod('g-1', {}, { upstream: 'g' });
    await house.untilBound('g-0', 'g-1');
  }));

const refused: Record<string, { readonly ref: ResourceRef; readonly spec: object; readonly want: RegExp }> = {
  'a circle of queues': {
    ref: queue,
    spec: { parent: 'child' },
    want: /spec.parent: makes a circle: top > child > top/,
  },
  'children that are promised more than their parent': {
    ref: queue,
    spec: { guaranteed: { devices: 1 } },
    want: /spec.guaranteed.devices: is 1, less than the 2 guaranteed to its children child/,
  },
  'a negative weight': {
    ref: queue,
    spec: { guaranteed: { devices: 2 }, overQuotaWeight: -1 },
    want: /spec.overQuotaWeight.*greater than or equal to 0/,
  },
  'a negative amount': {
    ref: queue,
    spec: { guaranteed: { devices: 2 }, limit: { cpu: '-4' } },
    want: /spec.limit.cpu: is -4000, want 0 or more/,
  },
  'a gang that is larger than the cluster': {
    ref: trainingJob,
    spec: { command: ['x'], replicas: 9, resources: { devices: { class: 'nvidia' } } },
    want: /spec.replicas: .* does not fit even on the empty cluster: 4 pods would fit at most/,
  },
  'a gang that is larger than its queue': {
    ref: trainingJob,
    spec: {
      command: ['x'],
      replicas: 3,
      resources: { devices: { class: 'nvidia' } },
      scheduling: { queue: 'child' },
    },
    want: /spec.replicas: .* asks for 3 devices, queue child may hold 2: 2 pods would fit at most/,
  },
  'more than a device': {
    ref: trainingJob,
    spec: { command: ['x'], resources: { devices: { fraction: 1.5 } } },
    want: /spec.resources.devices.fraction.*less than or equal to 1/,
  },
  'a slice that nobody makes': {
    ref: trainingJob,
    spec: { command: ['x'], resources: { devices: { class: 'nvidia', slice: '9g' } } },
    want: /spec.resources: .* there is no slice 9g: class nvidia has 1g.5gb/,
  },
  'too many cores of one in another dialect': {
    ref: trainingJob,
    spec: { command: ['x'], resources: { limits: { 'nvidia.com/gpu': 1, 'nvidia.com/gpucores': 150 } } },
    want: /spec.resources: .* asks for 150 % of a device: want 100 % at most/,
  },
  'a queue that is not there': {
    ref: trainingJob,
    spec: { command: ['x'], scheduling: { queue: 'nowhere' } },
    want: /spec.scheduling.queue: .* there is no such queue; there are child, top/,
  },
  'a pool and a reservation that are not there': {
    ref: podGroup,
    spec: { pool: 'x', reservation: 'y' },
    want: /spec.pool: .* there is none.*spec.reservation: .* there is none/,
  },
};

test('what cannot be queued is refused at submit, with the field, and nothing is stored', () =>
  inHouse(async (house) => {
    await house.addNode('n', 4);
    await house.create(queue, 'top', { guaranteed: { devices: 2 } });
    await house.create(queue, 'child', { parent: 'top', guaranteed: { devices: 2 }, limit: { devices: 2 } });
    for (const [what, { ref, spec, want }] of Object.entries(refused)) {
      const work =
        ref === queue
          ? house.client.update<KubeObject>(ref, {
              ...(await house.client.get<KubeObject>(ref, 'top')),
              ...{ spec },
            })
          : house.create(ref, 'bad', spec);
      await assert.rejects(work, want, what);
    }
    assert.deepEqual((await house.client.list(trainingJob)).items, []);
    await house.create(trainingJob, 'fine', { command: ['x'], replicas: 4, resources: { devices: {} } });
  }));
