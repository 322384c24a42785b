/** Kubernetes' words as tables: patches as their RFCs have them, quantities, selectors, paths, conditions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeConditions } from './condition.ts';
import { readJsonPath } from './json-path.ts';
import { type JsonPatchOperation, jsonPatch, mergePatch } from './patch.ts';
import { formatBytes, formatCpuMillis, parseBytes, parseCpuMillis, parseQuantity } from './quantity.ts';
import { matchesLabels, parseFieldSelector, parseLabelSelector } from './selector.ts';
import { isStatusError } from './status-error.ts';

/** RFC 7386, appendix A: target, patch, result. */
const merges: readonly (readonly [unknown, unknown, unknown])[] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];

test('mergePatch() does what RFC 7386 shows', () => {
  for (const [target, patch, result] of merges) assert.deepEqual(mergePatch(target, patch), result);
});

/** RFC 6902, appendix A: target, operations, result; no result where it is an error. */
const patches: Record<string, readonly [unknown, readonly JsonPatchOperation[], unknown?]> = {
  'A.1 adding a member': [{ foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { baz: 'qux', foo: 'bar' }],
  'A.2 adding an element': [
    { foo: ['bar', 'baz'] },
    [{ op: 'add', path: '/foo/1', value: 'qux' }],
    { foo: ['bar', 'qux', 'baz'] },
  ],
  'A.3 removing a member': [{ baz: 'qux', foo: 'bar' }, [{ op: 'remove', path: '/baz' }], { foo: 'bar' }],
  'A.4 removing an element': [{ foo: ['a', 'b', 'c'] }, [{ op: 'remove', path: '/foo/1' }], { foo: ['a', 'c'] }],
  'A.5 replacing a value': [{ baz: 1 }, [{ op: 'replace', path: '/baz', value: 'boo' }], { baz: 'boo' }],
  'A.6 moving a value': [
    { foo: { bar: 1, waldo: 2 }, qux: {} },
    [{ op: 'move', from: '/foo/waldo', path: '/qux/thud' }],
    { foo: { bar: 1 }, qux: { thud: 2 } },
  ],
  'A.7 moving an element': [
    { foo: ['all', 'grass', 'cows', 'eat'] },
    [{ op: 'move', from: '/foo/1', path: '/foo/3' }],
    { foo: ['all', 'cows', 'eat', 'grass'] },
  ],
  'A.8 testing with success': [{ baz: ['a', 2] }, [{ op: 'test', path: '/baz/1', value: 2 }], { baz: ['a', 2] }],
  'A.9 testing with error': [{ baz: 'qux' }, [{ op: 'test', path: '/baz', value: 'bar' }]],
  'A.10 adding a nested member': [{}, [{ op: 'add', path: '/child', value: { a: {} } }], { child: { a: {} } }],
  'A.12 adding to a place that is not there': [{ foo: 'bar' }, [{ op: 'add', path: '/baz/bat', value: 'qux' }]],
  'A.14 escapes': [{ '/': 9, '~1': 10 }, [{ op: 'test', path: '/~01', value: 10 }], { '/': 9, '~1': 10 }],
  'A.15 strings are no numbers': [{ '~1': 10 }, [{ op: 'test', path: '/~01', value: '10' }]],
  'A.16 adding an array value': [{ foo: ['a'] }, [{ op: 'add', path: '/foo/-', value: ['b'] }], { foo: ['a', ['b']] }],
  'an operation without value': [{}, [{ op: 'add', path: '/a' }]],
  'a copy from nowhere': [{}, [{ op: 'copy', path: '/a' }]],
  'an index out of range': [{ foo: [1] }, [{ op: 'add', path: '/foo/5', value: 1 }]],
  'an unknown operation': [{}, [{ op: 'spam', path: '/a' }]],
};

for (const [sentence, [target, operations, ...result]] of Object.entries(patches)) {
  test(`jsonPatch(): ${sentence}`, () => {
    const before = structuredClone(target);
    if (result.length > 0) assert.deepEqual(jsonPatch(target, operations), result[0]);
    else
      assert.throws(
        () => jsonPatch(target, operations),
        (error) => isStatusError(error, 'Invalid'),
      );
    assert.deepEqual(target, before, 'the target is not changed');
  });
}

test('quantities parse as Kubernetes has them', () => {
  const numbers = { '1': 1, '500m': 0.5, '1e3': 1000, '1.5Gi': 1.5 * 2 ** 30, '2k': 2000, '.5': 0.5, '1E': 1e18 };
  for (const [text, number] of Object.entries(numbers)) assert.equal(parseQuantity(text), number, text);
  for (const text of ['', 'x', '1 Gi', '1gi', '1e3Ki', '--1', '1.2.3', 'Gi'])
    assert.throws(
      () => parseQuantity(text),
      (error) => isStatusError(error, 'Invalid'),
      text,
    );
  assert.deepEqual(['0.1', '100m', '1', '1n', '1.5'].map(parseCpuMillis), [100, 100, 1000, 1, 1500]);
  assert.deepEqual(['1.1k', '1Ki', '0.5'].map(parseBytes), [1100, 1024, 1]);
  assert.deepEqual([formatCpuMillis(1500), formatCpuMillis(2000)], ['1500m', '2']);
  assert.deepEqual([formatBytes(2 ** 30), formatBytes(1000)], ['1Gi', '1000']);
});

test('label selectors parse and match', () => {
  const labels = { app: 'web', tier: 'gold', n: '5' };
  const yes = ['', 'app=web', 'app==web,tier', 'tier in (gold, silver)', 'app!=db', '!canary', 'x notin (a)', 'n>4'];
  const no = ['app=db', 'app!=web', 'tier notin (gold)', '!app', 'canary', 'n<5', 'x in (a)'];
  for (const text of yes) assert.ok(matchesLabels(parseLabelSelector(text), labels), text);
  for (const text of no) assert.equal(matchesLabels(parseLabelSelector(text), labels), false, text);
  for (const text of ['app=web,', 'a in (b', 'a in b', '=b', 'a b', '!'])
    assert.throws(
      () => parseLabelSelector(text),
      (error) => isStatusError(error, 'BadRequest'),
      text,
    );
  assert.throws(
    () => parseFieldSelector('metadata.name'),
    (error) => isStatusError(error, 'BadRequest'),
  );
});

test('JSON paths of columns lead where Kubernetes’ do', () => {
  const object = {
    spec: {
      list: [
        { type: 'a', v: 1 },
        { type: 'b', v: 2 },
      ],
      'dotted.key': 'x',
    },
  };
  const paths: Record<string, readonly unknown[]> = {
    '.spec.list[0].v': [1],
    '.spec.list[-1].v': [2],
    '.spec.list[*].v': [1, 2],
    '.spec.list[?(@.type=="b")].v': [2],
    '.spec.dotted\\.key': ['x'],
    '{.spec.list[1].type}': ['b'],
    '.spec.none.deeper': [],
    'not a path': [],
  };
  for (const [path, want] of Object.entries(paths)) assert.deepEqual(readJsonPath(object, path), want, path);
});

test('conditions keep their time while their status stays', () => {
  const first = mergeConditions(undefined, [{ type: 'Ready', status: 'False' }], 0);
  const second = mergeConditions(first, [{ type: 'Ready', status: 'False', reason: 'Later' }], 60_000);
  assert.equal(second[0]?.lastTransitionTime, '1970-01-01T00:00:00Z');
  const third = mergeConditions(second, [{ type: 'Ready', status: 'True' }], 60_000);
  assert.equal(third[0]?.lastTransitionTime, '1970-01-01T00:01:00Z');
});
