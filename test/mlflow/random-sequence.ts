/** Long sequences of requests from a seed: whatever order clients may come in, with good and bad values mixed. */
import { type Random, seededRandom } from '../../src/base/random.ts';
import type { Step } from './steps.ts';
import { experiment, post, run } from './words.ts';

const STEPS = 120;
const EXPERIMENTS = ['e1', 'e2'];
const RUNS = ['r1', 'r2', 'r3', 'r4'];
const KEYS = ['a', 'b', 'c/d', 'e f', 'm.x', '日本', 'bad?key', '../up', ''];
const VALUES = [0, 1, -1, 0.5, 1e300, -2.25, 'NaN', 'Infinity', '-Infinity'];
const TEXTS = ['', '1', 'tree', 'Tree', "it's", 'x'.repeat(50), '100%', 'a_b', '日本'];

type Make = (random: Random) => Step;

function pick<T>(random: Random, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)] as T; // why: the index lies within the list, none of which is empty
}

const runId = (random: Random) => `{${pick(random, RUNS)}}`;
const experimentId = (random: Random) => `{${pick(random, EXPERIMENTS)}}`;
const pair = (random: Random) => ({ key: pick(random, KEYS), value: pick(random, TEXTS) });
const point = (random: Random) => ({
  key: pick(random, KEYS),
  value: pick(random, VALUES),
  step: Math.floor(random() * 5) - 1,
  timestamp: Math.floor(random() * 4),
});
const some = <T>(random: Random, make: (random: Random) => T): T[] =>
  Array.from({ length: Math.floor(random() * 4) }, () => make(random));

const FILTERS: readonly Make[] = [
  (random) => search(random, `metrics.a ${pick(random, ['>', '<=', '=', '!='])} ${pick(random, ['0', '0.5', '-1'])}`),
  (random) =>
    search(
      random,
      `params.b ${pick(random, ['=', '!=', 'LIKE', 'ILIKE'])} '${pick(random, ['tree', 't%', '_ree', '100%'])}'`,
    ),
  (random) =>
    search(random, `tags.a ${pick(random, ['=', '!=', 'LIKE', 'ILIKE'])} '${pick(random, ['1', '%r%', 'a_b'])}'`),
  (random) => search(random, `status ${pick(random, ['=', '!='])} '${pick(random, ['RUNNING', 'FINISHED'])}'`),
  (random) =>
    search(random, pick(random, ['params.a IS NULL', 'tags.b IS NOT NULL', 'start_time > 2', 'end_time <= 7'])),
];

function search(random: Random, filter: string): Step {
  return post('/runs/search', {
    experiment_ids: EXPERIMENTS.map((name) => `{${name}}`),
    filter,
    run_view_type: pick(random, ['ACTIVE_ONLY', 'DELETED_ONLY', 'ALL']),
    order_by: [pick(random, ['metrics.a DESC', 'params.b', 'tags.a ASC', 'end_time DESC', 'run_name']), 'start_time'],
    max_results: pick(random, [1, 2, 100]),
  });
}

const REQUESTS: readonly Make[] = [
  (random) => post('/runs/log-metric', { run_id: runId(random), ...point(random) }),
  (random) => post('/runs/log-parameter', { run_id: runId(random), ...pair(random) }),
  (random) => post('/runs/set-tag', { run_id: runId(random), ...pair(random) }),
  (random) => post('/runs/delete-tag', { run_id: runId(random), key: pick(random, KEYS) }),
  (random) =>
    post('/runs/log-batch', {
      run_id: runId(random),
      metrics: some(random, point),
      params: some(random, pair),
      tags: some(random, pair),
    }),
  (random) =>
    post('/runs/update', {
      run_id: runId(random),
      status: pick(random, ['FINISHED', 'FAILED', 'RUNNING']),
      end_time: Math.floor(random() * 10) + 1,
    }),
  (random) => post('/runs/update', { run_id: runId(random), run_name: pick(random, ['n1', 'n2', '日本']) }),
  (random) => post(pick(random, ['/runs/delete', '/runs/restore', '/runs/restore']), { run_id: runId(random) }),
  (random) =>
    post(pick(random, ['/experiments/delete', '/experiments/restore', '/experiments/restore']), {
      experiment_id: experimentId(random),
    }),
  (random) => post('/experiments/set-experiment-tag', { experiment_id: experimentId(random), ...pair(random) }),
  (random) => ({ method: 'GET', path: '/runs/get', query: { run_id: runId(random) } }),
  (random) => ({ method: 'GET', path: '/experiments/get', query: { experiment_id: experimentId(random) } }),
  (random) => ({ method: 'GET', path: '/metrics/get-history', query: { run_id: runId(random), metric_key: 'a' } }),
  (random) => pick(random, FILTERS)(random),
  (random) => pick(random, FILTERS)(random),
];

/** The same sequence for the same seed. */
export function randomSequence(seed: number): readonly Step[] {
  const random = seededRandom(seed);
  return [
    ...EXPERIMENTS.map((name) => experiment(name)),
    ...RUNS.map((name, index) => run(name, EXPERIMENTS[index % EXPERIMENTS.length] ?? '', index)),
    ...Array.from({ length: STEPS }, () => pick(random, REQUESTS)(random)),
  ];
}
