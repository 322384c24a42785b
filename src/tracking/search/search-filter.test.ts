/** MLflow's filter and order language: what it means and what it refuses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isStatusError } from '../../kube/status-error.ts';
import { type Condition, parseFilter, type Searchable } from './search-filter.ts';
import { type Order, parseOrder } from './search-order.ts';
import { likeToGlob } from './search-sql.ts';

const searchable: Searchable = {
  attributes: { run_id: 'text', start_time: 'number', 'run name': 'text' },
  entities: ['attribute', 'metric', 'param', 'tag', 'dataset'],
};

const meanings: Record<string, readonly Condition[]> = {
  '': [],
  '  ': [],
  'metrics.loss < 0.5': [{ entity: 'metric', key: 'loss', operator: '<', values: [0.5] }],
  'metric.loss>=-1e-3': [{ entity: 'metric', key: 'loss', operator: '>=', values: [-0.001] }],
  'metrics.`a b.c` = 1': [{ entity: 'metric', key: 'a b.c', operator: '=', values: [1] }],
  'metrics."a/b" = 1': [{ entity: 'metric', key: 'a/b', operator: '=', values: [1] }],
  'metrics.val/acc = 1': [{ entity: 'metric', key: 'val/acc', operator: '=', values: [1] }],
  "params.lr = '0.1'": [{ entity: 'param', key: 'lr', operator: '=', values: ['0.1'] }],
  'params.lr = "it\'s"': [{ entity: 'param', key: 'lr', operator: '=', values: ["it's"] }],
  "params.lr = 'it''s'": [{ entity: 'param', key: 'lr', operator: '=', values: ["it's"] }],
  "tags.mlflow.user != 'a'": [{ entity: 'tag', key: 'mlflow.user', operator: '!=', values: ['a'] }],
  "tag.x <> 'a'": [{ entity: 'tag', key: 'x', operator: '!=', values: ['a'] }],
  "tags.x LIKE '%a'": [{ entity: 'tag', key: 'x', operator: 'LIKE', values: ['%a'] }],
  "tags.x ilike '%a'": [{ entity: 'tag', key: 'x', operator: 'ILIKE', values: ['%a'] }],
  'params.x IS NULL': [{ entity: 'param', key: 'x', operator: 'IS NULL', values: [] }],
  'params.x is not null': [{ entity: 'param', key: 'x', operator: 'IS NOT NULL', values: [] }],
  "run_id in ('a', 'b')": [{ entity: 'attribute', key: 'run_id', operator: 'IN', values: ['a', 'b'] }],
  "attributes.run_id NOT IN ('a')": [{ entity: 'attribute', key: 'run_id', operator: 'NOT IN', values: ['a'] }],
  "`run name` = 'a'": [{ entity: 'attribute', key: 'run name', operator: '=', values: ['a'] }],
  "dataset.digest = 'd'": [{ entity: 'dataset', key: 'digest', operator: '=', values: ['d'] }],
  "start_time > 1 AND tags.and = 'and'": [
    { entity: 'attribute', key: 'start_time', operator: '>', values: [1] },
    { entity: 'tag', key: 'and', operator: '=', values: ['and'] },
  ],
};

for (const [source, want] of Object.entries(meanings)) {
  test(`parseFilter() understands ${JSON.stringify(source)}`, () => {
    assert.deepEqual(parseFilter(source, searchable), want);
  });
}

const refusals: Record<string, RegExp> = {
  nonsense: /"nonsense" is no attribute/,
  'metrics.loss': /ends too early, at character 13\./,
  "metrics.loss < 'a'": /a number was expected, not "a", at character 16\./,
  'params.lr = 0.1': /a quoted text was expected/,
  "params.lr < '0.1'": /cannot be compared by </,
  "tags.x RLIKE 'a'": /cannot be compared by RLIKE/,
  'metrics.loss IS NULL': /cannot be compared by IS NULL/,
  'metrics.a < 1 OR metrics.b < 1': /AND was expected, not "OR", at character 15\./,
  'metrics.a < 1 AND': /ends with AND/,
  "run_id IN ('a'": /\) was expected/,
  "run_id IN 'a'": /\( was expected/,
  "things.a = 'b'": /"things" is none of .*, at character 8\./,
  "dataset.colour = 'b'": /nothing of a dataset/,
  'metrics.a < 1; drop': /nothing begins with/,
  "tags.a = 'open": /nothing begins with/,
  [Array(101).fill('start_time > 1').join(' AND ')]: /more than 100 conditions/,
};

for (const [source, want] of Object.entries(refusals)) {
  test(`parseFilter() refuses ${JSON.stringify(source.slice(0, 60))}`, () => {
    assert.throws(
      () => parseFilter(source, searchable),
      (error) => isStatusError(error, 'Invalid') && want.test(error.message),
    );
  });
}

const orders: Record<string, Order> = {
  'metrics.acc DESC': { entity: 'metric', key: 'acc', descending: true },
  'params.`a b` asc': { entity: 'param', key: 'a b', descending: false },
  start_time: { entity: 'attribute', key: 'start_time', descending: false },
  'tags.desc desc': { entity: 'tag', key: 'desc', descending: true },
};

for (const [source, want] of Object.entries(orders)) {
  test(`parseOrder() understands ${source}`, () => assert.deepEqual(parseOrder(source, searchable), want));
}

test('parseOrder() refuses what is behind the direction', () => {
  assert.throws(() => parseOrder('start_time DESC, run_id', searchable), /Invalid order_by/);
});

test('likeToGlob() keeps GLOB signs literal', () => {
  assert.equal(likeToGlob('a%b_c*d?e[f]'), 'a*b?c[*]d[?]e[[]f]');
});

test('parseFilter() takes regular expressions where a noun has them, and refuses what is none', () => {
  const traces: Searchable = { ...searchable, expressionsBut: ['run name'] };
  const [condition] = parseFilter("tags.x rlike '^a+$'", traces);
  assert.deepEqual(condition, { entity: 'tag', key: 'x', operator: 'RLIKE', values: ['^a+$'] });
  const wrong: Readonly<Record<string, RegExp>> = {
    "tags.x RLIKE '['": /the regular expression cannot be used: missing closing \]: `\[`, at character 14\./,
    "metrics.a RLIKE '1'": /cannot be compared by RLIKE/,
    "`run name` RLIKE 'a'": /cannot be compared by RLIKE/,
  };
  for (const [source, want] of Object.entries(wrong)) assert.throws(() => parseFilter(source, traces), want);
});
