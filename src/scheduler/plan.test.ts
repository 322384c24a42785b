/** Which pods go where: tables of single decisions, and what holds of every plan whatever the snapshot. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Node, POD_GROUP_LABEL, type Pod, type PodSpec, type Taint } from '../kube/pod.ts';
import { type Amounts, addAmounts, requestsOf } from './amounts.ts';
import { groupKeyOf, planPlacements, type Snapshot } from './plan.ts';

type Quantities = Readonly<Record<string, string>>;

function node(name: string, allocatable: Quantities, more: { taints?: Taint[]; labels?: Quantities } = {}): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: more.labels ?? {} },
    spec: { taints: more.taints ?? [] },
    status: { allocatable, conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

function pod(name: string, requests: Quantities, { group, ...spec }: Partial<PodSpec> & { group?: string } = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'x',
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(group !== undefined && { labels: { [POD_GROUP_LABEL]: group } }),
    },
    spec: { schedulerName: 'athanor', containers: [{ name: 'main', image: 'a', resources: { requests } }], ...spec },
  };
}

interface Case {
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  readonly groups?: Readonly<Record<string, number>>;
  /** `pod on node`. */
  readonly want: readonly string[];
  /** Message by pod. */
  readonly wantRefused?: Readonly<Record<string, string>>;
}

const gang = (count: number, cpu = '1') =>
  Array.from({ length: count }, (_, index) => pod(`g${index}`, { cpu }, { group: 'g' }));
const one = node('n1', { cpu: '2' });
const taint: Taint = { key: 'gpu', value: 'yes', effect: 'NoSchedule' };

const cases: Record<string, Case> = {
  'gives a pod the fullest node that has room': {
    nodes: [one, node('n2', { cpu: '2' })],
    pods: [pod('there', { cpu: '1' }, { nodeName: 'n2' }), pod('a', { cpu: '1' })],
    want: ['a on n2'],
  },
  'says what is missing, as kube-scheduler does': {
    nodes: [one, node('n2', { cpu: '1', memory: '1Gi' })],
    pods: [pod('a', { cpu: '3', memory: '2Gi' })],
    want: [],
    wantRefused: { a: '0/2 nodes are available: 2 Insufficient cpu, 2 Insufficient memory.' },
  },
  'says that there are no nodes': {
    nodes: [],
    pods: [pod('a', {})],
    want: [],
    wantRefused: { a: 'no nodes available to schedule pods' },
  },
  'leaves nodes that are not ready or not schedulable': {
    nodes: [
      { ...one, status: { allocatable: { cpu: '2' } } },
      { ...one, spec: { unschedulable: true } },
    ],
    pods: [pod('a', {})],
    want: [],
    wantRefused: { a: '0/2 nodes are available: 1 node(s) were not ready, 1 node(s) were unschedulable.' },
  },
  'honours taints and tolerations': {
    nodes: [node('n1', { cpu: '2' }, { taints: [taint] })],
    pods: [
      pod('a', {}),
      pod('b', {}, { tolerations: [{ key: 'gpu', operator: 'Exists' }] }),
      pod('c', {}, { tolerations: [{ key: 'gpu', value: 'no' }] }),
    ],
    want: ['b on n1'],
    wantRefused: {
      a: '0/1 nodes are available: 1 node(s) had untolerated taint {gpu: yes}.',
      c: '0/1 nodes are available: 1 node(s) had untolerated taint {gpu: yes}.',
    },
  },
  'honours node selectors': {
    nodes: [one, node('n2', { cpu: '2' }, { labels: { disk: 'fast' } })],
    pods: [pod('a', {}, { nodeSelector: { disk: 'fast' } }), pod('b', {}, { nodeSelector: { disk: 'slow' } })],
    want: ['a on n2'],
    wantRefused: { b: "0/2 nodes are available: 2 node(s) didn't match Pod's node selector." },
  },
  'counts extended resources, and has none where a node names none': {
    nodes: [one, node('n2', { cpu: '2', 'nvidia.com/gpu': '1' })],
    pods: [pod('a', { 'nvidia.com/gpu': '1' }), pod('b', { 'nvidia.com/gpu': '1' })],
    want: ['a on n2'],
    wantRefused: { b: '0/2 nodes are available: 2 Insufficient nvidia.com/gpu.' },
  },
  'serves the higher priority first': {
    nodes: [node('n1', { cpu: '1' })],
    pods: [pod('a', { cpu: '1' }), pod('b', { cpu: '1' }, { priority: 5 })],
    want: ['b on n1'],
    wantRefused: { a: '0/1 nodes are available: 1 Insufficient cpu.' },
  },
  'starts a gang together': { nodes: [one], pods: gang(2), groups: { g: 2 }, want: ['g0 on n1', 'g1 on n1'] },
  'starts nothing of a gang that does not fit, and gives its room to others': {
    nodes: [one],
    pods: [...gang(3), pod('later', { cpu: '2' })],
    groups: { g: 3 },
    want: ['later on n1'],
    wantRefused: Object.fromEntries(
      ['g0', 'g1', 'g2'].map((name) => [
        name,
        'pod group x/g needs 3 pods at once, 2 would fit: 0/1 nodes are available: 1 Insufficient cpu.',
      ]),
    ),
  },
  'waits for members that are not there yet': {
    nodes: [one],
    pods: gang(1),
    groups: { g: 2 },
    want: [],
    wantRefused: { g0: 'pod group x/g has 1 of 2 members, waiting for the others' },
  },
  'fills a gang beyond its minimum as far as there is room, and tells each that waits': {
    nodes: [one],
    pods: gang(4),
    groups: { g: 2 },
    want: ['g0 on n1', 'g1 on n1'],
    wantRefused: {
      g2: '0/1 nodes are available: 1 Insufficient cpu.',
      g3: '0/1 nodes are available: 1 Insufficient cpu.',
    },
  },
  'refuses a pod whose group does not exist': {
    nodes: [one],
    pods: gang(1),
    want: [],
    wantRefused: { g0: 'the pod names the pod group x/g, which does not exist' },
  },
  'leaves pods of other schedulers alone': { nodes: [one], pods: [pod('a', {}, { schedulerName: 'other' })], want: [] },
};

for (const [sentence, want] of Object.entries(cases)) test(`planPlacements() ${sentence}`, () => check(want));

function snapshotOf({ nodes, pods, groups = {} }: Pick<Case, 'nodes' | 'pods' | 'groups'>): Snapshot {
  const demands = Object.entries(groups).map(([name, minMember]) => ({ key: `x/${name}`, minMember }));
  return { nodes, pods, groups: demands, schedulerNames: new Set(['athanor']) };
}

function check({ want, wantRefused = {}, ...shape }: Case): void {
  const plan = planPlacements(snapshotOf(shape));
  assert.deepEqual(plan.bindings.map(({ pod, nodeName }) => `${pod.metadata.name} on ${nodeName}`).toSorted(), want);
  const refused = Object.fromEntries(plan.refusals.map(({ pod, message }) => [pod.metadata.name, message]));
  assert.deepEqual(refused, wantRefused);
}

const quantities = fc.record({ cpu: fc.integer({ min: 0, max: 8 }), gpu: fc.integer({ min: 0, max: 2 }) });
const toTexts = ({ cpu, gpu }: { cpu: number; gpu: number }) => ({ cpu: String(cpu), gpu: String(gpu) });
const snapshots = fc
  .record({
    nodes: fc.array(quantities, { maxLength: 4 }),
    pods: fc.array(fc.record({ requests: quantities, group: fc.constantFrom(undefined, 'g', 'h') }), { maxLength: 12 }),
    groups: fc.record({ g: fc.integer({ min: 1, max: 5 }), h: fc.integer({ min: 1, max: 5 }) }),
  })
  .map(({ nodes, pods, groups }) =>
    snapshotOf({
      nodes: nodes.map((amounts, index) => node(`n${index}`, toTexts(amounts))),
      pods: pods.map(({ requests, group }, index) =>
        pod(`p${index}`, toTexts(requests), group === undefined ? {} : { group }),
      ),
      groups,
    }),
  );

test('planPlacements() never gives a node more than it has', () => {
  const fitsAll = (snapshot: Snapshot) => {
    const { bindings } = planPlacements(snapshot);
    for (const { metadata, status } of snapshot.nodes) {
      const mine = bindings.filter(({ nodeName }) => nodeName === metadata.name).map(({ pod }) => requestsOf(pod));
      const used = mine.reduce<Amounts>(addAmounts, {});
      assert.ok((used['cpu'] ?? 0) <= Number(status?.allocatable?.['cpu']) * 1000);
      assert.ok((used['gpu'] ?? 0) <= Number(status?.allocatable?.['gpu']));
    }
  };
  fc.assert(fc.property(snapshots, fitsAll));
});

test('planPlacements() never starts a part of a gang below its minimum, and forgets no pod', () => {
  const isWhole = (snapshot: Snapshot) => {
    const { bindings, refusals } = planPlacements(snapshot);
    for (const { key, minMember } of snapshot.groups) {
      const started = bindings.filter(({ pod }) => groupKeyOf(pod) === key).length;
      assert.ok(started === 0 || started >= minMember);
    }
    const told = [...bindings, ...refusals].map(({ pod }) => pod.metadata.name);
    assert.deepEqual(told.toSorted(), snapshot.pods.map(({ metadata }) => metadata.name).toSorted());
  };
  fc.assert(fc.property(snapshots, isWhole));
});

test('planPlacements() decides the same for the same snapshot', () => {
  const isSame = (snapshot: Snapshot) => assert.deepEqual(planPlacements(snapshot), planPlacements(snapshot));
  fc.assert(fc.property(snapshots, isSame));
});
