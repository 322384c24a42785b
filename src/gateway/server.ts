/** The gateway: one door for inference traffic. Takes a request, finds a pod that answers, passes both bodies on. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { Agent } from 'undici';
import type { Clock } from '../base/clock.ts';
import { createInformer } from '../client/informer.ts';
import type { ApiClient } from '../client/types.ts';
import {
  type InferenceServiceSpec,
  type InferenceServiceStatus,
  inferenceService,
  SERVICE_LABEL,
} from '../kinds/inference-service/kind.ts';
import { answerDoor } from '../kube/loopback-door.ts';
import type { ObjectOf } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import { HTTP_STATUS, isStatusError, type Reason, StatusError, toStatusError } from '../kube/status-error.ts';
import { WELL_KNOWN } from '../kube/well-known.ts';
import { type Backend, Backends } from './backends.ts';
import { passAnswerHeaders, passRequestHeaders, readBody } from './message.ts';
import { createGatewayMetrics, type GatewayMetrics } from './metrics.ts';
import { findRoute, type Route } from './route.ts';

export interface GatewayOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly host: string;
  /** 0 chooses a free one. */
  readonly port: number;
  /** Asked about every token that comes. @throws Unauthorized. */
  readonly authenticate: (request: { readonly bearerToken: string }) => Promise<unknown>;
  readonly report: (error: unknown) => void;
  /** Measures of others that are told at /metrics too, in Prometheus' text form. */
  readonly moreMetrics?: () => Promise<string>;
}

export interface Gateway {
  readonly url: string;
  readonly synced: Promise<void>;
  /** Lets requests under way end, for a few seconds at most. */
  close(): Promise<void>;
}

/** The gateway's door: reason to HTTP status. */
const STATUS = { ...HTTP_STATUS, Invalid: 400 } as const satisfies Record<Reason, number>;

const UPSTREAM_SILENCE_MAX_MS = 300_000;
const DRAIN_MAX_MS = 5_000;
/** Pods that are tried for one request when they refuse the connection. */
const TRIES_MAX = 3;
/** Shorter than what Node's and uvicorn's servers keep (5 s), so that no request meets a connection just closed. */
const UPSTREAM_IDLE_MAX_MS = 4_000;
/** What the metrics say of a request whose client left before the answer, as nginx does. */
const CLIENT_LEFT = 499;

interface Parts extends GatewayOptions {
  readonly backends: Backends;
  readonly upstream: Agent;
  readonly metrics: GatewayMetrics;
}

/** Listens, and follows services and pods. @throws what listen() gives: EADDRINUSE when the port is taken. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { client, clock, report, host, port } = options;
  const pods = createInformer<Pod>({ client, clock, report, ref: WELL_KNOWN.Pod, labelSelector: SERVICE_LABEL });
  const services = createInformer<ObjectOf<InferenceServiceSpec, InferenceServiceStatus>>({
    client,
    clock,
    report,
    ref: inferenceService,
  });
  const backends = new Backends({ pods, services, clock });
  const upstream = new Agent({
    pipelining: 1,
    headersTimeout: UPSTREAM_SILENCE_MAX_MS,
    bodyTimeout: UPSTREAM_SILENCE_MAX_MS,
    keepAliveTimeout: UPSTREAM_IDLE_MAX_MS,
  });
  const parts: Parts = { ...options, backends, upstream, metrics: createGatewayMetrics(() => backends.counts()) };
  const server = createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
    response.once('close', () => server.listening || server.closeIdleConnections());
    void answer(parts, request, response);
  });
  const closeParts = async () => {
    backends.close();
    pods.close();
    services.close();
    await upstream.close();
  };
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  } catch (error) {
    await closeParts();
    throw error;
  }
  const { port: listening } = server.address() as AddressInfo; // why: it listens on TCP
  return {
    url: `http://${host}:${listening}`,
    synced: Promise.all([pods.synced, services.synced]).then(() => undefined),
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      const cancel = clock.after(DRAIN_MAX_MS, () => server.closeAllConnections());
      await closed;
      cancel();
      await closeParts();
    },
  };
}

async function answer(parts: Parts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const startedMs = parts.clock.nowMs();
  let service = '';
  try {
    if (await answerOwn(parts, request, response)) return;
    await letIn(parts, request);
    const route = findRoute(request.url ?? '/', request.headers.host);
    if (route === undefined)
      throw new StatusError(
        'NotFound',
        `cannot route ${request.url}: want /<namespace>/<service>/v2/... or the host <service>.<namespace>.localhost`,
      );
    service = route.service;
    await forward(parts, { route, request, response });
  } catch (error) {
    if (!response.destroyed && !isStatusError(error)) parts.report(error);
    sendError(response, error);
    if (isStatusError(error, 'NotFound')) service = '';
  }
  if (service === '') return;
  const code = response.writableFinished || !response.destroyed ? response.statusCode : CLIENT_LEFT;
  parts.metrics.observe({ service, code, seconds: (parts.clock.nowMs() - startedMs) / 1000 });
}

/** The gateway's own pages, which need no token. */
async function answerOwn(
  { metrics, moreMetrics = async () => '' }: Parts,
  { url = '/' }: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  if (url === '/healthz') response.writeHead(200, { 'content-type': 'text/plain' }).end('ok');
  else if (url === '/metrics')
    response
      .writeHead(200, { 'content-type': metrics.contentType })
      .end(`${await metrics.text()}${await moreMetrics()}`);
  else return false;
  return true;
}

async function letIn({ host: listenHost, authenticate }: Parts, { headers }: IncomingMessage): Promise<void> {
  const bearerToken = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1];
  const verdict = answerDoor({ listenHost, host: headers.host, origin: headers.origin, bearerToken });
  if (verdict === 'refuse')
    throw new StatusError(
      'Unauthorized',
      'cannot let you in: send a bearer token, or call by a loopback name from no other site',
    );
  if (verdict === 'check-token') await authenticate({ bearerToken: bearerToken ?? '' });
}

interface Passage {
  readonly route: Route;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

async function forward(parts: Parts, { route, request, response }: Passage): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const body = await readBody(request);
  const refused = new Set<Backend>();
  for (;;) {
    const backend = await parts.backends.take(route.service, gone.signal, refused);
    try {
      await pass(parts, { backend, route, request, response, body, signal: gone.signal });
      return;
    } catch (error) {
      if (gone.signal.aborted) return;
      if (!isRefusal(error) || refused.size + 1 >= TRIES_MAX) throw toUpstreamError(route, backend, error);
      refused.add(backend);
    } finally {
      parts.backends.release(backend);
    }
  }
}

interface Pass extends Passage {
  readonly backend: Backend;
  readonly body: Buffer | undefined;
  readonly signal: AbortSignal;
}

async function pass({ upstream }: Parts, { backend, route, request, response, body, signal }: Pass): Promise<void> {
  const reply = await upstream.request({
    origin: backend.origin,
    path: route.path,
    method: (request.method ?? 'GET') as 'GET',
    headers: passRequestHeaders(request.headers),
    signal,
    ...(body && { body }), // why: Node gives HTTP methods
  });
  response.writeHead(reply.statusCode, passAnswerHeaders(reply.headers));
  response.flushHeaders(); // why: a stream's first event may be long in coming
  await pipeline(reply.body, response);
}

/** True when nothing of the request can have reached the pod. */
function isRefusal(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? ''; // why: net and undici errors carry a code
  return ['ECONNREFUSED', 'EHOSTUNREACH', 'UND_ERR_CONNECT_TIMEOUT'].includes(code);
}

function toUpstreamError({ service }: Route, { pod }: Backend, cause: unknown): StatusError {
  if (cause instanceof StatusError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new StatusError(
    'ServiceUnavailable',
    `cannot reach service ${service}: pod ${pod} broke off (${why}), see its logs`,
    {
      cause,
    },
  );
}

function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy(); // why: the client must see that the answer is not whole
    return;
  }
  const known = toStatusError(error);
  const text = JSON.stringify({ error: known.message });
  response.writeHead(STATUS[known.reason], {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...ERROR_HEADERS[known.reason],
  });
  response.end(text);
}

/** What a client should know besides the reason. */
const ERROR_HEADERS: Partial<Record<Reason, Readonly<Record<string, string>>>> = {
  TooManyRequests: { 'retry-after': '1' },
  ServiceUnavailable: { 'retry-after': '1' },
  Unauthorized: { 'www-authenticate': 'Bearer' },
  RequestEntityTooLarge: { connection: 'close' }, // why: the rest of the body is not read
};
