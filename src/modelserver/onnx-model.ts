/** One ONNX model in onnxruntime. Knows tensors; nothing of HTTP. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { StatusError } from '../kube/status-error.ts';
import { datatypeOf } from './datatype.ts';
import type { InferRequest, ModelShape, OutputTensor, TensorShape } from './infer-request.ts';

export interface OnnxModel extends ModelShape {
  /** @throws Invalid when the model refuses the values. */
  run(request: InferRequest): Promise<readonly OutputTensor[]>;
  close(): Promise<void>;
}

/** Opens a file, or the only .onnx file of a folder (model.onnx when there are several). @throws NotFound, Invalid. */
export async function openOnnxModel(path: string): Promise<OnnxModel> {
  const file = await findModelFile(path);
  const session = await InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1 }).catch(
    (cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new StatusError(
        'Invalid',
        `cannot load ${file}: it is not a model that onnxruntime reads (${why.split('\n')[0]})`,
        { cause },
      );
    },
  );
  const inputs = session.inputMetadata.map((input) => toShape(input, file));
  const outputs = session.outputMetadata.map((output) => toShape(output, file));
  return {
    inputs,
    outputs,
    run: (request) => run(session, request),
    close: () => session.release(),
  };
}

async function findModelFile(path: string): Promise<string> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new StatusError('NotFound', `cannot load ${path}: there is no such file or folder`, { cause });
  });
  if (found.isFile()) return path;
  const names = (await readdir(path, { recursive: true })).filter((name) => name.endsWith('.onnx'));
  const chosen = names.length === 1 ? names[0] : names.find((name) => name === 'model.onnx');
  if (chosen !== undefined) return join(path, chosen);
  const what =
    names.length === 0
      ? 'there is no .onnx file in it'
      : `there are several models in it (${names.join(', ')}) and none is model.onnx`;
  throw new StatusError('Invalid', `cannot load ${path}: ${what}`);
}

function toShape(value: InferenceSession.ValueMetadata, file: string): TensorShape {
  if (!value.isTensor) {
    throw new StatusError(
      'Invalid',
      `cannot serve ${file}: '${value.name}' is no tensor; export the model without maps and sequences (zipmap=False)`,
    );
  }
  datatypeOf(value.type, value.name);
  return {
    name: value.name,
    type: value.type,
    shape: value.shape.map((size) => (typeof size === 'number' && size >= 0 ? size : -1)),
  };
}

async function run(session: InferenceSession, { inputs, outputs }: InferRequest): Promise<readonly OutputTensor[]> {
  const feeds = Object.fromEntries(
    inputs.map(({ name, type, bits, shape }) => [
      name,
      new Tensor(type as 'float32', bits as Float32Array, [...shape]),
    ]), // why: datatype.ts pairs types and bits
  );
  const results = await session.run(feeds, [...outputs]).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StatusError('Invalid', `cannot infer: the model refused the values (${why.split('\n')[0]})`, { cause });
  });
  return outputs.map((name) => {
    const tensor = results[name];
    if (tensor === undefined)
      throw new StatusError('InternalError', `cannot infer: the model gave no output '${name}'`);
    // why: CPU tensors hold their data
    return { name, type: tensor.type, shape: tensor.dims, bits: tensor.data as ArrayLike<unknown> };
  });
}
