/**
 * From an HTTP request to a verb of the store: get, list, watch, create, update, patch, delete. Knows which content
 * type means which patch.
 */
import type { Clock } from '../base/clock.ts';
import { isJsonObject } from '../base/json.ts';
import type { StoredObject } from '../kube/object.ts';
import { type JsonPatchOperation, jsonPatch, mergePatch } from '../kube/patch.ts';
import { StatusError } from '../kube/status-error.ts';
import { chooseForm } from './accept.ts';
import type { DeleteRequest, Deleter } from './deleter.ts';
import { checkEscalation } from './escalation.ts';
import { contentTypeOf, type Exchange, readBody, sendJson, sendJsonText } from './exchange.ts';
import { objectText } from './object-text.ts';
import { parseFilter, passes, type ReadRequest, renderList, renderObject } from './read.ts';
import type { ResourcePath } from './request-path.ts';
import { type Resource, resourceName } from './resource.ts';
import type { Store } from './store.ts';
import { serveWatch } from './watch.ts';
import type { WriteContext } from './write-context.ts';
import { isObjectLike, notFound, type Writer } from './writer.ts';

export interface VerbOptions {
  readonly store: Store;
  readonly writer: Writer;
  readonly deleter: Deleter;
  readonly clock: Clock;
}

/** A request whose resource is known and whose user may do it. */
export interface ResourceRequest {
  readonly exchange: Exchange;
  readonly path: ResourcePath;
  readonly resource: Resource;
}

/** The RBAC verb of a request. @throws MethodNotAllowed. */
export function verbOf({ request, query }: Exchange, path: ResourcePath): string {
  const isCollection = path.name === '';
  const isWatch = query.get('watch') === 'true' || query.get('watch') === '1';
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      return isCollection ? (isWatch ? 'watch' : 'list') : isWatch ? 'watch' : 'get';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return isCollection ? 'deletecollection' : 'delete';
    default:
      throw new StatusError(
        'MethodNotAllowed',
        `the server does not allow the method ${request.method} on the requested resource`,
      );
  }
}

/** Serves one request on a stored resource or its status. */
export async function serveVerb(verb: string, request: ResourceRequest, options: VerbOptions): Promise<void> {
  const { exchange, path } = request;
  if ((verb === 'create') !== (path.name === '') && ['create', 'update', 'patch'].includes(verb)) {
    throw new StatusError(
      'MethodNotAllowed',
      `cannot ${verb} ${path.plural}: ${verb === 'create' ? 'a name is' : 'no name is'} in the path`,
    );
  }
  switch (verb) {
    case 'get':
      return sendJsonText(exchange, readOne(request, options));
    case 'list':
      return sendJsonText(exchange, renderList(options.store, readRequest(request, options)));
    case 'watch':
      return serveWatch(watchable(request), options.store, { ...readRequest(request, options), clock: options.clock });
    case 'create':
      return createOne(request, options);
    case 'update':
      return sendWritten(
        request,
        await options.writer.update(writeContext(request, options), await readObject(exchange)),
      );
    case 'patch':
      return sendWritten(request, await patchOne(request, options));
    case 'delete':
      return deleteOne(request, options);
    default:
      return deleteMany(request, options);
  }
}

function readRequest({ exchange, path, resource }: ResourceRequest, { clock }: VerbOptions): ReadRequest {
  const form = chooseForm(exchange.request.headers.accept);
  return { resource, namespace: path.namespace, query: exchange.query, form, nowMs: clock.nowMs() };
}

function readOne(request: ResourceRequest, options: VerbOptions): string {
  const { path, resource } = request;
  const found = options.store.get({ resource: resourceName(resource), namespace: path.namespace, name: path.name });
  if (found === undefined) throw notFound({ resource, name: path.name });
  return renderObject(readRequest(request, options), found);
}

/** A watch of one name is a watch of the collection with a field selector. */
function watchable({ exchange, path }: ResourceRequest): Exchange {
  if (path.name === '') return exchange;
  const query = new URLSearchParams(exchange.query);
  query.set('fieldSelector', `metadata.name=${path.name}`);
  return { ...exchange, query };
}

function writeContext({ exchange, path, resource }: ResourceRequest, { store }: VerbOptions): WriteContext {
  const { query, request, warnings } = exchange;
  const validation = query.get('fieldValidation');
  const agent = (request.headers['user-agent'] ?? 'unknown').split('/')[0]?.slice(0, 128) ?? 'unknown';
  return {
    resource,
    namespace: path.namespace,
    name: path.name,
    subresource: path.subresource === 'status' ? 'status' : undefined,
    fieldManager: query.get('fieldManager') ?? agent,
    fieldValidation: validation === 'Strict' || validation === 'Ignore' ? validation : 'Warn',
    dryRun: query.get('dryRun') === 'All',
    guard: (next, before) => checkEscalation({ store, user: exchange.user, next, before }),
    warn: (message) => warnings.push(message),
  };
}

async function readObject(exchange: Exchange): Promise<StoredObject> {
  const body = await readBody(exchange);
  if (!isObjectLike(body))
    throw new StatusError('BadRequest', 'the object provided is unrecognized: it is not an object with metadata');
  return body;
}

async function createOne(request: ResourceRequest, options: VerbOptions): Promise<void> {
  const body = await readObject(request.exchange);
  const created = await options.writer.create(writeContext(request, options), body);
  sendJsonText(request.exchange, objectText(created), 201);
}

function sendWritten({ exchange }: ResourceRequest, object: StoredObject): void {
  sendJsonText(exchange, objectText(object));
}

async function patchOne(request: ResourceRequest, options: VerbOptions): Promise<StoredObject> {
  const { writer } = options;
  const { exchange, resource, path } = request;
  const type = contentTypeOf(exchange.request);
  const context = writeContext(request, options);
  const body = await readBody(exchange);
  switch (type) {
    case 'application/merge-patch+json':
      return writer.patch(context, (current) => asObject(mergePatch(current, body)));
    case 'application/json-patch+json':
      // why: jsonPatch checks it
      return writer.patch(context, (current) => asObject(jsonPatch(current, body as readonly JsonPatchOperation[])));
    case 'application/apply-patch+yaml': {
      if (!isObjectLike(body)) throw new StatusError('BadRequest', 'cannot apply: the body is not an object');
      if (!exchange.query.has('fieldManager'))
        throw new StatusError(
          'BadRequest',
          'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
        );
      return writer.apply(
        context,
        { ...body, metadata: { ...body.metadata, name: path.name } },
        exchange.query.get('force') === 'true',
      );
    }
    default: {
      const wanted = 'application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml';
      throw new StatusError(
        'UnsupportedMediaType',
        `cannot patch ${resourceName(resource)} with ${type}: accepted media types include: ${wanted}`,
      );
    }
  }
}

function asObject(value: unknown): StoredObject {
  if (!isObjectLike(value)) throw new StatusError('Invalid', 'cannot patch: what the patch leaves is not an object');
  return value;
}

async function readDeleteRequest(exchange: Exchange): Promise<DeleteRequest> {
  const body = await readBody(exchange);
  const { query } = exchange;
  const given = isJsonObject(body) ? (body as DeleteRequest) : {}; // why: DeleteOptions of the wire have these fields
  const grace = query.get('gracePeriodSeconds');
  // why: unknown words act as the default
  const policy = query.get('propagationPolicy') as DeleteRequest['propagationPolicy'] | null;
  return {
    gracePeriodSeconds: grace === null ? given.gracePeriodSeconds : Number(grace),
    propagationPolicy: policy ?? given.propagationPolicy,
    preconditions: given.preconditions,
    dryRun:
      query.get('dryRun') === 'All' ||
      (isJsonObject(body) && Array.isArray(body['dryRun']) && body['dryRun'].includes('All')),
  };
}

async function deleteOne(
  { exchange, path, resource }: ResourceRequest,
  { deleter, store }: VerbOptions,
): Promise<void> {
  const request = await readDeleteRequest(exchange);
  const { namespace, name } = path;
  const last = await deleter.delete({ resource, namespace, name }, request);
  if (store.get({ resource: resourceName(resource), namespace, name }) !== undefined)
    return sendJsonText(exchange, objectText(last));
  const details = { name, group: resource.group, kind: resource.plural, uid: last.metadata.uid };
  sendJson(exchange, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details });
}

async function deleteMany(request: ResourceRequest, { deleter, store }: VerbOptions): Promise<void> {
  const { exchange, path, resource } = request;
  const filter = parseFilter(exchange.query);
  const asked = await readDeleteRequest(exchange);
  const { items } = store.list(resourceName(resource), path.namespace || undefined);
  for (const object of items.filter((item) => passes(filter, item))) {
    const { name, namespace = '' } = object.metadata;
    const target = { resource, namespace, name };
    if (store.get({ resource: resourceName(resource), namespace, name }) !== undefined)
      await deleter.delete(target, asked);
  }
  sendJson(exchange, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { group: resource.group, kind: resource.plural },
  });
}
