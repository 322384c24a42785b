/** The floor's small parts, each by what it promises. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { backoffMs } from './backoff.ts';
import { VirtualClock } from './clock.ts';
import { Heap } from './heap.ts';
import { canonicalJson, cloneJson, freezeJson, hashJson, isEqual } from './json.ts';
import { randomSuffix, seededRandom } from './random.ts';

test('isEqual() compares values, not the order of keys, and takes undefined for missing', () => {
  assert.ok(isEqual({ a: 1, b: [{ c: null }] }, { b: [{ c: null }], a: 1, d: undefined }));
  const unlike: readonly (readonly [unknown, unknown])[] = [
    [
      [1, 2],
      [2, 1],
    ],
    [{}, []],
    [{ a: null }, {}],
    [
      { a: undefined, b: 1 },
      { a: 1, b: undefined },
    ],
    ['1', 1],
  ];
  for (const [a, b] of unlike) assert.equal(isEqual(a, b), false, JSON.stringify([a, b]));
});

test('isEqual(), canonicalJson() and hashJson() agree on every JSON value', () => {
  const agree = (a: unknown, b: unknown) => {
    assert.equal(isEqual(a, b), canonicalJson(a) === canonicalJson(b));
    assert.ok(isEqual(a, cloneJson(a)));
    assert.equal(hashJson(a), hashJson(JSON.parse(canonicalJson(a))));
  };
  // A key of this name would set the prototype, and no object of ours has it; -0 is 0 in JSON.
  const isPlain = (value: unknown) => !/"__proto__"|-0/.test(JSON.stringify(value)) && !Object.is(value, -0);
  fc.assert(fc.property(fc.jsonValue().filter(isPlain), fc.jsonValue().filter(isPlain), agree));
});

test('hashJson() is FNV-1a of 64 bits', () => {
  const reference = (text: string) => {
    let hash = 0xcbf29ce484222325n;
    for (const character of text) hash = ((hash ^ BigInt(character.charCodeAt(0))) * 0x100000001b3n) % 2n ** 64n;
    return hash.toString(36).padStart(13, '0');
  };
  for (const value of ['', 'a', 'athanor', 'x'.repeat(200)]) assert.equal(hashJson(value), reference(`"${value}"`));
});

test('freezeJson() freezes all the way down', () => {
  const value = freezeJson({ a: [{ b: 1 }] });
  assert.ok(Object.isFrozen(value.a) && Object.isFrozen(value.a[0]));
});

test('Heap gives back everything in order', () => {
  const inOrder = (numbers: readonly number[]) => {
    const heap = new Heap<number>((a, b) => a - b);
    for (const number of numbers) heap.push(number);
    assert.equal(heap.peek(), numbers.length === 0 ? undefined : Math.min(...numbers));
    const out = Array.from({ length: heap.size }, () => heap.pop());
    assert.deepEqual(
      out,
      numbers.toSorted((a, b) => a - b),
    );
    assert.equal(heap.pop(), undefined);
  };
  fc.assert(fc.property(fc.array(fc.integer()), inOrder));
});

test('backoffMs() grows from the first delay to the last', () => {
  const options = { firstMs: 100, maxMs: 1000 };
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5, 1000].map((failures) => backoffMs(failures, options)),
    [0, 100, 200, 400, 800, 1000, 1000],
  );
  assert.equal(backoffMs(1, { ...options, jitter: 0.5, random: () => 1 }), 50);
});

test('VirtualClock fires timers in order of time, cancelled ones never', () => {
  const clock = new VirtualClock();
  const fired: string[] = [];
  clock.after(20, () => fired.push(`b${clock.nowMs()}`));
  clock.after(10, () => clock.after(5, () => fired.push(`a${clock.nowMs()}`)));
  clock.after(15, () => fired.push('never'))();
  clock.advance(30);
  assert.deepEqual([fired, clock.nowMs()], [['a15', 'b20'], 30]);
});

test('randomness from a seed repeats itself', () => {
  assert.equal(randomSuffix(seededRandom(7)), randomSuffix(seededRandom(7)));
  assert.match(randomSuffix(seededRandom(8), 9), /^[bcdfghjklmnpqrstvwxz2456789]{9}$/);
});
