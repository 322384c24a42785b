/** One line of blocks for a row of numbers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sparkline } from './sparkline.ts';

const lines: Readonly<Record<string, readonly [readonly number[], string]>> = {
  'rises from the lowest to the highest block': [[0, 1, 2, 3, 4, 5, 6, 7], '▁▂▃▄▅▆▇█'],
  'lies in the middle when nothing changes': [[3, 3], '▅▅'],
  'leaves a gap for what is no number': [[1, Number.NaN, 2, Number.POSITIVE_INFINITY], '▁ █ '],
  'copes with negative numbers': [[-10, 0, 10], '▁▅█'],
  'is empty without values': [[], ''],
};

for (const [sentence, [values, want]] of Object.entries(lines)) {
  test(`sparkline() ${sentence}`, () => assert.equal(sparkline(values), want));
}
