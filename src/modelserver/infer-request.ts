/** Inference requests and answers of the Open Inference Protocol v2: read, check against the model, write. Pure. */
import { isJsonObject } from '../base/json.ts';
import { StatusError } from '../kube/status-error.ts';
import { bitsToJson, type TensorBits, datatypeOf, toBits } from './datatype.ts';

/** What a model takes or gives. A dimension of -1 may be of any size. */
export interface TensorShape {
  readonly name: string;
  /** onnxruntime's name of the type. */
  readonly type: string;
  readonly shape: readonly number[];
}

export interface InputTensor {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly number[];
  readonly bits: TensorBits;
}

export interface InferRequest {
  readonly id: string | undefined;
  readonly inputs: readonly InputTensor[];
  /** Names of the outputs wanted; all when the client names none. */
  readonly outputs: readonly string[];
}

export interface ModelShape {
  readonly inputs: readonly TensorShape[];
  readonly outputs: readonly TensorShape[];
}

/** @throws BadRequest for what is no request; Invalid for one that does not fit the model. */
export function parseInferRequest(body: unknown, model: ModelShape): InferRequest {
  if (!isJsonObject(body) || !Array.isArray(body['inputs']))
    throw new StatusError('BadRequest', "cannot infer: the request has no list 'inputs'");
  const given = body['inputs'].map((input, index) => parseInput(input, index, model));
  const missing = model.inputs.filter(({ name }) => !given.some((input) => input.name === name));
  if (missing.length > 0)
    throw new StatusError(
      'Invalid',
      `cannot infer: input ${missing.map(({ name }) => `'${name}'`).join(', ')} is missing`,
    );
  if (new Set(given.map(({ name }) => name)).size < given.length)
    throw new StatusError('Invalid', 'cannot infer: an input is given twice');
  const id = body['id'];
  return { id: typeof id === 'string' ? id : undefined, inputs: given, outputs: parseOutputs(body['outputs'], model) };
}

function parseInput(input: unknown, index: number, model: ModelShape): InputTensor {
  if (!isJsonObject(input) || typeof input['name'] !== 'string')
    throw new StatusError('BadRequest', `cannot infer: inputs[${index}] has no name`);
  const { name, shape, datatype, data } = input;
  const known = model.inputs.find((candidate) => candidate.name === name);
  if (known === undefined) {
    throw new StatusError(
      'Invalid',
      `cannot infer: the model has no input '${name}', it takes ${model.inputs.map((one) => `'${one.name}'`).join(', ')}`,
    );
  }
  const wanted = datatypeOf(known.type, known.name);
  if (datatype !== wanted)
    throw new StatusError('Invalid', `cannot infer: input '${name}' is ${String(datatype)}, the model takes ${wanted}`);
  const dimensions = parseShape(shape, known);
  if (!Array.isArray(data)) {
    throw new StatusError(
      'BadRequest',
      `cannot infer: input '${name}' has no data; tensors are sent as JSON here, with the binary extension off`,
    );
  }
  const values = Array.isArray(data[0]) ? data.flat(Number.POSITIVE_INFINITY) : data;
  const count = dimensions.reduce((product, size) => product * size, 1);
  if (values.length !== count) {
    throw new StatusError(
      'Invalid',
      `cannot infer: input '${name}' has ${values.length} values, shape [${dimensions.join(', ')}] wants ${count}`,
    );
  }
  return { name: known.name, type: known.type, shape: dimensions, bits: toBits(known.type, known.name, values) };
}

function parseShape(shape: unknown, known: TensorShape): readonly number[] {
  const isShape = Array.isArray(shape) && shape.every((size) => Number.isInteger(size) && size >= 0);
  if (!isShape)
    throw new StatusError('BadRequest', `cannot infer: input '${known.name}' has no shape of whole numbers`);
  const dimensions = shape as readonly number[]; // why: just checked
  const fits =
    dimensions.length === known.shape.length &&
    known.shape.every((size, axis) => size < 0 || size === dimensions[axis]);
  if (fits) return dimensions;
  throw new StatusError(
    'Invalid',
    `cannot infer: input '${known.name}' has shape [${dimensions.join(', ')}], the model takes [${known.shape.join(', ')}]`,
  );
}

function parseOutputs(outputs: unknown, model: ModelShape): readonly string[] {
  if (outputs === undefined) return model.outputs.map(({ name }) => name);
  if (!Array.isArray(outputs)) throw new StatusError('BadRequest', "cannot infer: 'outputs' is not a list");
  if (outputs.length === 0) return model.outputs.map(({ name }) => name);
  const names = outputs.map((output: unknown) => {
    const name = isJsonObject(output) ? output['name'] : undefined;
    if (model.outputs.some((one) => one.name === name)) return String(name);
    throw new StatusError(
      'Invalid',
      `cannot infer: the model has no output '${String(name)}', it gives ${model.outputs.map((one) => `'${one.name}'`).join(', ')}`,
    );
  });
  if (new Set(names).size < names.length)
    throw new StatusError('Invalid', 'cannot infer: an output is asked for twice');
  return names;
}

export interface OutputTensor {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly number[];
  readonly bits: ArrayLike<unknown>;
}

export interface InferAnswer {
  readonly modelName: string;
  readonly modelVersion: string;
  readonly id: string | undefined;
  readonly outputs: readonly OutputTensor[];
}

/** The answer as JSON text. */
export function formatInferAnswer({ modelName, modelVersion, id, outputs }: InferAnswer): string {
  const tensors = outputs.map(({ name, type, shape, bits }) => {
    const head = JSON.stringify({ name, datatype: datatypeOf(type, name), shape });
    return `${head.slice(0, -1)},"data":${bitsToJson(type, bits)}}`;
  });
  const head = JSON.stringify({ model_name: modelName, model_version: modelVersion, ...(id !== undefined && { id }) });
  return `${head.slice(0, -1)},"outputs":[${tensors.join(',')}]}`;
}
