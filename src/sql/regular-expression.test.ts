/** Regular expressions mean the same on SQLite, on a real PostgreSQL and in our own process. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sql } from 'kysely';
import { useBothDatabases } from '../../test/both-databases.ts';
import { openDatabase } from './open-database.ts';
import { ExpressionFinder, findExpressionProblem, toPostgresExpression } from './regular-expression.ts';

const { databases } = useBothDatabases();

const finder = new ExpressionFinder();

const TEXTS = [
  '',
  'a',
  'A',
  'abc',
  'ABC',
  'foo bar',
  'foobar',
  'foo\nbar',
  '7',
  '-7.5e3',
  'a]b',
  'a\\b',
  'é',
  '😀',
  '{x}',
];
const EXPRESSIONS = [
  '',
  'a',
  '^a',
  'c$',
  '^$',
  '.',
  '^foo.bar$',
  '(?s)^foo.bar$',
  '(?i)abc',
  '(?i)^ABC$',
  '^bar',
  '(?m)^bar',
  '(?m)foo$',
  '(?ms)o$.^b',
  '\\bbar\\b',
  'foo\\B',
  '\\d',
  '^\\d+$',
  '\\D',
  '\\s',
  '\\Sb',
  '^\\w+$',
  '[abc]{3}',
  '[^abc]',
  '[^a]oo[\\s\\S]b',
  '[]]',
  'a[\\]]b',
  '[.]',
  '[[:alpha:]][[:digit:]]?',
  '(foo|abc)',
  '(?:foo)+bar',
  '(?P<name>o+)',
  '(?<name>o+)',
  'a{0,2}b',
  'o{2}',
  '^-?[0-9]+([.][0-9]+)?(e[0-9]+)?$',
  '\\x41',
  '\\x{41}BC',
  '\\x41BC',
  '[\\x41]B',
  'a.*?c',
  '\\\\',
  '\\{x\\}',
  '^.$',
  'c\\z',
  '\\Aa',
  'foo\\nbar',
];

for (const [dialect, open] of Object.entries(databases)) {
  test(`every expression finds the same on ${dialect}`, async () => {
    const { db, close } = openDatabase<object>(await open());
    const differences: string[] = [];
    for (const expression of EXPRESSIONS) {
      assert.equal(findExpressionProblem(expression), undefined, expression);
      // Which letters there are beyond ASCII is the database's locale's to say, on PostgreSQL.
      const isAscii = /\\w|\[:/.test(expression);
      for (const text of TEXTS.filter((one) => !isAscii || one !== 'é')) {
        const isMatch =
          dialect === 'SQLite'
            ? sql`${text} regexp ${expression}`
            : sql`cast(${text} as text) ~ ${toPostgresExpression(expression)}`;
        const { rows } = await sql<{ found: number }>`select case when ${isMatch} then 1 else 0 end as found`.execute(
          db,
        );
        if (Boolean(rows[0]?.found) !== finder.isFound(expression, text)) differences.push(`${expression} in ${text}`);
      }
    }
    await close();
    assert.deepEqual(differences, []);
  });
}

describe('findExpressionProblem()', () => {
  const wrong: Readonly<Record<string, RegExp>> = {
    '[': /missing closing \]/,
    '(': /missing closing \)/,
    'a**': /invalid nested repetition operator/,
    '(a)\\1': /invalid escape sequence/,
    '(?=a)': /unsupported Perl syntax/,
    'a{1001}': /invalid repeat count/,
    '\\pL': /\\p is not read here/,
    '[\\pL]': /is not read here/,
    '\\Qa\\E': /\\Q is not read here/,
    'a(?i)b': /\(\?i\) is not read here/,
    '(?i:b)': /\(\?i: is not read here/,
    [`a${'b'.repeat(1_000)}`]: /more than 1000 characters/,
  };
  for (const [expression, want] of Object.entries(wrong)) {
    test(`refuses ${expression.slice(0, 20)}`, () => assert.match(findExpressionProblem(expression) ?? '', want));
  }
});

test('ExpressionFinder takes time in proportion to the text, whatever the expression', () => {
  // A backtracking engine would not come back from this one.
  assert.equal(new ExpressionFinder().isFound('(a+)+$', `${'a'.repeat(5_000)}b`), false);
});
