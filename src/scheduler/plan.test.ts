/** Where pods go in each state of a cluster, and what can never happen in any. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Node, type Pod, POD_GROUP_LABEL } from '../kube/pod.ts';
import { planPlacements, type Snapshot } from './plan.ts';

interface PodCase {
  readonly name: string;
  readonly cpu?: string;
  readonly gpu?: string;
  readonly group?: string;
  readonly node?: string;
  readonly priority?: number;
  readonly selector?: Record<string, string>;
  readonly tolerates?: string;
}

interface NodeCase {
  readonly name: string;
  readonly cpu?: string;
  readonly gpu?: string;
  readonly labels?: Record<string, string>;
  readonly taint?: string;
  readonly notReady?: boolean;
}

interface Case {
  readonly nodes: readonly NodeCase[];
  readonly pods: readonly PodCase[];
  readonly groups?: Record<string, number>;
  /** `pod -> node`. */
  readonly want: readonly string[];
  /** Of the first refusal. */
  readonly wantMessage?: string;
}

const cases: Record<string, Case> = {
  'places a pod where it fits': { nodes: [{ name: 'n' }], pods: [{ name: 'a', cpu: '1' }], want: ['a -> n'] },
  'prefers the fuller node': {
    nodes: [{ name: 'empty' }, { name: 'full' }],
    pods: [
      { name: 'old', cpu: '1', node: 'full' },
      { name: 'a', cpu: '1' },
    ],
    want: ['a -> full'],
  },
  'says what is missing': {
    nodes: [{ name: 'n', cpu: '1' }],
    pods: [{ name: 'a', cpu: '2' }],
    want: [],
    wantMessage: '0/1 nodes are available: 1 Insufficient cpu.',
  },
  'counts devices': {
    nodes: [{ name: 'n', gpu: '1' }],
    pods: [
      { name: 'a', gpu: '1' },
      { name: 'b', gpu: '1' },
    ],
    want: ['a -> n'],
    wantMessage: '0/1 nodes are available: 1 Insufficient nvidia.com/gpu.',
  },
  'starts a gang together': {
    nodes: [{ name: 'n' }],
    pods: [
      { name: 'a', cpu: '1', group: 'g' },
      { name: 'b', cpu: '1', group: 'g' },
    ],
    groups: { g: 2 },
    want: ['a -> n', 'b -> n'],
  },
  'starts nothing of a gang that does not fit, and leaves the room to others': {
    nodes: [{ name: 'n', cpu: '2' }],
    pods: [
      { name: 'a', cpu: '2', group: 'g' },
      { name: 'b', cpu: '2', group: 'g' },
      { name: 'c', cpu: '1' },
    ],
    groups: { g: 2 },
    want: ['c -> n'],
    wantMessage: 'pod group team/g needs 2 pods at once, 1 would fit: 0/1 nodes are available: 1 Insufficient cpu.',
  },
  'waits for all members of a gang': {
    nodes: [{ name: 'n' }],
    pods: [{ name: 'a', group: 'g' }],
    groups: { g: 2 },
    want: [],
    wantMessage: 'pod group team/g has 1 of 2 members, waiting for the others',
  },
  'waits for the group itself': {
    nodes: [{ name: 'n' }],
    pods: [{ name: 'a', group: 'g' }],
    want: [],
    wantMessage: 'the pod names the pod group team/g, which does not exist',
  },
  'lets the higher priority go first': {
    nodes: [{ name: 'n', cpu: '1' }],
    pods: [
      { name: 'a', cpu: '1' },
      { name: 'b', cpu: '1', priority: 5 },
    ],
    want: ['b -> n'],
  },
  'keeps to the node selector': {
    nodes: [{ name: 'n' }, { name: 'm', labels: { disk: 'fast' } }],
    pods: [{ name: 'a', selector: { disk: 'fast' } }],
    want: ['a -> m'],
  },
  'respects a taint that is not tolerated': {
    nodes: [{ name: 'n', taint: 'gpu' }],
    pods: [{ name: 'a' }],
    want: [],
    wantMessage: '0/1 nodes are available: 1 node(s) had untolerated taint {gpu: }.',
  },
  'uses a tainted node for who tolerates it': {
    nodes: [{ name: 'n', taint: 'gpu' }],
    pods: [{ name: 'a', tolerates: 'gpu' }],
    want: ['a -> n'],
  },
  'uses no node that is not ready': {
    nodes: [{ name: 'n', notReady: true }],
    pods: [{ name: 'a' }],
    want: [],
    wantMessage: '0/1 nodes are available: 1 node(s) were not ready.',
  },
};

for (const [sentence, want] of Object.entries(cases)) test(`planPlacements() ${sentence}`, () => check(want));

function check({ nodes, pods, groups = {}, want, wantMessage }: Case): void {
  const plan = planPlacements(toSnapshot(nodes, pods, groups));
  assert.deepEqual(plan.bindings.map(({ pod, nodeName }) => `${pod.metadata.name} -> ${nodeName}`).sort(), want);
  if (wantMessage !== undefined) assert.equal(plan.refusals[0]?.message, wantMessage);
}

function toSnapshot(nodes: readonly NodeCase[], pods: readonly PodCase[], groups: Record<string, number>): Snapshot {
  return {
    nodes: nodes.map(makeNode),
    pods: pods.map(makePod),
    groups: Object.entries(groups).map(([name, minMember]) => ({ key: `team/${name}`, minMember })),
    schedulerNames: new Set(['athanor']),
  };
}

function makeNode({ name, cpu = '4', gpu = '0', labels = {}, taint, notReady }: NodeCase): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels },
    spec: taint === undefined ? {} : { taints: [{ key: taint, effect: 'NoSchedule' }] },
    status: {
      allocatable: { cpu, 'nvidia.com/gpu': gpu, pods: '110', memory: '8Gi' },
      conditions: [{ type: 'Ready', status: notReady === true ? 'False' : 'True' }],
    },
  };
}

function makePod({ name, cpu, gpu, group, node, priority, selector, tolerates }: PodCase): Pod {
  const requests = { ...(cpu && { cpu }), ...(gpu && { 'nvidia.com/gpu': gpu }) };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'team',
      uid: name,
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(group && { labels: { [POD_GROUP_LABEL]: group } }),
    },
    spec: {
      schedulerName: 'athanor',
      containers: [{ name: 'c', image: 'i', resources: { requests } }],
      ...(node && { nodeName: node }),
      ...(priority !== undefined && { priority }),
      ...(selector && { nodeSelector: selector }),
      ...(tolerates && { tolerations: [{ key: tolerates, operator: 'Exists' as const }] }),
    },
  };
}

const clusters = fc.record({
  nodes: fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 0, maxLength: 5 }),
  pods: fc.array(
    fc.record({
      cpu: fc.integer({ min: 0, max: 6 }),
      group: fc.constantFrom('', 'g', 'h'),
      priority: fc.integer({ min: 0, max: 2 }),
    }),
    { maxLength: 14 },
  ),
  minG: fc.integer({ min: 1, max: 6 }),
  minH: fc.integer({ min: 1, max: 6 }),
});

test('planPlacements() never overfills a node nor starts a part of a gang, and decides the same twice', () => {
  fc.assert(
    fc.property(clusters, ({ nodes, pods, minG, minH }) => {
      const snapshot = toSnapshot(
        nodes.map((cpu, index) => ({ name: `n${index}`, cpu: String(cpu) })),
        pods.map(({ cpu, group, priority }, index) => ({
          name: `p${index}`,
          cpu: String(cpu),
          priority,
          ...(group && { group }),
        })),
        { g: minG, h: minH },
      );
      const { bindings, refusals } = planPlacements(snapshot);
      for (const [index, cpu] of nodes.entries()) {
        const used = bindings
          .filter(({ nodeName }) => nodeName === `n${index}`)
          .reduce((sum, { pod }) => sum + (pods[Number(pod.metadata.name.slice(1))]?.cpu ?? 0), 0);
        assert.ok(used <= cpu, `n${index} holds ${used} of ${cpu}`);
      }
      for (const [group, min] of Object.entries({ g: minG, h: minH })) {
        const started = bindings.filter(({ pod }) => pod.metadata.labels?.[POD_GROUP_LABEL] === group).length;
        assert.ok(started === 0 || started >= min, `${started} of ${group} started, ${min} are needed`);
      }
      const named = [...bindings, ...refusals].map(({ pod }) => pod.metadata.name);
      assert.equal(new Set(named).size, named.length);
      assert.deepEqual(planPlacements(snapshot), { bindings, refusals });
    }),
    { numRuns: 300 },
  );
});
