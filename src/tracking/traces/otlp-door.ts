/** `POST /v1/traces`: spans from any OpenTelemetry exporter, into the experiment that a header names. */
import { promisify } from 'node:util';
import { gunzip, inflate, inflateRaw } from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { StatusError } from '../../kube/status-error.ts';
import { trackingOf } from '../door.ts';
import { OTLP_BODY_BYTES_MAX } from '../limits.ts';
import type { Shared } from '../tracking.ts';
import { decodeSpans, type OtlpSpan, parseSpans } from './otlp.ts';
import { logSpans } from './spans.ts';
import { linkTraces } from './traces.ts';

const PATH = '/v1/traces';
const TYPES = ['application/x-protobuf', 'application/json'] as const;
const UNPACKERS = { gzip: promisify(gunzip), deflate: promisify(inflate) } as const;
const inflateBare = promisify(inflateRaw);

/** Adds the endpoint. */
export function addOtlpDoor(server: FastifyInstance, shared: Shared): void {
  // Its own scope, where bodies stay bytes.
  void server.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, async (_request: FastifyRequest, body: Buffer) => body);
    scope.post(PATH, { bodyLimit: OTLP_BODY_BYTES_MAX }, async (request, reply) => receive(request, reply, shared));
  });
}

async function receive(request: FastifyRequest, reply: FastifyReply, shared: Shared): Promise<FastifyReply> {
  const type = readType(request);
  const experimentId = readHeader(request, 'x-mlflow-experiment-id');
  if (!experimentId) {
    throw new StatusError('Invalid', 'cannot keep the spans: they are in no experiment, set x-mlflow-experiment-id');
  }
  const tracking = trackingOf(request, shared);
  const body = await unpack(request);
  const spans = type === 'application/json' ? parseSpans(body.toString()) : await decodeSpans(body);
  await logSpans(tracking, experimentId, spans);
  const runId = readHeader(request, 'x-mlflow-run-id');
  if (runId) await linkTraces(tracking, runId, listRooted(spans));
  // An empty ExportTraceServiceResponse, in either encoding.
  return type === 'application/json' ? reply.type(type).send('{}') : reply.type(type).send(Buffer.alloc(0));
}

/** Traces whose first span has come. */
function listRooted(spans: readonly OtlpSpan[]): readonly string[] {
  const roots = spans.filter(({ parent_span_id }) => !parent_span_id);
  return [...new Set(roots.map(({ trace_id }) => `tr-${Buffer.from(trace_id, 'base64').toString('hex')}`))];
}

function readType(request: FastifyRequest): (typeof TYPES)[number] {
  const said = request.headers['content-type'];
  const type = TYPES.find((known) => known === said?.split(';', 1)[0]?.trim());
  if (type) return type;
  throw new StatusError('BadRequest', `Invalid Content-Type: ${said}. Expected: ${TYPES.join(' or ')}`);
}

async function unpack(request: FastifyRequest): Promise<Buffer> {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  const encoding = readHeader(request, 'content-encoding')?.toLowerCase() ?? 'identity';
  if (encoding === 'identity') return body;
  const options = { maxOutputLength: OTLP_BODY_BYTES_MAX };
  try {
    if (encoding === 'gzip') return await UNPACKERS.gzip(body, options);
    if (encoding === 'deflate') {
      return await UNPACKERS.deflate(body, options).catch(() => inflateBare(body, options));
    }
  } catch (error) {
    throw new StatusError('BadRequest', `Failed to decompress ${encoding} payload`, { cause: error });
  }
  throw new StatusError('BadRequest', `Unsupported Content-Encoding: ${encoding}`);
}

function readHeader({ headers }: FastifyRequest, name: string): string | undefined {
  return [headers[name]].flat()[0]?.trim() || undefined;
}
