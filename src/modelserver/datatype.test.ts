/** Every datatype there and back, and the values each refuses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isStatusError } from '../kube/status-error.ts';
import { bitsToJson, datatypeOf, toBits } from './datatype.ts';

const ROUND: Record<string, { readonly name: string; readonly values: readonly unknown[]; readonly json: string }> = {
  float32: { name: 'FP32', values: [1, -2.5], json: '[1,-2.5]' },
  float64: { name: 'FP64', values: [0.1, 1e300], json: '[0.1,1e+300]' },
  int8: { name: 'INT8', values: [-128, 127], json: '[-128,127]' },
  int16: { name: 'INT16', values: [-32_768, 32_767], json: '[-32768,32767]' },
  int32: { name: 'INT32', values: [-(2 ** 31), 2 ** 31 - 1], json: '[-2147483648,2147483647]' },
  int64: { name: 'INT64', values: [-1, 2 ** 53 - 1], json: '[-1,9007199254740991]' },
  uint8: { name: 'UINT8', values: [0, 255], json: '[0,255]' },
  uint16: { name: 'UINT16', values: [0, 65_535], json: '[0,65535]' },
  uint32: { name: 'UINT32', values: [0, 2 ** 32 - 1], json: '[0,4294967295]' },
  uint64: { name: 'UINT64', values: [0, 2 ** 53 - 1], json: '[0,9007199254740991]' },
  bool: { name: 'BOOL', values: [true, false, 1, 0], json: '[true,false,true,false]' },
  string: { name: 'BYTES', values: ['', 'grüße "x"'], json: '["","grüße \\"x\\""]' },
};

for (const [type, { name, values, json }] of Object.entries(ROUND)) {
  test(`${name} goes there and back`, () => {
    assert.equal(datatypeOf(type, 't'), name);
    assert.equal(bitsToJson(type, toBits(type, 't', values)), json);
  });
}

const REFUSED: Record<string, { readonly type: string; readonly value: unknown }> = {
  'a text as FP32': { type: 'float32', value: '1' },
  'null as FP64': { type: 'float64', value: null },
  'a fraction as INT32': { type: 'int32', value: 1.5 },
  'more than INT8 holds': { type: 'int8', value: 128 },
  'less than UINT8 holds': { type: 'uint8', value: -1 },
  'more than UINT32 holds': { type: 'uint32', value: 2 ** 32 },
  'a fraction as INT64': { type: 'int64', value: 0.5 },
  'more than INT64 holds': { type: 'int64', value: 2 ** 63 },
  'a negative UINT64': { type: 'uint64', value: -1 },
  'two as BOOL': { type: 'bool', value: 2 },
  'a text as BOOL': { type: 'bool', value: 'true' },
  'a number as BYTES': { type: 'string', value: 1 },
};

for (const [sentence, { type, value }] of Object.entries(REFUSED)) {
  test(`toBits() refuses ${sentence}`, () => {
    assert.throws(
      () => toBits(type, 't', [value]),
      (error: unknown) =>
        isStatusError(error, 'Invalid') && error.message.includes(`tensor 't': ${JSON.stringify(value)}`),
    );
  });
}

test('a type that JSON cannot say is refused both ways', () => {
  const says = /type float16 cannot be sent as JSON/;
  assert.throws(() => datatypeOf('float16', 't'), says);
  assert.throws(() => toBits('float16', 't', []), says);
});
