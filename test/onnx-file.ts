/** Small ONNX models written by hand, so that tests need no Python. Knows the few protobuf fields that a graph of plain nodes takes. */

/** ONNX's numbers of element types (TensorProto.DataType). */
export const ELEMENT = { float: 1, int64: 7, string: 8, bool: 9, float16: 10 } as const;

/** A tensor's name, type and sizes; a text stands for a size that may be any. */
export interface Value {
  readonly name: string;
  readonly element: number;
  readonly shape: readonly (number | string)[];
}

/** One operation. */
export interface OnnxNode {
  readonly operation: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** A constant of float32. */
export interface Weight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** A whole model. */
export interface Graph {
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly weights?: readonly Weight[];
}

/** The model as the bytes of a .onnx file (ModelProto, IR version 8, operator set 13). */
export function writeOnnx({ nodes, inputs, outputs, weights = [] }: Graph): Buffer {
  const graph = [
    ...nodes.map((node) =>
      bytesField(1, [
        ...node.inputs.map((name) => textField(1, name)),
        ...node.outputs.map((name) => textField(2, name)),
        textField(4, node.operation),
      ]),
    ),
    textField(2, 'graph'),
    ...weights.map(writeWeight),
    ...inputs.map((value) => bytesField(11, writeValue(value))),
    ...outputs.map((value) => bytesField(12, writeValue(value))),
  ];
  return Buffer.concat([
    numberField(1, 8),
    bytesField(7, graph),
    bytesField(8, [textField(1, ''), numberField(2, 13)]),
  ]);
}

/** `output = input`, of one row of two. */
export function identityModel(element: number): Buffer {
  return writeOnnx({
    nodes: [{ operation: 'Identity', inputs: ['x'], outputs: ['y'] }],
    inputs: [{ name: 'x', element, shape: ['rows', 2] }],
    outputs: [{ name: 'y', element, shape: ['rows', 2] }],
  });
}

/** `sum = a + b`, `product = a * b`, of float32 `[rows, 2]`. */
export function twoOutputsModel(): Buffer {
  const value = (name: string): Value => ({ name, element: ELEMENT.float, shape: ['rows', 2] });
  return writeOnnx({
    nodes: [
      { operation: 'Add', inputs: ['a', 'b'], outputs: ['sum'] },
      { operation: 'Mul', inputs: ['a', 'b'], outputs: ['product'] },
    ],
    inputs: [value('a'), value('b')],
    outputs: [value('sum'), value('product')],
  });
}

/** A perceptron of 64 pixels, 64 hidden units and 10 classes, as large as one for scikit-learn's digits. */
export function digitsModel(): Buffer {
  const ramp = (count: number) => Float32Array.from({ length: count }, (_, index) => ((index % 17) - 8) / 64);
  return writeOnnx({
    nodes: [
      { operation: 'MatMul', inputs: ['pixels', 'w1'], outputs: ['a'] },
      { operation: 'Add', inputs: ['a', 'b1'], outputs: ['b'] },
      { operation: 'Relu', inputs: ['b'], outputs: ['c'] },
      { operation: 'MatMul', inputs: ['c', 'w2'], outputs: ['d'] },
      { operation: 'Add', inputs: ['d', 'b2'], outputs: ['logits'] },
    ],
    inputs: [{ name: 'pixels', element: ELEMENT.float, shape: ['rows', 64] }],
    outputs: [{ name: 'logits', element: ELEMENT.float, shape: ['rows', 10] }],
    weights: [
      { name: 'w1', shape: [64, 64], values: ramp(64 * 64) },
      { name: 'b1', shape: [64], values: ramp(64) },
      { name: 'w2', shape: [64, 10], values: ramp(64 * 10) },
      { name: 'b2', shape: [10], values: ramp(10) },
    ],
  });
}

function writeWeight({ name, shape, values }: Weight): Buffer {
  const raw = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return bytesField(5, [
    ...shape.map((size) => numberField(1, size)),
    numberField(2, ELEMENT.float),
    textField(8, name),
    bytesField(9, [raw]),
  ]);
}

function writeValue({ name, element, shape }: Value): Buffer[] {
  const sizes = shape.map((size) =>
    bytesField(1, [typeof size === 'number' ? numberField(1, size) : textField(2, size)]),
  );
  return [textField(1, name), bytesField(2, [bytesField(1, [numberField(1, element), bytesField(2, sizes)])])];
}

function textField(field: number, text: string): Buffer {
  return bytesField(field, [Buffer.from(text)]);
}

function bytesField(field: number, parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([variableLength(field * 8 + 2), variableLength(content.length), content]);
}

function numberField(field: number, value: number): Buffer {
  return Buffer.concat([variableLength(field * 8), variableLength(value)]);
}

/** Protobuf's varint. */
function variableLength(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}
