/** Structural schemas: what is pruned, filled in, and refused in Kubernetes' words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyDefaults, prune, type StructuralSchema, validate } from './structural.ts';

const text: StructuralSchema = { type: 'string' };

test('prune() drops what the schema does not know, and nothing else', () => {
  const schema: StructuralSchema = {
    type: 'object',
    properties: {
      known: text,
      free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { deep: { type: 'object' } } },
      map: { type: 'object', additionalProperties: { type: 'object', properties: { a: text } } },
    },
  };
  const pruned: string[] = [];
  const value = { known: 'x', odd: 1, free: { any: 1, deep: { gone: 1 } }, map: { k: { a: 'x', b: 'y' } } };
  assert.deepEqual(prune(schema, value, pruned), {
    known: 'x',
    free: { any: 1, deep: {} },
    map: { k: { a: 'x' } },
  });
  assert.deepEqual(pruned, ['odd', 'free.deep.gone', 'map.k.b']);
});

test('applyDefaults() fills in what is missing, within what is there', () => {
  const schema: StructuralSchema = {
    type: 'object',
    properties: {
      a: { type: 'string', default: 'x' },
      n: { type: 'string', nullable: true, default: 'x' },
      inner: { type: 'object', properties: { b: { type: 'integer', default: 1 } } },
      whole: { type: 'object', default: {}, properties: { c: { type: 'integer', default: 2 } } },
    },
  };
  assert.deepEqual(applyDefaults(schema, { a: null, n: null }), { a: 'x', n: null, whole: { c: 2 } });
  assert.deepEqual(applyDefaults(schema, { inner: {} }), { a: 'x', n: 'x', inner: { b: 1 }, whole: { c: 2 } });
});

const faults: Record<string, readonly [schema: StructuralSchema, value: unknown, messages: readonly string[]]> = {
  'a null': [text, null, ['Invalid value: "null": f in body must be of type string: "null"']],
  'a nullable null': [{ ...text, nullable: true }, null, []],
  'a short text': [{ ...text, minLength: 3 }, 'ab', ['Invalid value: "ab": f in body should be at least 3 chars long']],
  'a long text': [{ ...text, maxLength: 1 }, 'ab', ['Too long: may not be more than 1 bytes']],
  'a pattern': [{ ...text, pattern: '^a+$' }, 'b', ['Invalid value: "b": f in body should match \'^a+$\'']],
  'a whole number as number': [{ type: 'number' }, 1, []],
  'a fraction as integer': [
    { type: 'integer' },
    1.5,
    ['Invalid value: "number": f in body must be of type integer: "number"'],
  ],
  'an integer or a string': [{ 'x-kubernetes-int-or-string': true }, '5', []],
  'an exclusive bound': [
    { type: 'integer', minimum: 1, exclusiveMinimum: true },
    1,
    ['Invalid value: 1: f in body should be greater than 1'],
  ],
  'a set with two equal items': [
    { type: 'array', 'x-kubernetes-list-type': 'set', items: text },
    ['a', 'a'],
    ['Duplicate value: "a"'],
  ],
};

for (const [sentence, [schema, value, messages]] of Object.entries(faults)) {
  test(`validate(): ${sentence}`, () => {
    assert.deepEqual(
      validate(schema, value, 'f').map(({ message }) => message),
      messages,
    );
  });
}
