/** What holds of many cycles of random clusters, queues and failures, whatever is decided. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Random, seededRandom } from '../../base/random.ts';
import type { PoolNode } from '../pool/pool.ts';
import { buildQueueTree, type QueueDeclaration } from '../queues/queue-tree.ts';
import { SimulatedCluster } from '../simulate/cluster.ts';
import { Ledger } from './ledger.ts';
import { type CyclePlan, planCycle } from './plan-cycle.ts';
import { job, machine, queue, startsOf } from './test-world.ts';
import type { Workload } from './workload.ts';

/** When the clusters are looked at: service and age count in hours. */
const NOW_MS = 360_000_000;

/** A random tree of queues, some machines and jobs; one queue in two goes by service. */
function randomWorld(random: Random) {
  const int = (least: number, most: number) => least + Math.floor(random() * (most - least + 1));
  const nodes = Array.from({ length: int(1, 6) }, (_, index) =>
    machine(`n${index}`, { devices: int(0, 4), cpu: int(2, 16) * 1000, labels: { rack: String(index % 2) } }),
  );
  const total = nodes.reduce((sum, { devices }) => sum + devices.length, 0);
  const parents = Array.from({ length: int(1, 3) }, (_, index) => {
    const devices = int(0, Math.floor(total / 2));
    const order = random() < 0.5 ? 'Priority' : 'LeastAttainedService';
    return queue(`p${index}`, { guaranteed: { devices }, overQuotaWeight: int(0, 3), priority: int(0, 1), order });
  });
  const children = parents.flatMap((parent) =>
    Array.from({ length: int(0, 3) }, (_, index) => {
      const devices = Math.floor((parent.guaranteed['devices'] ?? 0) / 3);
      const limit = random() < 0.3 ? { devices: Math.max(devices, int(1, 4)) } : {};
      return queue(`${parent.name}-${index}`, {
        parent: parent.name,
        order: random() < 0.5 ? 'Priority' : 'LeastAttainedService',
        guaranteed: { devices },
        limit,
        overQuotaWeight: int(0, 3),
      });
    }),
  );
  const names = [...parents, ...children].map(({ name }) => name);
  const jobs = Array.from({ length: int(1, 24) }, (_, index) => {
    const size = int(1, 4);
    const isWhole = random() < 0.6;
    return job(`j${index}`, {
      size,
      minMember: int(1, size),
      count: random() < 0.1 ? 0 : isWhole ? int(1, 2) : 1,
      milli: isWhole ? 1000 : int(1, 9) * 100,
      queue: names[int(0, names.length - 1)] ?? 'default',
      priority: int(0, 2),
      isPreemptible: random() < 0.85,
      createdAtMs: index,
      attainedMs: int(0, 1) * int(0, 400) * 360_000,
      startTimeoutMs: 60_000,
      ...(random() < 0.2 && { topology: { required: 'rack' } }),
      ...(random() < 0.1 && { isExclusive: true }),
      ...(random() < 0.3 && { estimateMs: int(1, 100) * 1000 }),
    });
  });
  return { nodes, queues: [...parents, ...children], jobs, int };
}

/** Everything that must hold whatever was decided: looked at anew from the places alone. */
function checkPlaces(
  cluster: SimulatedCluster,
  { nodes, queues }: { nodes: readonly PoolNode[]; queues: readonly QueueDeclaration[] },
) {
  const ledger = new Ledger(nodes, buildQueueTree(queues));
  const { pool } = ledger;
  for (const workload of cluster.workloads()) {
    const seated = workload.members.filter(({ on }) => on !== undefined);
    assert.ok(seated.length === 0 || seated.length >= workload.minMember, `${workload.key} runs as a whole or not`);
    const rackOf = new Set(seated.map(({ on }) => nodes.find(({ name }) => name === on?.node)?.labels['rack']));
    if (workload.topology !== undefined) assert.ok(rackOf.size <= 1, `${workload.key} stays in one rack`);
    for (const member of seated) {
      const node = pool.indexOf(member.on?.node ?? '');
      const first = pool.firstDevice[node] ?? 0;
      const devices = (member.on?.devices ?? []).map((device) => first + device);
      assert.equal(new Set(devices).size, member.demand.share?.count ?? 0, 'each device is counted once');
      ledger.take({ workload, member, placement: { task: pool.classOf(member.demand), node, devices } });
    }
  }
  assert.ok(
    pool.free.every((left) => left >= 0),
    'nothing is given twice',
  );
  assert.ok(
    pool.idleCores.every((left) => left >= 0),
    'no device is over-booked',
  );
  for (const [node, there] of ledger.occupants.entries())
    if (ledger.exclusive.has(node)) assert.equal(there.size, 1, 'a node of its own has one workload');
  for (const { name, limit } of ledger.tree.byName.values())
    for (const [resource, most] of Object.entries(limit))
      assert.ok((ledger.allocated.get(name)?.[resource] ?? 0) <= most + 1e-6, `${name} stays below its limit`);
}

test('planCycle() keeps its promises whatever comes, goes and fails', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (seed) => {
      const random = seededRandom(seed);
      const { nodes, queues, jobs, int } = randomWorld(random);
      let there = nodes;
      const options = { nodes, tree: buildQueueTree(queues), policy: 'athanor' as const, promiseAfterMs: 20_000 };
      const cluster = new SimulatedCluster(options);
      for (let nowMs = NOW_MS; nowMs < NOW_MS + 200_000; nowMs += 10_000) {
        for (const one of jobs.splice(0, int(0, 4))) cluster.submit({ ...one, createdAtMs: nowMs });
        if (random() < 0.1) {
          there = nodes.filter(() => random() < 0.8);
          cluster.change({ nodes: there });
        }
        const running = cluster.workloads().filter(({ startedAtMs }) => startedAtMs !== undefined);
        const ended = running[int(0, running.length)];
        if (ended !== undefined) cluster.remove(ended.key);
        cluster.cycle(nowMs);
        checkPlaces(cluster, { nodes: there, queues });
      }
    }),
    { numRuns: 300 },
  );
});

test('planCycle() comes to rest: nobody stops another who stops him in turn', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (seed) => {
      const { nodes, queues, jobs } = randomWorld(seededRandom(seed));
      const cluster = new SimulatedCluster({ nodes, tree: buildQueueTree(queues), policy: 'athanor' });
      for (const one of jobs) {
        cluster.submit(one);
        cluster.cycle(NOW_MS);
      }
      const isQuiet = ({ starts, victims }: CyclePlan) => starts.length === 0 && victims.length === 0;
      for (let round = 0; round < 40; round += 1) if (isQuiet(cluster.cycle(NOW_MS))) return;
      assert.fail('after 40 cycles in which nothing came or went, somebody is still being stopped or started');
    }),
    // The example: two elastic gangs took from each other in turn what they had grown into.
    { numRuns: 500, examples: [[1_030_032_804]] },
  );
});

test('planCycle() gives equal snapshots equal plans', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (seed) => {
      const { nodes, queues, jobs } = randomWorld(seededRandom(seed));
      const told = (workloads: readonly Workload[], machines: readonly PoolNode[]) => {
        const answer = planCycle({
          nowMs: NOW_MS,
          nodes: machines,
          tree: buildQueueTree(queues),
          workloads,
          policy: 'athanor',
        });
        return [startsOf(answer), answer.victims.map(({ workload }) => workload.key)];
      };
      assert.deepEqual(told(jobs, nodes), told(jobs.toReversed(), nodes.toReversed()));
    }),
    { numRuns: 200 },
  );
});
