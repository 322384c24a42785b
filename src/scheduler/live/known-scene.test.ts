/** What is read with a memory of earlier readings is what is read from scratch, whatever has changed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Random, seededRandom } from '../../base/random.ts';
import { type PodGroup, PodGroupSpec } from '../../kinds/pod-group/kind.ts';
import { QueueSpec } from '../../kinds/queue/kind.ts';
import type { Node, Pod } from '../../kube/pod.ts';
import { buildDeviceClasses } from '../objects/device-classes.ts';
import { learningKey } from '../objects/learning.ts';
import type { NodePool, Queue } from '../objects/read-queues.ts';
import { PodAsks } from '../objects/read-workloads.ts';
import { node, pod } from '../objects/test-objects.ts';
import { KnownScene } from './known-scene.ts';
import { type Reading, type ReadOptions, readSources, type Sources } from './read-scene.ts';

const classes = buildDeviceClasses();
const other = buildDeviceClasses();

/** Objects by name, and arrays of them that are new only when one has changed, as informers give them. */
class Table<T> {
  readonly #objects = new Map<string, T>();
  #list: readonly T[] | undefined;

  put(name: string, object: T): void {
    this.#objects.set(name, object);
    this.#list = undefined;
  }

  drop(name: string): void {
    this.#objects.delete(name);
    this.#list = undefined;
  }

  get(name: string): T | undefined {
    return this.#objects.get(name);
  }

  list(): readonly T[] {
    this.#list ??= [...this.#objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
    return this.#list;
  }
}

interface World {
  readonly pods: Table<Pod>;
  readonly nodes: Table<Node>;
  readonly groups: Table<PodGroup>;
  readonly queues: Table<Queue>;
  readonly pools: Table<NodePool>;
  readonly learned: Map<string, number>;
  now: typeof classes;
}

/** Changes one object at random: all that plans read, and some that they do not. */
function changeOne(world: World, random: Random): void {
  const int = (least: number, most: number) => least + Math.floor(random() * (most - least + 1));
  const name = `x${int(0, 5)}`;
  const known = world.pods.get(name);
  const time = `2026-01-01T00:00:${String(int(10, 59))}Z`;
  const acts: (() => void)[] = [
    () => world.pods.put(name, pod(name, { cpu: String(int(1, 2)) }, random() < 0.5 ? { group: `g${int(0, 1)}` } : {})),
    () => world.pods.drop(name),
    () => known && world.pods.put(name, { ...known, spec: { ...known.spec, nodeName: `n${int(0, 3)}` } }),
    () => known && world.pods.put(name, { ...known, status: { phase: random() < 0.5 ? 'Succeeded' : 'Running' } }),
    () => known && world.pods.put(name, { ...known, metadata: { ...known.metadata, deletionTimestamp: time } }),
    () => known && world.pods.put(name, withQueue(known, `q${int(0, 2)}`)),
    () => world.nodes.put(`n${int(0, 3)}`, node(`n${int(0, 3)}`, { cpu: String(int(1, 2)) })),
    () => world.nodes.drop(`n${int(0, 3)}`),
    () => beat(world, `n${int(0, 3)}`, time),
    () => world.groups.put(`g${int(0, 1)}`, groupOf(`g${int(0, 1)}`, int(1, 3))),
    () => world.groups.drop(`g${int(0, 1)}`),
    () => world.queues.put(`q${int(0, 2)}`, queueOf(`q${int(0, 2)}`, int(1, 2))),
    () => world.queues.drop(`q${int(0, 2)}`),
    () => world.pools.put('pool', poolOf(random() < 0.5 ? [`q${int(0, 2)}`] : [])),
    () => world.pools.drop('pool'),
    () => world.learned.set(learningKey('x', name), int(1, 3) * 1000),
    () => (world.now = random() < 0.5 ? classes : other),
  ];
  acts[int(0, acts.length - 1)]?.();
}

function withQueue(known: Pod, queue: string): Pod {
  return {
    ...known,
    metadata: { ...known.metadata, labels: { ...known.metadata.labels, 'athanor.dev/queue': queue } },
  };
}

function beat({ nodes }: World, name: string, lastHeartbeatTime: string): void {
  const known = nodes.get(name);
  const ready = { type: 'Ready', status: 'True' as const, lastHeartbeatTime };
  if (known !== undefined) nodes.put(name, { ...known, status: { ...known.status, conditions: [ready] } });
}

function groupOf(name: string, minMember: number): PodGroup {
  const spec = PodGroupSpec.parse({ minMember });
  return { apiVersion: 'athanor.dev/v1alpha1', kind: 'PodGroup', metadata: { name, namespace: 'x' }, spec };
}

function queueOf(name: string, weight: number): Queue {
  const spec = QueueSpec.parse({ overQuotaWeight: weight });
  return { apiVersion: 'athanor.dev/v1alpha1', kind: 'Queue', metadata: { name }, spec };
}

function poolOf(queues: readonly string[]): NodePool {
  const spec = { nodeSelector: {}, queues: [...queues], drainUnhealthy: false, drainAfterSeconds: 60 };
  const metadata = { name: 'pool' };
  return { apiVersion: 'athanor.dev/v1alpha1', kind: 'NodePool', metadata, spec } as NodePool; // why: all that is read
}

/** A reading as plain data: what its functions answer of each node in their place. */
function toData({ workloads, pods, groups, nodes, tree, drained }: Reading): unknown {
  return {
    workloads: workloads.map((workload) => ({
      ...workload,
      members: workload.members.map(({ demand, ...member }) => {
        const { share: _, refuses, ...plain } = demand;
        return { ...member, demand: plain, refusals: nodes.map((one) => refuses?.(one)) };
      }),
    })),
    pods,
    groups,
    nodes,
    queues: [...tree.byName.values()].map(({ name, overQuotaWeight }) => [name, overQuotaWeight]),
    drained,
  };
}

test('readSources() reads with a memory what it reads without one', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (seed) => {
      const random = seededRandom(seed);
      const world: World = {
        pods: new Table(),
        nodes: new Table(),
        groups: new Table(),
        queues: new Table(),
        pools: new Table(),
        learned: new Map(),
        now: classes,
      };
      const nothing = { list: () => [] };
      const sources: Sources = { ...world, classes: nothing, reservations: nothing };
      const schedulerNames = new Set(['athanor']);
      const optionsOf = (): ReadOptions => ({
        nowMs: 0,
        schedulerNames,
        asks: new PodAsks(),
        classes: world.now,
        estimateMs: (key) => world.learned.get(key),
        nodesOf: () => [],
        withAssumed: (one) => one,
      });
      const known = new KnownScene();
      const asks = new PodAsks();
      for (let step = 0; step < 60; step++) {
        changeOne(world, random);
        const remembered = toData(readSources(sources, { ...optionsOf(), asks, known }));
        assert.deepEqual(remembered, toData(readSources(sources, optionsOf())));
      }
    }),
    { numRuns: 60 },
  );
});

test('readSources() reads nothing twice that has not changed', () => {
  const pods = new Table<Pod>();
  const nodes = new Table<Node>();
  pods.put('a', pod('a', { cpu: '1' }));
  pods.put('b', pod('b', { cpu: '1' }));
  nodes.put('n', node('n', { cpu: '4' }));
  const nothing = { list: () => [] };
  const sources = {
    pods,
    nodes,
    groups: nothing,
    queues: nothing,
    pools: nothing,
    classes: nothing,
    reservations: nothing,
  };
  const known = new KnownScene();
  const options = { nowMs: 0, schedulerNames: new Set(['athanor']), asks: new PodAsks(), classes, known };
  const read = () =>
    readSources(sources, { ...options, estimateMs: () => undefined, nodesOf: () => [], withAssumed: (one) => one });
  const before = read();
  pods.put('b', pod('b', { cpu: '2' }));
  nodes.put('n', {
    ...node('n', { cpu: '4' }),
    status: { ...node('n', { cpu: '4' }).status, phase: 'Running' } as object,
  });
  const after = read();
  assert.equal(after.nodes, before.nodes);
  assert.equal(after.workloads[0], before.workloads[0]);
  assert.notEqual(after.workloads[1], before.workloads[1]);
});
