/** Objects as the planner takes them: which nodes refuse which pods, and what is told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodGroup } from '../../kinds/pod-group/kind.ts';
import { PodGroupSpec } from '../../kinds/pod-group/kind.ts';
import type { Node, Pod, Taint } from '../../kube/pod.ts';
import { toAmounts } from '../amounts.ts';
import { planCycle } from '../cycle/plan-cycle.ts';
import { describeRefusal } from '../live/tell.ts';
import { buildQueueTree, QUEUE_DEFAULTS } from '../queues/queue-tree.ts';
import { buildDeviceClasses, isDeviceResource, readNodeDevices } from './device-classes.ts';
import type { NodePool } from './read-queues.ts';
import { PoolRules } from './read-queues.ts';
import { PodAsks, readWorkloads } from './read-workloads.ts';
import { node, pod } from './test-objects.ts';

interface Case {
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  readonly groups?: Readonly<Record<string, number>>;
  readonly pools?: readonly NodePool[];
  /** Pods of the group g that have ended well. */
  readonly ended?: readonly Pod[];
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
      { ...node('n2', { cpu: '2' }), spec: { unschedulable: true } },
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
  'needs no member again that has ended well': {
    nodes: [one],
    pods: gang(3).slice(1),
    groups: { g: 3 },
    ended: gang(1),
    want: ['g1 on n1', 'g2 on n1'],
  },
  'refuses a pod whose group does not exist': {
    nodes: [one],
    pods: gang(1),
    want: [],
    wantRefused: { g0: 'the pod names the pod group x/g, which does not exist' },
  },
  'keeps the nodes of a pool for its queues': {
    nodes: [node('n1', { cpu: '2' }, { labels: { tier: 'large' } })],
    pools: [
      {
        apiVersion: 'athanor.dev/v1alpha1',
        kind: 'NodePool',
        metadata: { name: 'large' },
        spec: { nodeSelector: { tier: 'large' }, queues: ['research'], drainUnhealthy: true, drainAfterSeconds: 0 },
      },
    ],
    pods: [
      pod('a', {}),
      { ...pod('b', {}), metadata: { ...pod('b', {}).metadata, labels: { 'athanor.dev/queue': 'research' } } },
    ],
    want: ['b on n1'],
    wantRefused: {
      a: '0/1 nodes are available: 1 node(s) are in the node pool large, which is not open to the queue default.',
    },
  },
  'leaves pods of other schedulers alone': { nodes: [one], pods: [pod('a', {}, { schedulerName: 'other' })], want: [] },
};

for (const [sentence, want] of Object.entries(cases)) test(`the scheduler ${sentence}`, () => check(want));

const classes = buildDeviceClasses();

function check({ nodes, pods, groups = {}, pools = [], ended = [], want, wantRefused = {} }: Case): void {
  const tree = buildQueueTree([{ ...QUEUE_DEFAULTS, name: 'research' }]);
  const reading = readWorkloads({
    pods,
    groups: Object.entries(groups).map(
      ([name, minMember]): PodGroup => ({
        apiVersion: 'athanor.dev/v1alpha1',
        kind: 'PodGroup',
        metadata: { name, namespace: 'x' },
        spec: PodGroupSpec.parse({ minMember }),
      }),
    ),
    schedulerNames: new Set(['athanor']),
    classes,
    rules: new PoolRules(nodes, pools, tree),
    asks: new PodAsks(),
    ended: new Map([['x/g', ended]]),
    estimateMs: () => undefined,
  });
  const poolNodes = nodes.map((one) => {
    const all = toAmounts(one.status?.allocatable ?? {});
    const capacity = Object.fromEntries(Object.entries(all).filter(([name]) => !isDeviceResource(name, classes)));
    return {
      name: one.metadata.name,
      labels: one.metadata.labels ?? {},
      capacity: { pods: 110, ...capacity },
      devices: readNodeDevices(one, classes),
    };
  });
  const plan = planCycle({ nowMs: 0, nodes: poolNodes, tree, workloads: reading.workloads, policy: 'athanor' });
  const starts = plan.starts.flatMap(({ holdings }) =>
    holdings.map(({ member, placement }) => {
      const name = reading.pods.get(member.key)?.metadata.name;
      return `${name} on ${plan.ledger.pool.nodes[placement.node]?.name}`;
    }),
  );
  assert.deepEqual(starts.toSorted(), want);
  const refused = plan.waiting.flatMap((waiting) =>
    waiting.workload.members
      .filter(({ key }) => plan.ledger.held.get(waiting.workload.key)?.has(key) !== true)
      .map(({ key }) => {
        const message = describeRefusal(waiting, reading.groups.get(waiting.workload.key));
        return [reading.pods.get(key)?.metadata.name, message];
      }),
  );
  assert.deepEqual(Object.fromEntries(refused), wantRefused);
}
