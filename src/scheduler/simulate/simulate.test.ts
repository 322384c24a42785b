/** The traces that are read, what is wrong with bad ones, and the published experiment on small clusters. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../base/random.ts';
import { findTypicalTasks, preferLeastFragmentation } from '../placement/fgd.ts';
import { Placer } from '../placement/placer.ts';
import { POLICIES, type PolicyName, parsePolicy } from '../placement/policies.ts';
import { Pool } from '../pool/pool.ts';
import { drawArrivals, simulateArrivals } from './arrivals.ts';
import { parseOpenbNodes, parseOpenbPods } from './openb.ts';

const NODES = `sn,cpu_milli,memory_mib,gpu,model
n1,64000,262144,2,A
n2,64000,262144,2,B
n3,32000,262144,0,
`;
const PODS = `name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos
p1,1000,1024,1,1000,,LS
p2,1000,1024,1,500,A|B,LS
p3,1000,1024,0,0,,BE
p4,1000,1024,2,1000,A,LS
`;

const nodes = parseOpenbNodes(NODES, 'nodes.csv');
const pods = parseOpenbPods(PODS, 'pods.csv');

test('parseOpenbNodes() and parseOpenbPods() read the trace', () => {
  assert.deepEqual(
    nodes.map(({ name, devices }) => [name, devices.map(({ model }) => model)]),
    [
      ['n1', ['A', 'A']],
      ['n2', ['B', 'B']],
      ['n3', []],
    ],
  );
  assert.deepEqual(
    pods.map(({ name, deviceMilli }) => [name, deviceMilli]),
    [
      ['p1', 1000],
      ['p2', 500],
      ['p3', 0],
      ['p4', 2000],
    ],
  );
});

const bad: Record<string, { readonly read: () => unknown; readonly want: RegExp }> = {
  'a missing column': {
    read: () => parseOpenbNodes('sn,cpu_milli\na,1\n', 'n.csv'),
    want: /cannot read n\.csv: line 1: there is no column memory_mib, gpu, model; the columns are sn, cpu_milli/,
  },
  'every wrong number by its line': {
    read: () => parseOpenbPods(`${PODS}p5,x,1,1,1000,,LS\np6,1,1,1,1001,,LS\n`, 'p.csv'),
    want: /line 6: cpu_milli is 'x', want a .* 0 or more; line 7: gpu_milli is '1001', want a w.* 0 to 1000$/,
  },
  'rows of another width': {
    read: () => parseOpenbPods(`${PODS}p5,1,2\n`, 'p.csv'),
    want: /line 6: has 3 cells, the header 7/,
  },
  'a name that is there already': {
    read: () => parseOpenbPods(`${PODS}p1,1,1,0,0,,LS\n`, 'p.csv'),
    want: /line 6: name 'p1' stands on line 2 already/,
  },
  'a share of several devices': {
    read: () => parseOpenbPods('name,cpu_milli,memory_mib,num_gpu,gpu_milli\na,1,1,2,500\n', 'p.csv'),
    want: /line 2: gpu_milli is 500, want 1000 for several devices/,
  },
  'no share at all': {
    read: () => parseOpenbPods('name,cpu_milli,memory_mib,num_gpu,gpu_milli\na,1,1,1,0\n', 'p.csv'),
    want: /line 2: asks for 1 devices and no share of them/,
  },
  'an empty file': { read: () => parseOpenbNodes('', 'n.csv'), want: /there is no column/ },
  'a list of nothing': {
    read: () => parseOpenbNodes('sn,cpu_milli,memory_mib,gpu,model\n', 'n.csv'),
    want: /there is no node in it/,
  },
  'a policy of another name': { read: () => parsePolicy('best'), want: /want one of athanor, fgd, best-fit/ },
};

for (const [sentence, { read, want }] of Object.entries(bad)) {
  test(`a trace with ${sentence} is refused`, () => assert.throws(read, { message: want }));
}

test('simulateArrivals() places each pod of the trace once unless it is told to inflate', () => {
  const result = simulateArrivals({ nodes, pods, policy: 'athanor', seed: 1 });
  assert.equal(result.pods, 4);
  assert.equal(result.arrivedRatio, 3.5 / 4);
  assert.equal(result.placed + result.dropped, 4);
});

test('simulateArrivals() is the same for the same seed, by every policy, and never gives more than there is', () => {
  for (const policy of Object.keys(POLICIES)) {
    // why: they are keys of the table
    const name = policy as PolicyName;
    const run = (seed: number) => simulateArrivals({ nodes, pods, policy: name, seed, inflate: 1.5 });
    assert.deepEqual(run(7), run(7));
    assert.ok(run(7).allocationRatio <= 1);
    assert.ok(run(7).arrivedRatio <= 1.5 + 0.25 && run(7).arrivedRatio > 1.2);
  }
});

test('drawArrivals() cuts a trace that asks for more than the target', () => {
  const drawn = drawArrivals(pods, 1500, seededRandom(1));
  const demand = drawn.reduce((sum, { deviceMilli }) => sum + deviceMilli, 0);
  assert.ok(demand <= 1500);
});

test('findTypicalTasks() keeps the frequent kinds until they cover 95 of 100', () => {
  const pool = new Pool(nodes);
  const [a, b, c] = pods.map(({ demand }) => pool.classOf(demand));
  assert.ok(a && b && c);
  const tasks = [...Array.from({ length: 90 }, () => a), ...Array.from({ length: 6 }, () => b), c, c, c, c];
  assert.deepEqual(
    findTypicalTasks(tasks).map(({ task, popularity }) => [task.index, popularity]),
    [
      [0, 90],
      [1, 6],
    ],
  );
});

test('preferLeastFragmentation() keeps a whole device for those who usually want one', () => {
  const pool = new Pool(parseOpenbNodes('sn,cpu_milli,memory_mib,gpu,model\nm,64000,262144,2,A\n', 'n'));
  const [whole, half] = pods.map(({ demand }) => pool.classOf(demand));
  assert.ok(whole && half);
  const placer = new Placer(
    pool,
    preferLeastFragmentation(pool, [
      { task: whole, popularity: 3 },
      { task: half, popularity: 1 },
    ]),
  );
  const first = placer.place(half);
  const second = placer.place(half);
  assert.deepEqual([first?.devices, second?.devices], [[0], [0]], 'both halves share the device');
  assert.deepEqual(placer.place(whole)?.devices, [1]);
  assert.equal(placer.place(half), undefined);
});

test('Pool gives back exactly what was taken', () => {
  const pool = new Pool(nodes);
  const before = [...pool.free, ...pool.idleCores, ...pool.idleMiB];
  const placements = pods.flatMap(({ demand }) => {
    const placement = new Placer(pool, POLICIES.pack.prefer({ pool, typical: [], random: seededRandom(1) })).place(
      pool.classOf(demand),
    );
    return placement === undefined ? [] : [placement];
  });
  for (const placement of placements) pool.give(placement);
  assert.deepEqual([...pool.free, ...pool.idleCores, ...pool.idleMiB], before);
});
