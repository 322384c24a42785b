/**
 * Logs and exec: found on the pod's node and passed through. Speaks to an agent as kube-apiserver speaks to a kubelet.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Node, Pod } from '../kube/pod.ts';
import { fromWireStatus, StatusError } from '../kube/status-error.ts';
import type { Exchange } from './exchange.ts';
import type { ResourcePath } from './request-path.ts';
import type { Store } from './store.ts';

export interface NodeProxyOptions {
  readonly store: Store;
  /** Bearer token that the agents ask for. */
  readonly nodeToken: string;
}

interface NodeTarget {
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

/**
 * Streams a container's log to the client. @throws BadRequest when the pod has several containers and none is named.
 */
export async function serveLogs(exchange: Exchange, path: ResourcePath, options: NodeProxyOptions): Promise<void> {
  const target = findTarget(exchange.query, path, { store: options.store, verb: 'containerLogs' });
  const headers = { authorization: `Bearer ${options.nodeToken}` };
  await new Promise<void>((resolve, reject) => {
    const upstream = httpRequest({ ...target, headers }, (answer) => {
      if (answer.statusCode !== 200) {
        readFailure(answer).then(reject, reject);
        return;
      }
      exchange.response.writeHead(200, { 'content-type': 'text/plain', 'cache-control': 'no-cache, private' });
      exchange.response.flushHeaders();
      answer.pipe(exchange.response);
      answer.on('end', resolve);
      answer.on('error', reject);
    });
    upstream.on('error', (cause) => reject(unreachableNode(target, cause)));
    exchange.response.on('close', () => {
      upstream.destroy();
      resolve();
    });
    upstream.end();
  });
}

const FAILURE_BYTES_MAX = 64 * 1024;

async function readFailure(answer: IncomingMessage): Promise<StatusError> {
  let text = '';
  for await (const chunk of answer) {
    text += String(chunk);
    if (text.length > FAILURE_BYTES_MAX) break;
  }
  try {
    return fromWireStatus(JSON.parse(text), answer.statusCode ?? 500);
  } catch {
    return fromWireStatus({ message: text.trim() }, answer.statusCode ?? 500); // why: an agent may answer in plain text
  }
}

/** Passes a WebSocket upgrade on and joins the two sockets. */
export function proxyUpgrade(
  client: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer },
  target: NodeTarget,
  nodeToken: string,
): void {
  const { request, socket, head } = client;
  const headers = { ...request.headers, authorization: `Bearer ${nodeToken}`, host: `${target.host}:${target.port}` };
  const upstream = httpRequest({ ...target, headers, method: 'GET' });
  upstream.on('upgrade', (answer, upstreamSocket, upstreamHead) => {
    const lines = Object.entries(answer.headers).map(([name, value]) => `${name}: ${String(value)}`);
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`);
    if (upstreamHead.length > 0) socket.write(upstreamHead);
    if (head.length > 0) upstreamSocket.write(head);
    upstreamSocket.pipe(socket).pipe(upstreamSocket);
    const close = () => {
      upstreamSocket.destroy();
      socket.destroy();
    };
    for (const side of [upstreamSocket, socket]) side.on('error', close).on('close', close);
  });
  upstream.on('response', (answer) => {
    socket.write(`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\nconnection: close\r\n\r\n`);
    answer.pipe(socket);
  });
  upstream.on('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\n\r\n'));
  upstream.end();
}

/** Where on which node the request about a container must go. @throws NotFound, BadRequest. */
export function findTarget(
  query: URLSearchParams,
  { namespace, name }: ResourcePath,
  { store, verb }: { store: Store; verb: 'containerLogs' | 'exec' },
): NodeTarget {
  // why: the address says pods
  const pod = store.get({ resource: 'pods', namespace, name }) as unknown as Pod | undefined;
  if (pod === undefined) throw new StatusError('NotFound', `pods "${name}" not found`);
  const container = query.get('container') ?? onlyContainer(pod);
  const known = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].map((one) => one.name);
  if (!known.includes(container))
    throw new StatusError('BadRequest', `container ${container} is not valid for pod ${name}`);
  const { nodeName } = pod.spec;
  if (nodeName === undefined) throw new StatusError('BadRequest', `pod ${name} does not have a host assigned`);
  // why: as above
  const node = store.get({ resource: 'nodes', namespace: '', name: nodeName }) as unknown as Node | undefined;
  const host = node?.status?.addresses?.find(({ type }) => type === 'InternalIP')?.address;
  const port = node?.status?.daemonEndpoints?.kubeletEndpoint.Port;
  if (host === undefined || port === undefined)
    throw new StatusError('ServiceUnavailable', `cannot reach node ${nodeName}: it has not told its address`);
  const rest = new URLSearchParams(query);
  rest.delete('container');
  return { host, port, path: `/${verb}/${namespace}/${name}/${container}?${rest}` };
}

function onlyContainer({ metadata, spec }: Pod): string {
  const names = spec.containers.map(({ name }) => name);
  const [only] = names;
  if (only !== undefined && names.length === 1) return only;
  throw new StatusError(
    'BadRequest',
    `a container name must be specified for pod ${metadata.name}, choose one of: [${names.join(' ')}]`,
  );
}

function unreachableNode({ host, port }: NodeTarget, cause: unknown): StatusError {
  return new StatusError('ServiceUnavailable', `cannot reach the node agent at ${host}:${port}: is it running?`, {
    cause,
  });
}
