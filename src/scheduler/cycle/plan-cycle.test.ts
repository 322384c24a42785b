/** What one cycle decides, case by case. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PoolNode } from '../pool/pool.ts';
import { buildQueueTree, type QueueDeclaration } from '../queues/queue-tree.ts';
import { type CyclePlan, planCycle, type Scene } from './plan-cycle.ts';
import type { Reserved } from './reservations.ts';
import { job, machine, queue, startsOf } from './test-world.ts';
import type { Workload } from './workload.ts';

interface Case {
  readonly nodes?: readonly PoolNode[];
  readonly queues?: readonly QueueDeclaration[];
  readonly workloads: readonly Workload[];
  readonly scene?: Partial<Scene>;
  /** `member on node`, sorted. */
  readonly wantStarts?: readonly string[];
  /** `workload cause`, sorted. */
  readonly wantVictims?: readonly string[];
  /** Which of their members, where it matters. */
  readonly wantVictimPods?: readonly string[];
  /** Reason by workload. */
  readonly wantWaiting?: Readonly<Record<string, string>>;
}

const two = [machine('n1'), machine('n2')];
const hour = 3_600_000;
const racks = ['a', 'a', 'b', 'b'].map((rack, index) => machine(`n${index}`, { labels: { rack } }));

const cases: Record<string, Case> = {
  'starts a gang whole': {
    nodes: two,
    workloads: [job('g', { size: 8 })],
    wantStarts: Array.from({ length: 8 }, (_, index) => `g-${index} on n${index < 4 ? 1 : 2}`),
  },
  'starts no part of a gang that does not fit': {
    workloads: [job('g', { size: 5 })],
    wantWaiting: { g: 'NoRoom' },
  },
  'starts an elastic gang with what there is': {
    workloads: [job('g', { size: 6, minMember: 2 })],
    wantStarts: ['g-0 on n1', 'g-1 on n1', 'g-2 on n1', 'g-3 on n1'],
    wantWaiting: { g: 'NoRoom' },
  },
  'lets the minimum of everybody start before anybody grows': {
    workloads: [job('g', { size: 4, minMember: 2 }), job('h', { size: 2, createdAtMs: 1 })],
    wantStarts: ['g-0 on n1', 'g-1 on n1', 'h-0 on n1', 'h-1 on n1'],
    wantWaiting: { g: 'NoRoom' },
  },
  'packs shares onto one device': {
    workloads: [job('a', { milli: 400 }), job('b', { milli: 600 }), job('c', { count: 3 })],
    wantStarts: ['a-0 on n1', 'b-0 on n1', 'c-0 on n1'],
  },
  'keeps a queue below its limit': {
    queues: [queue('q', { limit: { devices: 2 } })],
    workloads: [job('a', { queue: 'q', size: 2 }), job('b', { queue: 'q', createdAtMs: 1 })],
    wantStarts: ['a-0 on n1', 'a-1 on n1'],
    wantWaiting: { b: 'QueueLimit' },
  },
  'keeps a user below the limit of one': {
    queues: [queue('q', { userLimit: { devices: 1 } })],
    workloads: [job('a', { queue: 'q', user: 'eve' }), job('b', { queue: 'q', user: 'eve', createdAtMs: 1 })],
    wantStarts: ['a-0 on n1'],
    wantWaiting: { b: 'UserLimit' },
  },
  'lends what is guaranteed only to who can be stopped': {
    queues: [queue('q', { guaranteed: { devices: 1 } })],
    workloads: [job('a', { queue: 'q', size: 2, isPreemptible: false })],
    wantWaiting: { a: 'OverGuaranteed' },
  },
  'says that there is no such queue': {
    workloads: [job('a', { queue: 'nowhere' })],
    wantWaiting: { a: 'Unusable' },
  },
  'gives the emptier queue its turn first': {
    queues: [queue('p'), queue('q')],
    workloads: [
      job('old', { queue: 'p', size: 3, on: ['n1', 'n1', 'n1'] }),
      job('a', { queue: 'p' }),
      job('b', { queue: 'q', createdAtMs: 9 }),
    ],
    wantStarts: ['b-0 on n1'],
    wantWaiting: { a: 'NoRoom' },
    scene: { mayStop: false },
  },
  'takes back what another queue holds beyond its share, the youngest first': {
    queues: [queue('p', { guaranteed: { devices: 2 } }), queue('q', { guaranteed: { devices: 2 } })],
    workloads: [
      job('old', { queue: 'p', on: ['n1'], startedAtMs: -hour }),
      job('mid', { queue: 'p', on: ['n1'], startedAtMs: -3000 }),
      job('new', { queue: 'p', on: ['n1'], startedAtMs: -2000 }),
      job('newest', { queue: 'p', on: ['n1'], startedAtMs: -1000 }),
      job('a', { queue: 'q', size: 2 }),
    ],
    wantVictims: ['new reclaim', 'newest reclaim'],
    wantWaiting: { a: 'Nominated' },
  },
  'takes nothing back for who would then hold too much': {
    queues: [queue('p', { guaranteed: { devices: 2 } }), queue('q', { guaranteed: { devices: 2 } })],
    workloads: [
      job('old', { queue: 'p', size: 4, minMember: 1, on: ['n1', 'n1', 'n1', 'n1'] }),
      job('a', { queue: 'q', size: 3 }),
    ],
    wantWaiting: { a: 'NoRoom' },
  },
  'shrinks an elastic gang before it stops one': {
    queues: [queue('p', { guaranteed: { devices: 2 } }), queue('q', { guaranteed: { devices: 2 } })],
    workloads: [
      job('elastic', { queue: 'p', size: 3, minMember: 1, on: ['n1', 'n1', 'n1'], startedAtMs: -hour }),
      job('young', { queue: 'p', on: ['n1'], startedAtMs: -1 }),
      job('a', { queue: 'q' }),
    ],
    wantVictims: ['elastic reclaim'],
    wantWaiting: { a: 'Nominated' },
  },
  'lets the first members of an elastic gang go on, also after moving it was tried in vain': {
    queues: [queue('p', { guaranteed: { devices: 2 } }), queue('q', { guaranteed: { devices: 2 } })],
    workloads: [
      job('elastic', { queue: 'p', size: 4, minMember: 1, on: ['n1', 'n1', 'n1', 'n1'], startedAtMs: -hour }),
      job('pair', { queue: 'q', size: 2 }),
    ],
    wantVictims: ['elastic reclaim', 'elastic reclaim'],
    wantVictimPods: ['elastic-2', 'elastic-3'],
    wantWaiting: { pair: 'Nominated' },
  },
  'lets who has just started run for as long as the queue promises': {
    queues: [queue('p', { reclaimMinRuntimeMs: hour }), queue('q', { guaranteed: { devices: 4 } })],
    workloads: [job('old', { queue: 'p', size: 4, on: ['n1', 'n1', 'n1', 'n1'] }), job('a', { queue: 'q', size: 4 })],
    wantWaiting: { a: 'NoRoom' },
  },
  'stops a smaller priority of the same queue': {
    workloads: [job('low', { size: 4, on: ['n1', 'n1', 'n1', 'n1'] }), job('high', { priority: 5 })],
    wantVictims: ['low preempt'],
    wantWaiting: { high: 'Nominated' },
  },
  'stops nobody who may not be stopped': {
    workloads: [
      job('low', { size: 4, isPreemptible: false, on: ['n1', 'n1', 'n1', 'n1'] }),
      job('high', { priority: 5 }),
    ],
    wantWaiting: { high: 'NoRoom' },
  },
  'moves others together when that makes the room, and stops nobody': {
    nodes: two,
    workloads: [
      job('a', { on: ['n1'], startedAtMs: -hour }),
      job('b', { on: ['n2'], startedAtMs: -hour }),
      job('big', { count: 4 }),
    ],
    wantVictims: ['a consolidate'],
    wantWaiting: { big: 'Nominated' },
  },
  'moves nobody in his first hour': {
    nodes: two,
    workloads: [job('a', { on: ['n1'] }), job('b', { on: ['n2'] }), job('big', { count: 4 })],
    wantWaiting: { big: 'NoRoom' },
  },
  'moves nobody who would find no place': {
    nodes: two,
    workloads: [job('a', { count: 3, on: ['n1'] }), job('b', { count: 2, on: ['n2'] }), job('big', { count: 4 })],
    wantWaiting: { big: 'NoRoom' },
  },
  'keeps a gang within one rack': {
    nodes: racks,
    workloads: [job('there', { on: ['n0'] }), job('g', { size: 8, topology: { required: 'rack' } })],
    wantStarts: Array.from({ length: 8 }, (_, index) => `g-${index} on n${index < 4 ? 2 : 3}`),
  },
  'says that no rack is enough': {
    nodes: racks,
    workloads: [job('g', { size: 9, topology: { required: 'rack' } })],
    wantWaiting: { g: 'Topology' },
  },
  'leaves a preferred rack when it must': {
    nodes: racks,
    workloads: [job('g', { size: 9, topology: { preferred: ['rack'] } })],
    wantStarts: Array.from({ length: 9 }, (_, index) => `g-${index} on n${Math.floor(index / 4)}`),
  },
  'spreads when asked to': {
    nodes: two,
    workloads: [job('g', { size: 2, placement: 'spread' })],
    wantStarts: ['g-0 on n1', 'g-1 on n2'],
  },
  'gives a workload nodes of its own': {
    nodes: two,
    workloads: [
      job('there', { on: ['n1'] }),
      job('own', { isExclusive: true }),
      job('late', { count: 4, createdAtMs: 1 }),
    ],
    wantStarts: ['own-0 on n2'],
    wantWaiting: { late: 'NoRoom' },
    scene: { mayMove: false },
  },
  'promises nodes to who waits long, and fills in only who ends before': {
    scene: { nowMs: hour, promiseAfterMs: 1000, mayStop: false, mayMove: false },
    workloads: [
      job('run', { count: 3, on: ['n1'], estimateMs: 2 * hour }),
      job('big', { count: 4, createdAtMs: 1 }),
      job('long', { createdAtMs: 2, estimateMs: 10 * hour }),
      job('short', { createdAtMs: 3, estimateMs: hour / 2 }),
    ],
    wantStarts: ['short-0 on n1'],
    wantWaiting: { big: 'NoRoom', long: 'Reserved' },
  },
  'lets a larger priority take no more than its share in the place of a small one': {
    queues: [queue('p'), queue('q')],
    workloads: [
      job('small', { queue: 'p', on: ['n1'] }),
      job('large', { queue: 'p', count: 4, priority: 1 }),
      job('large too', { queue: 'q', count: 4 }),
    ],
    wantWaiting: { large: 'NoRoom', 'large too': 'NoRoom' },
  },
  'by service, starts first who has had least': {
    queues: [queue('q', { order: 'LeastAttainedService' })],
    scene: { nowMs: 100 * hour },
    workloads: [
      job('much', { queue: 'q', size: 3, attainedMs: 90 * hour }),
      job('fresh', { queue: 'q', size: 3, createdAtMs: 99 * hour }),
    ],
    wantStarts: ['fresh-0 on n1', 'fresh-1 on n1', 'fresh-2 on n1'],
    wantWaiting: { much: 'NoRoom' },
  },
  'by service, stops who has had most for who has had little': {
    queues: [queue('q', { order: 'LeastAttainedService' })],
    scene: { nowMs: 100 * hour },
    workloads: [
      job('most', { queue: 'q', size: 2, on: ['n1', 'n1'], attainedMs: 200 * hour }),
      job('much', { queue: 'q', size: 2, on: ['n1', 'n1'], attainedMs: 100 * hour }),
      job('fresh', { queue: 'q', size: 2, createdAtMs: 99 * hour }),
    ],
    wantVictims: ['most preempt'],
    wantWaiting: { fresh: 'Nominated' },
  },
  'by service, leaves everybody the first hours': {
    queues: [queue('q', { order: 'LeastAttainedService' })],
    scene: { nowMs: 100 * hour },
    workloads: [
      job('a', { queue: 'q', count: 4, on: ['n1'], createdAtMs: 99 * hour, attainedMs: 3 * hour }),
      job('fresh', { queue: 'q', createdAtMs: 99 * hour }),
    ],
    wantWaiting: { fresh: 'NoRoom' },
  },
  'by service, lets a turn last until one has had twice as much': {
    queues: [queue('q', { order: 'LeastAttainedService' })],
    scene: { nowMs: 100 * hour },
    workloads: [
      job('a', { queue: 'q', count: 4, on: ['n1'], attainedMs: 390 * hour }),
      job('b', { queue: 'q', count: 4, attainedMs: 320 * hour }),
    ],
    wantWaiting: { b: 'NoRoom' },
  },
  'by service, still puts the larger priority first': {
    queues: [queue('q', { order: 'LeastAttainedService' })],
    scene: { nowMs: 100 * hour },
    workloads: [
      job('fresh', { queue: 'q', count: 4, on: ['n1'], createdAtMs: 99 * hour }),
      job('urgent', { queue: 'q', count: 4, attainedMs: 300 * hour, priority: 1 }),
    ],
    wantVictims: ['fresh preempt'],
    wantWaiting: { urgent: 'Nominated' },
  },
  'stops a gang that was cut, after its time': {
    scene: { nowMs: hour },
    workloads: [job('g', { size: 8, on: ['n1', 'n1'], partialSinceMs: 0, startTimeoutMs: 1000 })],
    wantVictims: ['g stale'],
  },
  'empties a node that is not well': {
    nodes: two,
    scene: { drained: new Set(['n1']) },
    workloads: [job('a', { on: ['n1'] }), job('b', { on: ['n2'] })],
    wantVictims: ['a unhealthy'],
  },
  'keeps reserved room, and gives it to who names it': {
    nodes: two,
    scene: { reservations: [reserve('r', 5, { nodes: ['n1', 'n1', 'n1', 'n1'] })] },
    workloads: [
      job('early', { size: 4 }),
      job('in', { size: 2, reservation: 'r', createdAtMs: 1 }),
      job('out', { size: 4 }),
    ],
    wantStarts: ['in-0 on n1', 'in-1 on n1', 'reservation/r#4 on n2'],
    wantWaiting: { early: 'NoRoom', out: 'NoRoom' },
  },
  'says that a reservation is not there': {
    workloads: [job('in', { reservation: 'r' })],
    wantWaiting: { in: 'Unusable' },
  },
  'keeps nodes for a reservation that begins soon, and lets who ends before use them': {
    scene: { reservations: [reserve('r', 4, { startMs: hour / 2 })] },
    workloads: [job('long', { estimateMs: hour }), job('short', { createdAtMs: 1, estimateMs: hour / 4 })],
    wantStarts: ['short-0 on n1'],
    wantWaiting: { long: 'Reserved' },
  },
  'stops what stands on a device that is not well, where its node says so': {
    nodes: [sickMachine('n1'), sickMachine('n2')],
    scene: { drainedDevices: new Set(['n1']) },
    workloads: [job('a', { on: ['n1'] }), job('b', { on: ['n2'] })].map(onFirstDevice),
    wantVictims: ['a unhealthy'],
  },
  'leaves a workload that pauses its share': {
    queues: [queue('p', { guaranteed: { devices: 2 } }), queue('q', { guaranteed: { devices: 2 } })],
    workloads: [
      job('paused', { queue: 'p', size: 2, on: ['n1', 'n1'], pause: 'not just now' }),
      job('more', { queue: 'q', size: 2, on: ['n1', 'n1'] }),
      job('a', { queue: 'q', createdAtMs: 1 }),
    ],
    wantWaiting: { a: 'NoRoom' },
  },
  'makes no room among others for who names a reservation': {
    scene: { reservations: [reserve('r', 1, { nodes: ['n1'] })] },
    workloads: [job('low', { count: 3, on: ['n1'] }), job('guest', { size: 2, reservation: 'r', priority: 9 })],
    wantWaiting: { guest: 'NoRoom' },
  },
  'lets one who never leaves block only himself': {
    nodes: two,
    workloads: [
      {
        ...job('stuck', { on: ['n1'] }),
        members: job('stuck', { on: ['n1'] }).members.map((one) => ({ ...one, isLeaving: true })),
      },
      job('a', { size: 7 }),
    ],
    wantStarts: ['a-0 on n1', 'a-1 on n1', 'a-2 on n1', 'a-3 on n2', 'a-4 on n2', 'a-5 on n2', 'a-6 on n2'],
  },
};

function sickMachine(name: string): PoolNode {
  const well = machine(name);
  return { ...well, devices: well.devices.map((device, index) => ({ ...device, isHealthy: index !== 0 })) };
}

function onFirstDevice(workload: Workload): Workload {
  const members = workload.members.map((member) => ({
    ...member,
    ...(member.on && { on: { ...member.on, devices: [0] } }),
  }));
  return { ...workload, members };
}

function reserve(name: string, members: number, more: Partial<Reserved> = {}): Reserved {
  const [member] = job(name).members;
  assert.ok(member);
  const { demand } = member;
  return { name, queue: 'default', demand, members, startMs: 0, endMs: 2 * hour, nodes: [], ...more };
}

function plan({ nodes = [machine('n1')], queues = [], workloads, scene = {} }: Case): CyclePlan {
  return planCycle({ nowMs: 0, nodes, tree: buildQueueTree(queues), workloads, policy: 'athanor', ...scene });
}

for (const [sentence, example] of Object.entries(cases)) {
  test(`planCycle() ${sentence}`, () => {
    const answer = plan(example);
    assert.deepEqual(startsOf(answer), example.wantStarts ?? []);
    const victims = answer.victims.map(({ workload, cause }) => `${workload.key} ${cause}`).sort();
    assert.deepEqual(victims, example.wantVictims ?? []);
    const pods = answer.victims.flatMap(({ holdings }) => holdings.map(({ member }) => member.key)).sort();
    if (example.wantVictimPods !== undefined) assert.deepEqual(pods, example.wantVictimPods);
    const waiting = Object.fromEntries(answer.waiting.map(({ workload, refusal }) => [workload.key, refusal.reason]));
    assert.deepEqual(waiting, example.wantWaiting ?? {});
  });
}
