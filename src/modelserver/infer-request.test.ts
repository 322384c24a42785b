/** Requests that fit a model and requests that do not, as tables. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isStatusError } from '../kube/status-error.ts';
import { formatInferAnswer, type ModelShape, parseInferRequest } from './infer-request.ts';

const model: ModelShape = {
  inputs: [
    { name: 'x', type: 'float32', shape: [-1, 2] },
    { name: 'flag', type: 'bool', shape: [1] },
  ],
  outputs: [
    { name: 'y', type: 'float32', shape: [-1, 2] },
    { name: 'z', type: 'int64', shape: [-1] },
  ],
};
const x = { name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2.5] };
const flag = { name: 'flag', datatype: 'BOOL', shape: [1], data: [true] };

const REFUSED: Record<
  string,
  { readonly body: unknown; readonly reason: 'BadRequest' | 'Invalid'; readonly says: RegExp }
> = {
  'a body that is a list': { body: [], reason: 'BadRequest', says: /no list 'inputs'/ },
  'a body without inputs': { body: { id: '1' }, reason: 'BadRequest', says: /no list 'inputs'/ },
  'inputs that are an object': { body: { inputs: {} }, reason: 'BadRequest', says: /no list 'inputs'/ },
  'an input that is null': { body: { inputs: [null] }, reason: 'BadRequest', says: /inputs\[0\] has no name/ },
  'an input without a name': { body: { inputs: [x, {}] }, reason: 'BadRequest', says: /inputs\[1\] has no name/ },
  'an input the model does not have': {
    body: { inputs: [{ ...x, name: 'w' }] },
    reason: 'Invalid',
    says: /no input 'w', it takes 'x', 'flag'/,
  },
  'a missing input': { body: { inputs: [x] }, reason: 'Invalid', says: /input 'flag' is missing/ },
  'no input at all': { body: { inputs: [] }, reason: 'Invalid', says: /input 'x', 'flag' is missing/ },
  'an input given twice': { body: { inputs: [x, flag, x] }, reason: 'Invalid', says: /given twice/ },
  'another datatype': {
    body: { inputs: [{ ...x, datatype: 'FP64' }, flag] },
    reason: 'Invalid',
    says: /'x' is FP64, the model takes FP32/,
  },
  'no datatype': {
    body: { inputs: [{ ...x, datatype: undefined }, flag] },
    reason: 'Invalid',
    says: /'x' is undefined/,
  },
  'no shape': { body: { inputs: [{ ...x, shape: undefined }, flag] }, reason: 'BadRequest', says: /no shape/ },
  'a shape of fractions': {
    body: { inputs: [{ ...x, shape: [0.5, 4] }, flag] },
    reason: 'BadRequest',
    says: /no shape/,
  },
  'a negative size': { body: { inputs: [{ ...x, shape: [-1, 2] }, flag] }, reason: 'BadRequest', says: /no shape/ },
  'a size that the model fixes otherwise': {
    body: { inputs: [{ ...x, shape: [2, 1] }, flag] },
    reason: 'Invalid',
    says: /has shape \[2, 1\], the model takes \[-1, 2\]/,
  },
  'too few dimensions': {
    body: { inputs: [{ ...x, shape: [2] }, flag] },
    reason: 'Invalid',
    says: /has shape \[2\], the model takes/,
  },
  'fewer values than the shape wants': {
    body: { inputs: [{ ...x, data: [1] }, flag] },
    reason: 'Invalid',
    says: /has 1 values, shape \[1, 2\] wants 2/,
  },
  'a value of another type': {
    body: { inputs: [{ ...x, data: [1, 'two'] }, flag] },
    reason: 'Invalid',
    says: /tensor 'x': "two" is no FP32/,
  },
  'no data, as the binary extension sends it': {
    body: { inputs: [{ ...x, data: undefined, parameters: { binary_data_size: 8 } }, flag] },
    reason: 'BadRequest',
    says: /'x' has no data; .* binary extension off/,
  },
  'outputs that are no list': {
    body: { inputs: [x, flag], outputs: 'y' },
    reason: 'BadRequest',
    says: /'outputs' is not a list/,
  },
  'an output the model does not have': {
    body: { inputs: [x, flag], outputs: [{ name: 'w' }] },
    reason: 'Invalid',
    says: /no output 'w', it gives 'y', 'z'/,
  },
  'an output without a name': { body: { inputs: [x, flag], outputs: [null] }, reason: 'Invalid', says: /no output/ },
  'an output asked for twice': {
    body: { inputs: [x, flag], outputs: [{ name: 'y' }, { name: 'y' }] },
    reason: 'Invalid',
    says: /an output is asked for twice/,
  },
};

for (const [sentence, { body, reason, says }] of Object.entries(REFUSED)) {
  test(`parseInferRequest() refuses ${sentence}`, () => {
    assert.throws(
      () => parseInferRequest(body, model),
      (error: unknown) => isStatusError(error, reason) && says.test(error.message),
    );
  });
}

test('parseInferRequest() reads nested data in row order', () => {
  const nested = {
    ...x,
    shape: [2, 2],
    data: [
      [1, 2],
      [3, 4],
    ],
  };
  const { inputs } = parseInferRequest({ inputs: [flag, nested] }, model);
  assert.deepEqual(inputs[1], { name: 'x', type: 'float32', shape: [2, 2], bits: Float32Array.from([1, 2, 3, 4]) });
});

test('parseInferRequest() takes no rows', () => {
  const { inputs } = parseInferRequest({ inputs: [{ ...x, shape: [0, 2], data: [] }, flag] }, model);
  assert.equal(inputs[0]?.bits.length, 0);
});

test('parseInferRequest() gives all outputs unless some are chosen', () => {
  const outputsOf = (outputs?: unknown) => parseInferRequest({ inputs: [x, flag], outputs }, model).outputs;
  assert.deepEqual(outputsOf(), ['y', 'z']);
  assert.deepEqual(outputsOf([]), ['y', 'z']);
  assert.deepEqual(outputsOf([{ name: 'z' }]), ['z']);
});

test('parseInferRequest() keeps an id that is text, and no other', () => {
  const idOf = (id: unknown) => parseInferRequest({ id, inputs: [x, flag] }, model).id;
  assert.deepEqual([idOf('a1'), idOf(7), idOf(undefined)], ['a1', undefined, undefined]);
});

test('formatInferAnswer() writes every tensor with its shape, and the id when there was one', () => {
  const outputs = [
    { name: 'y', type: 'float32', shape: [1, 2], bits: Float32Array.from([0.5, Number.NaN]) },
    { name: 'z', type: 'int64', shape: [1], bits: BigInt64Array.from([9_007_199_254_740_993n]) },
  ];
  const text = formatInferAnswer({ modelName: 'm', modelVersion: '1', id: 'a', outputs });
  assert.equal(
    text,
    '{"model_name":"m","model_version":"1","id":"a","outputs":[' +
      '{"name":"y","datatype":"FP32","shape":[1,2],"data":[0.5,null]},' +
      '{"name":"z","datatype":"INT64","shape":[1],"data":[9007199254740993]}]}',
  );
  assert.equal(
    'id' in JSON.parse(formatInferAnswer({ modelName: 'm', modelVersion: '1', id: undefined, outputs: [] })),
    false,
  );
});
