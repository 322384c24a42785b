/** The agent's own HTTP server, on a kubelet's paths: logs, exec, health, pods, usage. Only the API server may ask. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { HTTP_STATUS, StatusError, toStatusError, toWireStatus } from '../kube/status-error.ts';
import type { ContainerSlot } from './container-slot.ts';
import { EXEC_PROTOCOLS, parseExecQuery, runExec } from './exec-session.ts';
import { EXEC_MESSAGE_MAX_BYTES, EXEC_SESSIONS_MAX, LOG_FILES_MAX, LOG_FOLLOWERS_MAX } from './limits.ts';
import { readLog } from './log-reader.ts';
import type { NodePods } from './node-pods.ts';
import type { AgentOptions } from './options.ts';
import { parseLogQuery } from './parse-log-query.ts';
import { summarizeUsage } from './summarize-usage.ts';

export interface AgentServer {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

export interface ServerOptions {
  readonly options: AgentOptions;
  readonly pods: NodePods;
}

interface Shared extends ServerOptions {
  readonly sockets: WebSocketServer;
  readonly counts: { followers: number; sessions: number };
}

/** Resolves when it answers. @throws what listen() gives. */
export async function startAgentServer(serverOptions: ServerOptions): Promise<AgentServer> {
  const { host = '127.0.0.1', port = 0 } = serverOptions.options;
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: EXEC_MESSAGE_MAX_BYTES,
    handleProtocols: (offered) => EXEC_PROTOCOLS.find((protocol) => offered.has(protocol)) ?? false,
  });
  const shared: Shared = { ...serverOptions, sockets, counts: { followers: 0, sessions: 0 } };
  const server = createServer((request, response) => void answer(shared, request, response));
  server.on('upgrade', (request, socket, head) => upgrade(shared, { request, socket, head }));
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  const { port: actual } = server.address() as AddressInfo; // why: it listens on TCP
  return {
    url: `http://${host}:${actual}`,
    port: actual,
    close: async () => {
      for (const client of sockets.clients) client.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(shared: Shared, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const url = new URL(request.url ?? '/', 'http://agent');
    if (url.pathname === '/healthz') return void response.end('ok');
    authorize(shared, request);
    if (url.pathname === '/pods') return sendJson(response, listPods(shared));
    if (url.pathname === '/stats/summary') return sendJson(response, summarizeUsage(shared));
    if (url.pathname.startsWith('/containerLogs/')) return await sendLog(shared, url, response);
    throw new StatusError(
      'NotFound',
      `cannot find ${url.pathname}: the agent serves containerLogs, exec, pods and stats`,
    );
  } catch (error) {
    sendError(response, error);
  }
}

function sendJson(response: ServerResponse, value: unknown, code = 200): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function sendError(response: ServerResponse, error: unknown): void {
  const status = toStatusError(error);
  if (response.headersSent) response.destroy();
  else sendJson(response, toWireStatus(status), HTTP_STATUS[status.reason]);
}

/** Compares digests, in constant time whatever the length. */
function authorize({ options }: Shared, request: IncomingMessage): void {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const given = digest(request.headers.authorization ?? '');
  if (timingSafeEqual(given, digest(`Bearer ${options.authToken}`))) return;
  throw new StatusError('Unauthorized', 'cannot answer: the request bears no token of the API server');
}

function listPods({ pods }: Shared): unknown {
  return { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: pods.list().map(({ pod }) => pod) };
}

/** The container that `/<verb>/<namespace>/<pod>/<container>` names. @throws NotFound when there is none. */
function findSlot({ pods }: Shared, pathname: string): ContainerSlot {
  const [, , namespace = '', pod = '', container = ''] = pathname.split('/').map(decodeURIComponent);
  const slot = pods.find(namespace, pod)?.slots.get(container);
  if (slot !== undefined) return slot;
  throw new StatusError('NotFound', `container "${container}" in pod "${pod}" is not on this node`);
}

async function sendLog(shared: Shared, url: URL, response: ServerResponse): Promise<void> {
  const slot = findSlot(shared, url.pathname);
  const { options, counts } = shared;
  const { follow, previous, ...query } = parseLogQuery(url.searchParams, options.clock.nowMs());
  const { record, waiting } = slot.view;
  if (previous && record.previousEnd === undefined) {
    throw new StatusError('BadRequest', `previous terminated container "${slot.name}" not found`);
  }
  if (record.run === undefined && record.end === undefined) {
    const reason = waiting?.reason ?? 'ContainerCreating';
    throw new StatusError('BadRequest', `container "${slot.name}" is waiting to start: ${waiting?.message ?? reason}`);
  }
  if (follow && counts.followers >= LOG_FOLLOWERS_MAX) throw tooMany('followers of logs', LOG_FOLLOWERS_MAX);
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const source = {
    path: slot.logPath(previous),
    filesMax: options.logFilesMax ?? LOG_FILES_MAX,
    waitForMore: (signal: AbortSignal) => (previous ? Promise.resolve(false) : slot.waitForLog(signal)),
  };
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.flushHeaders();
  counts.followers++;
  try {
    for await (const text of readLog(source, query, follow ? gone.signal : undefined)) await write(response, text);
  } finally {
    counts.followers--;
  }
  response.end();
}

/** Resolves when the client has room for more, or is gone. */
function write(response: ServerResponse, text: string): Promise<void> {
  if (response.destroyed || response.write(text)) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = () => {
      response.off('drain', finish).off('close', finish);
      resolve();
    };
    response.once('drain', finish).once('close', finish);
  });
}

function tooMany(what: string, max: number): StatusError {
  return new StatusError('TooManyRequests', `cannot serve: ${max} ${what} are open already, close some`);
}

interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

function upgrade(shared: Shared, { request, socket, head }: Upgrade): void {
  const { sockets, counts } = shared;
  socket.on('error', () => socket.destroy());
  try {
    authorize(shared, request);
    const url = new URL(request.url ?? '/', 'http://agent');
    if (!url.pathname.startsWith('/exec/'))
      throw new StatusError('NotFound', `cannot upgrade ${url.pathname}: only exec`);
    const query = parseExecQuery(url.searchParams);
    const { running, name } = findSlot(shared, url.pathname);
    if (running === undefined) throw new StatusError('BadRequest', `container "${name}" is not running`);
    if (counts.sessions >= EXEC_SESSIONS_MAX) throw tooMany('exec sessions', EXEC_SESSIONS_MAX);
    counts.sessions++;
    socket.once('close', () => counts.sessions--);
    sockets.handleUpgrade(request, socket, head, (client) => runExec({ client, running, query }));
  } catch (error) {
    const status = toStatusError(error);
    const body = JSON.stringify(toWireStatus(status));
    const head = `HTTP/1.1 ${HTTP_STATUS[status.reason]} ${status.reason}\r\ncontent-type: application/json`;
    socket.end(`${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`);
  }
}
