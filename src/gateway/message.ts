/** What passes through of a request and an answer: bodies within the limit, headers but those of one connection. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { StatusError } from '../kube/status-error.ts';

const BODY_BYTES_MAX = 64 * 1024 * 1024;

/** Headers that belong to one connection and are not passed on (RFC 9110, 7.6.1). */
const HOP_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Headers that speak of another connection than the one to the pod, which makes its own. */
const OWN_HEADERS: ReadonlySet<string> = new Set(['host', 'expect', 'content-length', 'authorization']);

/** What the pod sees of a request's headers. The token stays here: it is the platform's, not the pod's. */
export function passRequestHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  return passEndToEnd(headers, (name) => OWN_HEADERS.has(name));
}

/** What the client sees of an answer's headers. */
export function passAnswerHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  return passEndToEnd(headers, () => false);
}

function passEndToEnd(
  headers: IncomingHttpHeaders,
  isDropped: (name: string) => boolean,
): Record<string, string | string[]> {
  const named = String(headers.connection ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim());
  const passed: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || HOP_HEADERS.has(name) || named.includes(name) || isDropped(name)) continue;
    passed[name] = value;
  }
  return passed;
}

/**
 * The whole body, undefined when there is none. A body over the limit leaves the connection open for the answer.
 * @throws RequestEntityTooLarge.
 */
export async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > BODY_BYTES_MAX) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  await new Promise<void>((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= BODY_BYTES_MAX) chunks.push(chunk);
      else reject(tooLarge());
    });
    request.once('end', resolve).once('error', reject).once('close', resolve);
  });
  return chunks.length === 0 ? undefined : Buffer.concat(chunks);
}

function tooLarge(): StatusError {
  return new StatusError(
    'RequestEntityTooLarge',
    `cannot pass the request on: its body is larger than ${BODY_BYTES_MAX} bytes, send less at once`,
  );
}
