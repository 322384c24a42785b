/** Subresources that are no part of an object: binding, token, and the questions about access. */
import { isJsonObject, type JsonObject } from '../base/json.ts';
import { formatTime } from '../kube/condition.ts';
import type { StoredObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import { isStatusError, StatusError } from '../kube/status-error.ts';
import { type Exchange, readBody, sendJson } from './exchange.ts';
import { isAllowed } from './rbac.ts';
import type { Store } from './store.ts';
import type { Tokens, User } from './token.ts';
import type { ResourceRequest } from './verbs.ts';
import { conflict, notFound, type Writer } from './writer.ts';

export interface SubresourceOptions {
  readonly store: Store;
  readonly writer: Writer;
  readonly tokens: Tokens;
  readonly nowMs: () => number;
}

/** Gives a pod its node. @throws Conflict when it has one, is going, or is another than the one that is meant. */
export async function serveBinding(
  { exchange, path, resource }: ResourceRequest,
  options: SubresourceOptions,
): Promise<void> {
  const body = await readJsonObject(exchange);
  const target = isJsonObject(body['target']) ? String(body['target']['name'] ?? '') : '';
  if (target === '')
    throw new StatusError('BadRequest', `cannot bind pod ${path.namespace}/${path.name}: target.name is missing`);
  const uid = isJsonObject(body['metadata']) ? body['metadata']['uid'] : undefined;
  const address = { resource: 'pods', namespace: path.namespace, name: path.name };
  const bind = (current: StoredObject) => {
    const { metadata, spec } = current as unknown as Pod; // why: the path says pods
    const isOther = uid !== undefined && uid !== '' && uid !== metadata.uid;
    if (isOther || metadata.deletionTimestamp !== undefined || spec.nodeName !== undefined)
      throw conflict({ resource, name: path.name });
    return bindPod(current, { nodeName: target, annotations: annotationsOf(body), nowMs: options.nowMs() });
  };
  const current = options.store.get(address);
  const isDryRun = exchange.query.get('dryRun') === 'All';
  const bound = isDryRun ? current && bind(current) : await options.writer.amend(address, bind);
  if (bound === undefined) throw notFound({ resource, name: path.name });
  sendJson(exchange, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }, 201);
}

interface BindingTo {
  readonly nodeName: string;
  /** A binding may tell the pod something, as kube-apiserver has it. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly nowMs: number;
}

function bindPod(object: StoredObject, { nodeName, annotations, nowMs }: BindingTo): StoredObject {
  const { spec, status, metadata } = object as unknown as Pod; // why: as above
  const others = (status?.conditions ?? []).filter(({ type }) => type !== 'PodScheduled');
  const scheduled = { type: 'PodScheduled', status: 'True' as const, lastTransitionTime: formatTime(nowMs) };
  const told =
    Object.keys(annotations).length === 0 ? {} : { annotations: { ...metadata.annotations, ...annotations } };
  return {
    ...object,
    metadata: { ...metadata, ...told },
    spec: { ...spec, nodeName },
    status: { ...status, conditions: [...others, scheduled] },
  };
}

function annotationsOf(body: JsonObject): Readonly<Record<string, string>> {
  const { annotations } = isJsonObject(body['metadata']) ? body['metadata'] : {};
  if (!isJsonObject(annotations)) return {};
  return Object.fromEntries(Object.entries(annotations).map(([name, value]) => [name, String(value)]));
}

const TOKEN_SECONDS_DEFAULT = 3600;
const TOKEN_SECONDS_MIN = 600;

/** TokenRequest of a service account. @throws Invalid when the time asked for is under ten minutes. */
export async function serveTokenRequest(
  { exchange, path, resource }: ResourceRequest,
  options: SubresourceOptions,
): Promise<void> {
  const account = options.store.get({ resource: 'serviceaccounts', namespace: path.namespace, name: path.name });
  if (account === undefined) throw notFound({ resource, name: path.name });
  const body = await readJsonObject(exchange);
  const spec = isJsonObject(body['spec']) ? body['spec'] : {};
  const expirationSeconds = Number(spec['expirationSeconds'] ?? TOKEN_SECONDS_DEFAULT);
  if (!(expirationSeconds >= TOKEN_SECONDS_MIN)) {
    throw new StatusError(
      'Invalid',
      `TokenRequest "" is invalid: spec.expirationSeconds: Invalid value: ${expirationSeconds}: may not specify a duration less than 10 minutes`,
    );
  }
  const bound = isJsonObject(spec['boundObjectRef']) ? spec['boundObjectRef'] : undefined;
  const pod = bound === undefined ? {} : { pod: { name: String(bound['name']), uid: String(bound['uid']) } };
  const audiences = Array.isArray(spec['audiences']) ? spec['audiences'].map(String) : [];
  const { token, expiresAtMs } = await options.tokens.issue({
    namespace: path.namespace,
    serviceAccount: path.name,
    serviceAccountUid: account.metadata.uid ?? '',
    expirationSeconds,
    audiences,
    ...pod,
  });
  const status = { token, expirationTimestamp: formatTime(expiresAtMs) };
  sendJson(exchange, { ...body, kind: 'TokenRequest', apiVersion: 'authentication.k8s.io/v1', spec, status }, 201);
}

/** TokenReview, SubjectAccessReview, SelfSubjectAccessReview: asked by POST, answered in `status`, never stored. */
export async function serveReview(kind: string, exchange: Exchange, options: SubresourceOptions): Promise<void> {
  const body = await readJsonObject(exchange);
  const spec = isJsonObject(body['spec']) ? body['spec'] : {};
  const status =
    kind === 'tokenreviews'
      ? await reviewToken(spec, options)
      : reviewAccess(kind, spec, { exchange, store: options.store });
  sendJson(exchange, { ...body, metadata: { creationTimestamp: null }, spec, status }, 201);
}

async function reviewToken(spec: JsonObject, { tokens }: SubresourceOptions): Promise<unknown> {
  try {
    const audiences = toTexts(spec['audiences']);
    const { name, uid, groups } = await tokens.identify(
      String(spec['token'] ?? ''),
      audiences.length > 0 ? audiences : undefined,
    );
    return { authenticated: true, user: { username: name, groups, ...(uid && { uid }) }, audiences: spec['audiences'] };
  } catch (error) {
    if (!isStatusError(error, 'Unauthorized')) throw error;
    return { authenticated: false, error: 'the token is not known here, or has ended' };
  }
}

function reviewAccess(
  kind: string,
  spec: JsonObject,
  { exchange, store }: { exchange: Exchange; store: Store },
): unknown {
  const user: User =
    kind === 'selfsubjectaccessreviews'
      ? exchange.user
      : { name: String(spec['user'] ?? ''), groups: toTexts(spec['groups']) };
  const asked = isJsonObject(spec['resourceAttributes']) ? spec['resourceAttributes'] : undefined;
  const open = isJsonObject(spec['nonResourceAttributes']) ? spec['nonResourceAttributes'] : {};
  const text = (value: unknown) => (value === undefined ? '' : String(value));
  const allowed =
    asked === undefined
      ? isAllowed(store, { user, verb: text(open['verb']), path: text(open['path']) })
      : isAllowed(store, {
          user,
          verb: text(asked['verb']),
          group: text(asked['group']),
          namespace: text(asked['namespace']),
          name: text(asked['name']),
          resource: asked['subresource'] ? `${asked['resource']}/${asked['subresource']}` : text(asked['resource']),
        });
  return { allowed, ...(!allowed && { reason: 'no role binding grants it' }) };
}

function toTexts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

async function readJsonObject(exchange: Exchange): Promise<JsonObject> {
  const body = await readBody(exchange);
  if (!isJsonObject(body))
    throw new StatusError('BadRequest', 'the object provided is unrecognized: it is not a JSON object');
  return body;
}
