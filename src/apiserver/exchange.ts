/** One request and its answer: the query parsed, the body read within its limit, JSON out. Knows no resource. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { parse as parseYaml } from 'yaml';
import { StatusError, toStatusError, toWireStatus } from '../kube/status-error.ts';
import type { User } from './token.ts';

/** Kubernetes' own limit of a request body. */
const BODY_BYTES_MAX = 3 * 1024 * 1024;

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly user: User;
  readonly warnings: string[];
}

/**
 * The body parsed from JSON or YAML; undefined when there is none. @throws BadRequest, RequestEntityTooLarge,
 * UnsupportedMediaType.
 */
export async function readBody({ request }: Pick<Exchange, 'request'>): Promise<unknown> {
  const text = await readText(request);
  if (text === '') return undefined;
  const type = contentTypeOf(request);
  if (type.includes('protobuf') || type.includes('cbor')) {
    const accepted = 'application/json, application/yaml and the patch types';
    throw new StatusError('UnsupportedMediaType', `cannot read a body of type ${type}: this server takes ${accepted}`);
  }
  try {
    return type.includes('yaml') ? parseYaml(text) : JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StatusError('BadRequest', `the object provided is unrecognized: ${why}`, { cause });
  }
}

/** The media type of the body, without parameters. */
export function contentTypeOf(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? 'application/json').split(';')[0]?.trim() ?? '';
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // why: no encoding is set, so the stream gives buffers
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) {
      throw new StatusError('RequestEntityTooLarge', `Request entity too large: limit is ${BODY_BYTES_MAX} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Ends the exchange with a JSON text that is already made. */
export function sendJsonText(
  { response, warnings }: Pick<Exchange, 'response' | 'warnings'>,
  text: string,
  code = 200,
): void {
  if (response.headersSent || response.writableEnded) return;
  const headers: Record<string, string | string[]> = {
    'content-type': 'application/json',
    'cache-control': 'no-cache, private',
  };
  if (warnings.length > 0) headers['warning'] = warnings.map((warning) => `299 - "${warning.replaceAll('"', '\\"')}"`);
  response.writeHead(code, { ...headers, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

/** Ends the exchange with a value as JSON. */
export function sendJson(exchange: Pick<Exchange, 'response' | 'warnings'>, value: unknown, code = 200): void {
  sendJsonText(exchange, JSON.stringify(value), code);
}

/** Ends the exchange with a Status that says what went wrong; after the headers are out, by cutting the connection. */
export function sendError(exchange: Pick<Exchange, 'response' | 'warnings'>, error: unknown): void {
  const status = toWireStatus(toStatusError(error));
  if (exchange.response.headersSent) exchange.response.destroy();
  else sendJson(exchange, status, status.code);
}
