/**
 * The embedded API server: opens the store, listens on TLS, sends every request to its verb. Generic: knows no kind of
 * Athanor's.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { StatusError, toStatusError } from '../kube/status-error.ts';
import { bootstrap } from './bootstrap.ts';
import { BUILTIN_RESOURCES } from './builtin-resources.ts';
import { Collector } from './collector.ts';
import type { Credentials } from './credentials.ts';
import { Deleter } from './deleter.ts';
import { discover, VIRTUAL_RESOURCES } from './discovery.ts';
import { type Exchange, sendError, sendJson } from './exchange.ts';
import type { Journal } from './journal.ts';
import { findTarget, proxyUpgrade, serveLogs } from './node-proxy.ts';
import { isAllowed } from './rbac.ts';
import { CRDS, Registry } from './registry.ts';
import { parseResourcePath, type ResourcePath } from './request-path.ts';
import type { Resource } from './resource.ts';
import { Store } from './store.ts';
import { serveBinding, serveReview, serveTokenRequest } from './subresources.ts';
import { Tokens, type User } from './token.ts';
import { serveVerb, verbOf } from './verbs.ts';
import { type Admit, Writer } from './writer.ts';

export interface ApiServerOptions {
  readonly host: string;
  /** 0 chooses a free one. */
  readonly port: number;
  readonly journal: Journal;
  readonly credentials: Credentials;
  readonly nodeToken: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Told of errors that no client caused. */
  readonly report: (error: unknown) => void;
  /** Rules of custom resources that no schema can say. */
  readonly admit?: Admit | undefined;
}

export interface ApiServer {
  readonly url: string;
  close(): Promise<void>;
}

/** Resolves when it answers. @throws what listen() gives: EADDRINUSE when the port is taken. */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const parts = await assemble(options);
  const { serverCertPem: cert, serverKeyPem: key } = options.credentials;
  const server = createServer(
    { cert, key, keepAliveTimeout: 120_000, requestTimeout: 0, headersTimeout: 60_000 },
    (request, response) => {
      void handle(parts, request, response);
    },
  );
  server.on('upgrade', (request, socket, head) => void upgrade(parts, { request, socket, head }));
  try {
    await new Promise<void>((resolve, reject) =>
      server.once('error', reject).listen(options.port, options.host, resolve),
    );
  } catch (error) {
    await closeParts(parts);
    throw error;
  }
  const { port } = server.address() as AddressInfo; // why: it listens on TCP
  return {
    url: `https://${options.host}:${port}`,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      await closeParts(parts);
    },
  };
}

async function closeParts({ unfurnish, collector, store }: Parts): Promise<void> {
  unfurnish();
  await collector.close();
  await store.close();
}

interface Parts {
  readonly options: ApiServerOptions;
  readonly store: Store;
  readonly registry: Registry;
  readonly writer: Writer;
  readonly deleter: Deleter;
  readonly tokens: Tokens;
  readonly collector: Collector;
  readonly unfurnish: () => void;
}

async function assemble(options: ApiServerOptions): Promise<Parts> {
  const { journal, clock, random, credentials, report } = options;
  const store = await Store.open(journal);
  const registry = new Registry(BUILTIN_RESOURCES);
  const writer = new Writer({ store, clock, random, newUid: randomUUID, admit: options.admit });
  const deleter = new Deleter({ store, writer, clock });
  const { ownerToken, tokenPrivateKey: privateKey, tokenPublicKey: publicKey, caPem } = credentials;
  const tokens = new Tokens({ store, clock, ownerToken, privateKey, publicKey });
  followCrds(store, registry);
  const unfurnish = await bootstrap({ store, writer, registry, caPem, clock, report });
  const collector = new Collector({ store, writer, deleter, registry, clock, report });
  collector.start();
  return { options, store, registry, writer, deleter, tokens, collector, unfurnish };
}

/** Serves a custom resource as soon as its definition is durable, and until it is gone. */
function followCrds(store: Store, registry: Registry): void {
  for (const crd of store.list(CRDS).items) registry.addCrd(crd);
  store.subscribe(({ address, type, object }) => {
    if (address.resource !== CRDS) return;
    if (type === 'DELETED') registry.removeCrd(object.metadata.name);
    else registry.addCrd(object);
  });
}

async function handle(parts: Parts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const warnings: string[] = [];
  try {
    const url = parseUrl(request.url);
    if (['/healthz', '/livez', '/readyz'].includes(url.pathname)) {
      response.writeHead(200, { 'content-type': 'text/plain' }).end('ok');
      return;
    }
    const user = await authenticate(parts.tokens, request.headers.authorization);
    await route(parts, { request, response, path: url.pathname, query: url.searchParams, user, warnings });
  } catch (error) {
    if (toStatusError(error).reason === 'InternalError') parts.options.report(error);
    sendError({ response, warnings }, error);
  }
}

function parseUrl(text = '/'): URL {
  try {
    const url = new URL(text, 'https://localhost');
    decodeURIComponent(url.pathname);
    return url;
  } catch (cause) {
    throw new StatusError('BadRequest', `cannot read the path ${text}: it is not a URL`, { cause });
  }
}

async function authenticate(tokens: Tokens, authorization: string | undefined): Promise<User> {
  const match = /^Bearer (.+)$/i.exec(authorization ?? '');
  if (match?.[1] === undefined) throw new StatusError('Unauthorized', 'Unauthorized: no bearer token was sent');
  return tokens.identify(match[1]);
}

async function route(parts: Parts, exchange: Exchange): Promise<void> {
  const path = parseResourcePath(exchange.path);
  if (path === undefined || path.version === '') {
    authorizePath(parts.store, exchange);
    const isAggregated = (exchange.request.headers.accept ?? '').includes('g=apidiscovery.k8s.io;v=v2;');
    const found = discover(exchange.path, parts.registry, isAggregated);
    if (found === undefined) throw new StatusError('NotFound', 'the server could not find the requested resource');
    if (isAggregated && /^\/apis?\/?$/.test(exchange.path)) {
      exchange.response.setHeader(
        'content-type',
        'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
      );
      exchange.response.writeHead(200).end(JSON.stringify(found));
      return;
    }
    return sendJson(exchange, found);
  }
  await routeResource(parts, exchange, path);
}

function authorizePath(store: Store, { user, path }: Exchange): void {
  if (isAllowed(store, { user, verb: 'get', path })) return;
  throw new StatusError('Forbidden', `forbidden: User "${user.name}" cannot get path "${path}"`);
}

async function routeResource(parts: Parts, exchange: Exchange, path: ResourcePath): Promise<void> {
  const isReview = VIRTUAL_RESOURCES.some(
    ({ name, group, version }) => name === path.plural && group === path.group && version === path.version,
  );
  const resource = parts.registry.find(path.group, path.version, path.plural);
  if (resource === undefined && !isReview)
    throw new StatusError('NotFound', 'the server could not find the requested resource');
  const verb = verbOf(exchange, path);
  authorize(parts.store, { exchange, path, verb });
  const subresourceOptions = { ...parts, nowMs: () => parts.options.clock.nowMs() };
  if (resource === undefined) return serveReview(path.plural, exchange, subresourceOptions);
  const request = { exchange, path, resource };
  checkNamespace(parts.store, resource, { path, verb });
  const full = path.subresource === undefined ? '' : `${path.plural}/${path.subresource}`;
  if (full === 'pods/binding' && verb === 'create') return serveBinding(request, subresourceOptions);
  if (full === 'serviceaccounts/token' && verb === 'create') return serveTokenRequest(request, subresourceOptions);
  if (full === 'pods/log' && verb === 'get')
    return serveLogs(exchange, path, { store: parts.store, nodeToken: parts.options.nodeToken });
  if (full === 'pods/exec')
    throw new StatusError(
      'BadRequest',
      'cannot exec: this server speaks WebSocket here (v4 and v5.channel.k8s.io), not SPDY',
    );
  if (full !== '' && !(path.subresource === 'status' && resource.hasStatus)) {
    throw new StatusError('NotFound', `the server does not offer the subresource ${full}`);
  }
  await serveVerb(verb, request, {
    store: parts.store,
    writer: parts.writer,
    deleter: parts.deleter,
    clock: parts.options.clock,
  });
}

function authorize(
  store: Store,
  { exchange, path, verb }: { exchange: Exchange; path: ResourcePath; verb: string },
): void {
  const { group, plural, subresource, namespace, name } = path;
  const resource = subresource === undefined ? plural : `${plural}/${subresource}`;
  const { user } = exchange;
  if (isAllowed(store, { user, verb, group, resource, namespace, name })) return;
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const subject = name === '' ? `${plural} is` : `${plural} "${name}" is`;
  const message = `${subject} forbidden: User "${user.name}" cannot ${verb} resource "${resource}" in API group "${group}" ${where}`;
  throw new StatusError('Forbidden', message, { details: { group, kind: plural, name } });
}

/** Namespaced objects are made in a namespace that is there and stays. */
function checkNamespace(store: Store, resource: Resource, { path, verb }: { path: ResourcePath; verb: string }): void {
  const isWrite = verb === 'create' || verb === 'update' || verb === 'patch';
  if (!isWrite) return;
  const { namespace, plural } = path;
  if ((resource.scope === 'Namespaced') !== (namespace !== '')) {
    const want = resource.scope === 'Namespaced' ? 'a namespace must be in the path' : 'it belongs to no namespace';
    throw new StatusError('BadRequest', `cannot ${verb} ${plural}: ${want}`);
  }
  if (namespace === '') return;
  const found = store.get({ resource: 'namespaces', namespace: '', name: namespace });
  if (found === undefined)
    throw new StatusError('NotFound', `namespaces "${namespace}" not found`, {
      details: { kind: 'namespaces', name: namespace },
    });
  if (found.metadata.deletionTimestamp === undefined || verb !== 'create' || path.subresource !== undefined) return;
  const causes = [
    {
      reason: 'NamespaceTerminating',
      message: `namespace ${namespace} is being terminated`,
      field: 'metadata.namespace',
    },
  ];
  const message = `${plural} is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`;
  throw new StatusError('Forbidden', message, { details: { kind: plural, causes } });
}

async function upgrade(
  parts: Parts,
  client: { request: IncomingMessage; socket: Duplex; head: Buffer },
): Promise<void> {
  const { request, socket } = client;
  socket.on('error', () => socket.destroy());
  try {
    const url = parseUrl(request.url);
    const user = await authenticate(parts.tokens, request.headers.authorization);
    const path = parseResourcePath(url.pathname);
    if (path?.plural !== 'pods' || path.subresource !== 'exec')
      throw new StatusError('NotFound', 'the server could not find the requested resource');
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      throw new StatusError(
        'BadRequest',
        'cannot exec: this server speaks WebSocket here (v4 and v5.channel.k8s.io), not SPDY',
      );
    }
    const attributes = {
      user,
      verb: 'create',
      group: '',
      resource: 'pods/exec',
      namespace: path.namespace,
      name: path.name,
    };
    if (!isAllowed(parts.store, attributes))
      throw new StatusError('Forbidden', `pods "${path.name}" is forbidden: User "${user.name}" cannot exec into it`);
    proxyUpgrade(
      client,
      findTarget(url.searchParams, path, { store: parts.store, verb: 'exec' }),
      parts.options.nodeToken,
    );
  } catch (error) {
    const { message, reason } = toStatusError(error);
    const code =
      reason === 'Unauthorized' ? '401 Unauthorized' : reason === 'Forbidden' ? '403 Forbidden' : '400 Bad Request';
    socket.end(`HTTP/1.1 ${code}\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n${message}\n`);
  }
}
