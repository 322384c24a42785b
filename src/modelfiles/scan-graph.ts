/**
 * Graphs in protocol buffers: ONNX, TensorFlow's SavedModel and GraphDef. Knows where operators, subgraphs and the
 * names of external files stand (onnx.proto, graph.proto); computes nothing.
 */
import { StatusError } from '../kube/status-error.ts';
import { findPathProblem } from './archive-path.ts';
import { MESSAGE_DEPTH_MAX } from './limits.ts';
import { type Field, MessageReader } from './message-reader.ts';
import type { Scan } from './scan-context.ts';

/** Operations that reach files, libraries, devices or Python. */
const TENSORFLOW_OPERATIONS = new Set([
  'ReadFile',
  'WriteFile',
  'MatchingFiles',
  'PyFunc',
  'PyFuncStateless',
  'EagerPyFunc',
  'WholeFileReader',
  'WholeFileReaderV2',
  'TextLineReader',
  'TextLineReaderV2',
  'TFRecordReader',
  'TFRecordReaderV2',
  'FixedLengthRecordReader',
  'FixedLengthRecordReaderV2',
  'TextLineDataset',
  'TFRecordDataset',
  'TFRecordDatasetV2',
  'FixedLengthRecordDataset',
  'FixedLengthRecordDatasetV2',
  'SaveDataset',
  'LoadDataset',
  'DatasetToTFRecord',
  'ImmutableConst',
  'CreateSummaryFileWriter',
  'DebugIdentityV2',
  'RpcCall',
  'RpcClient',
]);
const ONNX_DOMAINS = new Set([
  '',
  'ai.onnx',
  'ai.onnx.ml',
  'ai.onnx.training',
  'ai.onnx.preview.training',
  'com.microsoft',
]);

/** Which fields lead to which message, and what to look at on the way. */
interface Shape {
  readonly name: string;
  readonly inside: Readonly<Record<number, () => Shape>>;
  /** Fields that are texts, by what they are. */
  readonly texts?: Readonly<Record<number, 'operation' | 'domain' | 'external-key' | 'external-value'>>;
}

const tensorflowNode: Shape = { name: 'NodeDef', inside: {}, texts: { 2: 'operation' } };
const tensorflowFunction: Shape = { name: 'FunctionDef', inside: { 3: () => tensorflowNode } };
const library: Shape = { name: 'FunctionDefLibrary', inside: { 1: () => tensorflowFunction } };
const graphDef: Shape = { name: 'GraphDef', inside: { 1: () => tensorflowNode, 2: () => library } };
const metaGraph: Shape = { name: 'MetaGraphDef', inside: { 2: () => graphDef } };
const savedModel: Shape = { name: 'SavedModel', inside: { 2: () => metaGraph } };

const external: Shape = { name: 'external data', inside: {}, texts: { 1: 'external-key', 2: 'external-value' } };
const tensor: Shape = { name: 'TensorProto', inside: { 13: () => external } };
const sparseTensor: Shape = { name: 'SparseTensorProto', inside: { 1: () => tensor, 2: () => tensor } };
const attribute: Shape = {
  name: 'AttributeProto',
  inside: {
    5: () => tensor,
    6: () => onnxGraph,
    10: () => tensor,
    11: () => onnxGraph,
    22: () => sparseTensor,
    23: () => sparseTensor,
  },
};
const onnxNode: Shape = { name: 'NodeProto', inside: { 5: () => attribute }, texts: { 7: 'domain' } };
const onnxGraph: Shape = {
  name: 'GraphProto',
  inside: { 1: () => onnxNode, 5: () => tensor, 15: () => sparseTensor },
};
const onnxFunction: Shape = { name: 'FunctionProto', inside: { 7: () => onnxNode, 11: () => attribute } };
const trainingStep: Shape = { name: 'TrainingInfoProto', inside: { 1: () => onnxGraph, 2: () => onnxGraph } };
const onnxModel: Shape = {
  name: 'ModelProto',
  inside: { 7: () => onnxGraph, 20: () => trainingStep, 25: () => onnxFunction },
};

const ROOTS = { onnx: onnxModel, 'saved-model': savedModel, 'tensorflow-graph': graphDef } as const;

export type GraphFormat = keyof typeof ROOTS;

/** Which of them these bytes are, by the fields of the whole message; undefined when they are none. */
export async function findGraphFormat(scan: Pick<Scan, 'bytes' | 'name'>): Promise<GraphFormat | undefined> {
  const reader = new MessageReader(scan.bytes);
  const kinds = new Map<number, boolean>();
  try {
    for await (const { number, isMessage } of reader.fields(0, reader.sizeBytes)) kinds.set(number, isMessage);
  } catch (error) {
    if (error instanceof StatusError) return findByName(scan.name);
    throw error;
  }
  if (kinds.get(1) === false && kinds.get(7) === true && [...kinds.keys()].every((key) => key <= 26)) return 'onnx';
  if (kinds.get(1) === false && kinds.get(2) === true && kinds.size === 2) return 'saved-model';
  if (kinds.get(1) === true && [...kinds.keys()].every((key) => key <= 5) && kinds.has(4)) return 'tensorflow-graph';
  return findByName(scan.name);
}

function findByName(name: string): GraphFormat | undefined {
  if (name.endsWith('.onnx')) return 'onnx';
  return name.endsWith('saved_model.pb') ? 'saved-model' : undefined;
}

/** Looks through a graph. @throws Invalid when it is broken */
export async function scanGraph(scan: Scan, format: GraphFormat): Promise<void> {
  const reader = new MessageReader(scan.bytes);
  await visit(new Visit(reader, scan), ROOTS[format], { start: 0, end: reader.sizeBytes, depth: 0 });
}

class Visit {
  readonly reader: MessageReader;
  readonly #scan: Scan;
  #key = '';

  constructor(reader: MessageReader, scan: Scan) {
    this.reader = reader;
    this.#scan = scan;
  }

  async look(what: NonNullable<Shape['texts']>[number], field: Field): Promise<void> {
    const text = await this.reader.text(field);
    const { tell } = this.#scan;
    if (what === 'operation' && TENSORFLOW_OPERATIONS.has(text)) tell('tensorflow-operation', text);
    if (what === 'domain' && !ONNX_DOMAINS.has(text)) tell('onnx-own-operation', text);
    if (what === 'external-key') this.#key = text;
    if (what !== 'external-value' || this.#key !== 'location') return;
    const problem = findPathProblem(text);
    if (problem !== undefined) tell('onnx-external-path', text, problem);
  }
}

async function visit(
  on: Visit,
  shape: Shape,
  { start, end, depth }: { start: number; end: number; depth: number },
): Promise<void> {
  if (depth > MESSAGE_DEPTH_MAX) throw new StatusError('Invalid', 'its graphs are nested too deeply');
  for await (const field of on.reader.fields(start, end)) {
    const text = shape.texts?.[field.number];
    const inner = shape.inside[field.number]?.();
    if (text && field.isMessage) await on.look(text, field);
    if (inner && field.isMessage) await visit(on, inner, { start: field.start, end: field.end, depth: depth + 1 });
  }
}
