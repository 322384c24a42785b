/** Tiny traces whose answers can be told by hand, under published rules and under the product's own plans. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildQueueTree, QUEUE_DEFAULTS } from '../queues/queue-tree.ts';
import { EngineJobs, makeDeviceNodes } from './engine-jobs.ts';
import { type JobOutcome, type JobScheduler, simulateJobs, type TraceJob } from './jobs.ts';
import { LIST_RULES, ListScheduler } from './list-scheduler.ts';
import { parsePhillyJobs } from './philly.ts';

const minute = 60_000;
const hour = 60 * minute;
const times = { roundMs: 5 * minute, restartMs: minute };

/** Comes, runs so long, on so many devices. */
const job = (name: string, [submitMs, durationMs, devices = 1]: readonly [number, number, number?]): TraceJob => {
  return { name, submitMs, durationMs, devices, tenant: 'default' };
};

type Rule = keyof typeof LIST_RULES | 'Priority' | 'LeastAttainedService';

function schedulerOf(rule: Rule, nodes: number, perNode: number): JobScheduler {
  if (rule !== 'Priority' && rule !== 'LeastAttainedService')
    return new ListScheduler(LIST_RULES[rule], { nodes, perNode });
  const tree = buildQueueTree([{ ...QUEUE_DEFAULTS, name: 'default', order: rule }]);
  const queueOf = () => 'default';
  return new EngineJobs({ nodes: makeDeviceNodes(nodes, perNode), perNode, queueOf, tree, policy: 'athanor' });
}

/** `name: minutes of waiting, stops`. */
const tell = (outcomes: readonly JobOutcome[]) =>
  outcomes.map(({ job: { name }, waitMs, stops }) => `${name}: ${waitMs / minute}, ${stops}`);

interface Case {
  readonly jobs: readonly TraceJob[];
  readonly nodes?: number;
  readonly perNode?: number;
  readonly want: Partial<Record<Rule, readonly string[]>>;
}

/** On one node of two devices. `wide` has to wait for `first`; `long` may pass it or not. */
const passing = [
  job('first', [0, 60 * minute]),
  job('wide', [minute, 10 * minute, 2]),
  job('long', [2 * minute, 58 * minute]),
  job('short', [3 * minute, 10 * minute]),
];
/** `fresh` comes when `old` has had its quantum, and nobody knows how long either will run. */
const turns = [job('old', [0, 10 * hour, 2]), job('fresh', [4 * hour, 30 * minute, 2])];

const cases: Record<string, Case> = {
  'lets nobody pass, or who fits': {
    jobs: passing,
    want: {
      'FIFO strict': ['first: 0, 0', 'wide: 59, 0', 'long: 68, 0', 'short: 67, 0'],
      'FIFO + skip': ['first: 0, 0', 'wide: 59, 0', 'long: 0, 0', 'short: 67, 0'],
      Priority: ['first: 0, 0', 'wide: 59, 0', 'long: 0, 0', 'short: 67, 0'],
    },
  },
  'starts the shortest of those that wait': {
    jobs: [job('first', [0, 60 * minute, 2]), job('long', [1, 2 * hour, 2]), job('short', [2, hour, 2])],
    want: { 'SJF oracle': ['first: 0, 0', `long: ${120 - 1 / minute}, 0`, `short: ${60 - 2 / minute}, 0`] },
  },
  'stops who has had much for who has had little, which costs a minute': {
    jobs: turns,
    want: {
      'LAS continuous': ['old: 31, 1', 'fresh: 0, 0'],
      '2D-LAS': ['old: 31, 1', 'fresh: 0, 0'],
      LeastAttainedService: ['old: 31, 1', 'fresh: 0, 0'],
      Priority: ['old: 0, 0', 'fresh: 360, 0'],
    },
  },
  'stops in rounds only': {
    jobs: [job('old', [0, 10 * hour, 2]), job('fresh', [4 * hour + minute, 30 * minute, 2])],
    want: { LeastAttainedService: ['old: 31, 1', 'fresh: 4, 0'] },
  },
  'gives what is larger than a node empty nodes': {
    jobs: [job('one', [0, hour]), job('wide', [minute, hour, 3]), job('late', [2 * minute, hour])],
    nodes: 2,
    want: {
      'FIFO strict': ['one: 0, 0', 'wide: 59, 0', 'late: 118, 0'],
      Priority: ['one: 0, 0', 'wide: 61, 0', 'late: 0, 0'],
    },
  },
};

for (const [sentence, { jobs, nodes = 1, perNode = 2, want }] of Object.entries(cases))
  for (const [rule, answer] of Object.entries(want))
    test(`simulateJobs() by ${rule} ${sentence}`, () => {
      // why: they are keys of the table above
      const scheduler = schedulerOf(rule as Rule, nodes, perNode);
      assert.deepEqual(tell(simulateJobs(jobs, scheduler, times)), answer);
    });

test('simulateJobs() says that a job is never started', () => {
  const tooWide = [job('wide', [0, hour, 64]), job('one', [0, hour])];
  for (const rule of ['FIFO + skip', 'LeastAttainedService'] as const)
    assert.throws(() => simulateJobs(tooWide, schedulerOf(rule, 1, 2), times), /1 jobs are never started/);
});

const HEADER = 'timestamp,duration,num_gpus,gpu_time,cluster\n';

test('parsePhillyJobs() reads the trace', () => {
  const text = `${HEADER}2017-09-04 10:30:41,60.0,8,480.0,a\n2017-09-04 10:31:41,1.0,1,1.0,b\n`;
  assert.deepEqual(parsePhillyJobs(text, 'p.csv'), [
    { name: 'job-2', submitMs: 0, durationMs: minute, devices: 8, tenant: 'a' },
    { name: 'job-3', submitMs: minute, durationMs: 1000, devices: 1, tenant: 'b' },
  ]);
});

test('parsePhillyJobs() tells every wrong row by its line', () => {
  const text = `${HEADER}yesterday,60.0,0,1,a\n2017-09-04 10:31:41,0.5,1,1,\n`;
  assert.throws(() => parsePhillyJobs(text, 'p.csv'), {
    message:
      "cannot read p.csv: line 2: timestamp is 'yesterday', want YYYY-MM-DD hh:mm:ss; " +
      "line 2: num_gpus is '0', want a whole number of 1 to 4096; line 3: cluster is empty; " +
      "line 3: duration is '0.5', want a whole number of 1 or more",
  });
  assert.throws(() => parsePhillyJobs(HEADER, 'p.csv'), /cannot read p\.csv: there is no job in it/);
});
