/** Queues as a tree, what is wrong with one, who gets which share, and how use before counts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { computeFairShares } from './fair-share.ts';
import { buildQueueTree, findQueueProblems, lineOf, QUEUE_DEFAULTS, type QueueDeclaration } from './queue-tree.ts';
import { emptyUsage, recordUsage } from './usage.ts';

const queue = (name: string, more: Partial<QueueDeclaration> = {}): QueueDeclaration => ({
  ...QUEUE_DEFAULTS,
  name,
  ...more,
});

const problems: Record<string, { readonly queues: readonly QueueDeclaration[]; readonly want: readonly string[] }> = {
  'nothing in a sound tree': {
    queues: [queue('a', { guaranteed: { devices: 4 } }), queue('b', { parent: 'a', guaranteed: { devices: 4 } })],
    want: [],
  },
  'a parent that is not there': {
    queues: [queue('a', { parent: 'x' })],
    want: ['a spec.parent: there is no queue x'],
  },
  'a circle, at each queue of it': {
    queues: [queue('a', { parent: 'b' }), queue('b', { parent: 'a' }), queue('c', { parent: 'a' })],
    want: ['a spec.parent: makes a circle: a > b > a', 'b spec.parent: makes a circle: b > a > b'],
  },
  'children that are promised more than their parent': {
    queues: [
      queue('a', { guaranteed: { devices: 4 } }),
      queue('b', { parent: 'a', guaranteed: { devices: 3 } }),
      queue('c', { parent: 'a', guaranteed: { devices: 2 } }),
    ],
    want: ['a spec.guaranteed.devices: is 4, less than the 5 guaranteed to its children b, c'],
  },
  'amounts and weights below nothing': {
    queues: [queue('a', { limit: { cpu: -1 }, overQuotaWeight: -2 })],
    want: ['a spec.limit.cpu: is -1, want 0 or more', 'a spec.overQuotaWeight: is -2, want 0 or more'],
  },
  'a guarantee above the limit': {
    queues: [queue('a', { guaranteed: { devices: 4 }, limit: { devices: 2 } })],
    want: ['a spec.guaranteed.devices: is 4, more than the limit of 2'],
  },
};

for (const [sentence, { queues, want }] of Object.entries(problems)) {
  test(`findQueueProblems() finds ${sentence}`, () => {
    const found = findQueueProblems(queues).map((one) => `${one.queue} ${one.field}: ${one.message}`);
    assert.deepEqual(found, want);
  });
}

test('buildQueueTree() leaves out what has no place in the tree, and always has the default queue', () => {
  const tree = buildQueueTree([
    queue('a', { parent: 'a' }),
    queue('b', { parent: 'a' }),
    queue('c'),
    queue('d', { parent: 'c' }),
  ]);
  assert.deepEqual([...tree.byName.keys()].sort(), ['c', 'd', 'default']);
  const leaf = tree.byName.get('d');
  assert.deepEqual(leaf && lineOf(leaf).map(({ name }) => name), ['d', 'c']);
});

interface ShareCase {
  readonly queues: readonly QueueDeclaration[];
  readonly requested: Readonly<Record<string, number>>;
  readonly usage?: Readonly<Record<string, number>>;
  readonly want: Readonly<Record<string, number>>;
}

const guaranteed = (devices: number) => ({ guaranteed: { devices } });
const shares: Record<string, ShareCase> = {
  'gives what is guaranteed first': {
    queues: [queue('a', guaranteed(8)), queue('b', guaranteed(2))],
    requested: { a: 8, b: 100 },
    want: { a: 8, b: 2 },
  },
  'lends what is not asked for': {
    queues: [queue('a', guaranteed(8)), queue('b', guaranteed(2))],
    requested: { a: 3, b: 100 },
    want: { a: 3, b: 7 },
  },
  'shares the rest by weight, among those who still ask': {
    queues: [queue('a', { overQuotaWeight: 3 }), queue('b'), queue('c')],
    requested: { a: 4, b: 100, c: 100 },
    want: { a: 4, b: 3, c: 3 },
  },
  'serves the higher priority first': {
    queues: [queue('a', { priority: 1 }), queue('b')],
    requested: { a: 7, b: 100 },
    want: { a: 7, b: 3 },
  },
  'gives nothing over to a weight of nothing': {
    queues: [queue('a', { overQuotaWeight: 0, ...guaranteed(1) }), queue('b')],
    requested: { a: 9, b: 2 },
    want: { a: 1, b: 2 },
  },
  'keeps what may not be lent': {
    queues: [queue('a', { ...guaranteed(8), lendingLimit: { devices: 3 } }), queue('b')],
    requested: { a: 0, b: 100 },
    want: { a: 5, b: 5 },
  },
  'never goes beyond a limit': {
    queues: [queue('a', { limit: { devices: 2 } }), queue('b')],
    requested: { a: 100, b: 100 },
    want: { a: 2, b: 8 },
  },
  'shares again below each queue': {
    queues: [
      queue('a', guaranteed(6)),
      queue('a1', { parent: 'a', ...guaranteed(4) }),
      queue('a2', { parent: 'a' }),
      queue('b'),
    ],
    requested: { a1: 2, a2: 100, b: 100 },
    want: { a: 8, a1: 2, a2: 6, b: 2 },
  },
  'scales promises down to what there is': {
    queues: [queue('a', guaranteed(15)), queue('b', guaranteed(5))],
    requested: { a: 15, b: 5 },
    want: { a: 7.5, b: 2.5 },
  },
  'gives more to who used less before': {
    queues: [queue('a'), queue('b')],
    requested: { a: 100, b: 100 },
    usage: { a: 6, b: 2 },
    want: { a: 2.5, b: 7.5 },
  },
};

for (const [sentence, { queues, requested, usage, want }] of Object.entries(shares)) {
  test(`computeFairShares() ${sentence}`, () => {
    const toAccounts = (amounts: Readonly<Record<string, number>>) =>
      new Map(Object.entries(amounts).map(([name, devices]) => [name, { devices }]));
    const found = computeFairShares({
      tree: buildQueueTree(queues),
      capacity: { devices: 10 },
      requested: toAccounts(requested),
      ...(usage && { usage: toAccounts(usage), usageStrength: 1 }),
    });
    const devices = Object.fromEntries(queues.map(({ name }) => [name, found.get(name)?.['devices']]));
    assert.deepEqual(devices, want);
  });
}

test('computeFairShares() shares no more than there is, gives nobody more than he asks for, and leaves nothing lying', () => {
  const level = fc.array(
    fc.record({
      guaranteed: fc.nat(20),
      weight: fc.nat(5),
      priority: fc.nat(2),
      wanted: fc.nat(40),
    }),
    { minLength: 1, maxLength: 8 },
  );
  fc.assert(
    fc.property(level, fc.nat(60), (queues, total) => {
      const declared = queues.map(({ weight, priority, ...one }, index) =>
        queue(`q${index}`, { guaranteed: { devices: one.guaranteed }, overQuotaWeight: weight, priority }),
      );
      const requested = new Map(queues.map(({ wanted }, index) => [`q${index}`, { devices: wanted }]));
      const found = computeFairShares({ tree: buildQueueTree(declared), capacity: { devices: total }, requested });
      const given = queues.map((_, index) => found.get(`q${index}`)?.['devices'] ?? 0);
      const sum = given.reduce((a, b) => a + b, 0);
      assert.ok(sum <= total + 1e-6);
      for (const [index, { wanted }] of queues.entries()) assert.ok((given[index] ?? 0) <= wanted + 1e-6);
      const isHungry = queues.some(({ wanted, weight }, index) => weight > 0 && (given[index] ?? 0) < wanted - 1e-6);
      if (isHungry) assert.ok(sum >= total - 1e-6, 'who still asks and has a weight is given what is left');
    }),
  );
});

test('recordUsage() forgets half in a half-life', () => {
  const held = new Map([['a', { devices: 8 }]]);
  const once = recordUsage(emptyUsage(0), held, { nowMs: 1000, halfLifeMs: 1000 });
  assert.equal(once.byQueue.get('a')?.['devices'], 4);
  const later = recordUsage(once, new Map(), { nowMs: 2000, halfLifeMs: 1000 });
  assert.equal(later.byQueue.get('a')?.['devices'], 2);
  assert.equal(recordUsage(later, held, { nowMs: 1500, halfLifeMs: 1000 }), later);
});
