/**
 * The model server: Open Inference Protocol v2 over REST, for one model. Speaks HTTP; the tensors are in infer-
 * request.ts.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, Histogram, Registry } from 'prom-client';
import { HTTP_STATUS, type Reason, StatusError, toStatusError } from '../kube/status-error.ts';
import { datatypeOf } from './datatype.ts';
import { formatInferAnswer, parseInferRequest, type TensorShape } from './infer-request.ts';
import { type OnnxModel, openOnnxModel } from './onnx-model.ts';

export interface ModelServerOptions {
  /** File, or folder with one model. */
  readonly modelPath: string;
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export interface ModelServer {
  readonly url: string;
  /** Answers what has begun, then ends. */
  close(): Promise<void>;
}

const BODY_BYTES_MAX = 64 * 1024 * 1024;
const VERSION = '1';

/** The protocol's door: reason to HTTP status. */
const STATUS = { ...HTTP_STATUS, Invalid: 400 } as const satisfies Record<Reason, number>;

interface Served {
  readonly name: string;
  readonly model: OnnxModel;
  readonly metrics: Metrics;
  readonly isReady: () => boolean;
}

/** Loads the model, then listens. @throws as openOnnxModel, and what listen() gives. */
export async function startModelServer({ modelPath, name, host, port }: ModelServerOptions): Promise<ModelServer> {
  const model = await openOnnxModel(modelPath);
  let isReady = true;
  const served: Served = { name, model, metrics: createMetrics(name), isReady: () => isReady };
  const server = createServer(
    { keepAliveTimeout: 75_000 },
    (request, response) => void answer(served, request, response),
  );
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  const { port: listening } = server.address() as AddressInfo; // why: it listens on TCP
  return {
    url: `http://${host}:${listening}`,
    close: async () => {
      isReady = false;
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeIdleConnections();
      });
      await model.close();
    },
  };
}

async function answer(served: Served, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const { text, type = 'application/json' } = await route(served, request);
    response.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(text) }).end(text);
  } catch (error) {
    const known = toStatusError(error);
    const text = JSON.stringify({ error: known.message });
    if (!response.headersSent)
      response.writeHead(STATUS[known.reason], {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
      });
    response.end(text);
  }
}

interface Answer {
  readonly text: string;
  readonly type?: string;
}

async function route(served: Served, request: IncomingMessage): Promise<Answer> {
  const [path = '/'] = (request.url ?? '/').split('?', 1);
  if (path === '/metrics')
    return { text: await served.metrics.registry.metrics(), type: served.metrics.registry.contentType };
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map(decodePart);
  if (parts[0] !== 'v2') throw unknownPath(path);
  const [, noun, name, ...rest] = parts;
  if (noun === undefined) return json({ name: 'athanor', version: '0.1.0', extensions: [] });
  if (noun === 'health' && (name === 'live' || name === 'ready')) return json(health(served, name));
  if (noun !== 'models' || name === undefined) throw unknownPath(path);
  const verb = takeVersion(rest, path);
  if (name !== served.name)
    throw new StatusError('NotFound', `cannot find model '${name}': this server has '${served.name}'`);
  if (verb === undefined) return json(describeModel(served));
  if (verb === 'ready') return json(health(served, 'ready'));
  if (verb !== 'infer') throw unknownPath(path);
  if (request.method !== 'POST')
    throw new StatusError('MethodNotAllowed', `cannot ${request.method} ${path}: infer takes POST`);
  return { text: await infer(served, request) };
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw new StatusError('BadRequest', `cannot read the path: '${part}' is not percent-encoded UTF-8`, { cause });
  }
}

function json(value: unknown): Answer {
  return { text: JSON.stringify(value) };
}

function unknownPath(path: string): StatusError {
  return new StatusError('NotFound', `cannot find ${path}: see the paths of the Open Inference Protocol v2`);
}

function health({ isReady }: Served, what: 'live' | 'ready'): unknown {
  if (what === 'ready' && !isReady()) throw new StatusError('ServiceUnavailable', 'the server is stopping');
  return { [what]: true };
}

function takeVersion(rest: readonly string[], path: string): string | undefined {
  if (rest[0] !== 'versions') return rest[0];
  if (rest[1] !== VERSION)
    throw new StatusError('NotFound', `cannot find ${path}: the model has version ${VERSION} only`);
  return rest[2];
}

function describeModel({ name, model }: Served): unknown {
  const describe = ({ name: tensor, type, shape }: TensorShape) => ({
    name: tensor,
    datatype: datatypeOf(type, tensor),
    shape,
  });
  return {
    name,
    versions: [VERSION],
    platform: 'onnxruntime_onnx',
    inputs: model.inputs.map(describe),
    outputs: model.outputs.map(describe),
  };
}

async function infer({ name, model, metrics }: Served, request: IncomingMessage): Promise<string> {
  const startedMs = performance.now();
  try {
    const parsed = parseInferRequest(await readJson(request), model);
    const outputs = await model.run(parsed);
    const text = formatInferAnswer({ modelName: name, modelVersion: VERSION, id: parsed.id, outputs });
    metrics.succeeded.inc();
    return text;
  } catch (error) {
    metrics.failed.inc();
    throw error;
  } finally {
    metrics.seconds.observe((performance.now() - startedMs) / 1000);
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  if (request.headers['inference-header-content-length'] !== undefined) {
    throw new StatusError(
      'UnsupportedMediaType',
      'cannot infer: the request uses the binary tensor extension, this server takes JSON tensors',
    );
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  // why: no encoding is set, so the stream gives buffers
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX)
      throw new StatusError('RequestEntityTooLarge', `cannot infer: the body is larger than ${BODY_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (cause) {
    throw new StatusError('BadRequest', 'cannot infer: the body is not JSON', { cause });
  }
}

interface Metrics {
  readonly registry: Registry;
  readonly succeeded: Counter.Internal;
  readonly failed: Counter.Internal;
  readonly seconds: Histogram.Internal<string>;
}

function createMetrics(model: string): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const requests = new Counter({
    name: 'athanor_inference_requests_total',
    help: 'Inference requests by how they ended.',
    labelNames: ['model', 'result'],
    registers,
  });
  const seconds = new Histogram({
    name: 'athanor_inference_seconds',
    help: 'Time of inference requests in seconds, parsing included.',
    labelNames: ['model'],
    registers,
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  });
  return {
    registry,
    succeeded: requests.labels({ model, result: 'success' }),
    failed: requests.labels({ model, result: 'failure' }),
    seconds: seconds.labels({ model }),
  };
}
