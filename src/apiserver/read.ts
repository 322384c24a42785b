/** Get and list: selectors, pages, and the form a client asks for. */
import type { StoredObject } from '../kube/object.ts';
import { apiVersionOf } from '../kube/object.ts';
import {
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
  type Selector,
} from '../kube/selector.ts';
import { StatusError } from '../kube/status-error.ts';
import type { Form } from './accept.ts';
import { objectText } from './object-text.ts';
import { type Resource, resourceName } from './resource.ts';
import type { Snapshot, Store } from './store.ts';
import { type IncludeObject, toTable } from './table.ts';

/** Which objects of a collection a request is about. */
export interface Filter {
  readonly labels: Selector;
  readonly fields: Selector;
}

export interface ReadRequest {
  readonly resource: Resource;
  readonly namespace: string;
  readonly query: URLSearchParams;
  readonly form: Form;
  readonly nowMs: number;
}

/** @throws BadRequest when a selector does not parse. */
export function parseFilter(query: URLSearchParams): Filter {
  return {
    labels: parseLabelSelector(query.get('labelSelector') ?? ''),
    fields: parseFieldSelector(query.get('fieldSelector') ?? ''),
  };
}

/** A whole number of the query; 0 when it is not there. @throws BadRequest when it is none. */
export function readCount(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? '';
  if (/^\d*$/.test(text)) return Number(text);
  throw new StatusError('BadRequest', `cannot read ${name} '${text}': it is not a whole number`);
}

/** True when the object is among those the request is about. */
export function passes({ labels, fields }: Filter, object: StoredObject): boolean {
  return matchesLabels(labels, object.metadata.labels) && matchesFields(fields, object);
}

/** One object in the form asked for, as JSON text. */
export function renderObject({ resource, form, query, nowMs }: ReadRequest, object: StoredObject): string {
  if (form === 'object') return objectText(object);
  if (form === 'metadata') return JSON.stringify(toPartial(object));
  const resourceVersion = object.metadata.resourceVersion ?? '';
  return JSON.stringify(toTable(resource, [object], { resourceVersion, includeObject: includeOf(query), nowMs }));
}

/**
 * A page of a list as JSON text. @throws Expired when its continue token is too old; Timeout when the version is not
 * there yet.
 */
export function renderList(store: Store, request: ReadRequest): string {
  const { resource, query, form, nowMs } = request;
  const page = takePage(store, request);
  const resourceVersion = String(page.revision);
  if (form === 'table') {
    return JSON.stringify(
      toTable(resource, page.items, {
        resourceVersion,
        continueToken: page.next,
        includeObject: includeOf(query),
        nowMs,
      }),
    );
  }
  const metadata = JSON.stringify({
    resourceVersion,
    ...(page.next && { continue: page.next }),
    ...(page.left > 0 && { remainingItemCount: page.left }),
  });
  if (form === 'metadata') {
    const items = JSON.stringify(page.items.map(toPartial));
    return `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":${metadata},"items":${items}}`;
  }
  const items = page.items.map(objectText).join(',');
  return `{"kind":"${resource.kind}List","apiVersion":"${apiVersionOf(resource)}","metadata":${metadata},"items":[${items}]}`;
}

interface Page extends Snapshot {
  readonly next: string | undefined;
  readonly left: number;
}

interface ContinueToken {
  readonly revision: number;
  readonly after: string;
}

function takePage(store: Store, { resource, namespace, query }: ReadRequest): Page {
  const filter = parseFilter(query);
  const token = parseContinue(query.get('continue'));
  const snapshot = findSnapshot(store, {
    name: resourceName(resource),
    namespace: namespace || undefined,
    query,
    token,
  });
  const from = token?.after;
  const rest = snapshot.items.filter(
    (object) => passes(filter, object) && (from === undefined || pageKey(object) > from),
  );
  const limit = readCount(query, 'limit');
  const items = limit > 0 ? rest.slice(0, limit) : rest;
  const left = rest.length - items.length;
  const last = items.at(-1);
  const next =
    left > 0 && last !== undefined ? formatContinue({ revision: snapshot.revision, after: pageKey(last) }) : undefined;
  return { items, revision: snapshot.revision, next, left };
}

interface SnapshotRequest {
  readonly name: string;
  readonly namespace: string | undefined;
  readonly query: URLSearchParams;
  readonly token: ContinueToken | undefined;
}

function findSnapshot(store: Store, { name, namespace, query, token }: SnapshotRequest): Snapshot {
  if (token !== undefined) return store.listAt(name, namespace, token.revision);
  const wanted = readCount(query, 'resourceVersion');
  if (wanted > store.revision) {
    const details = {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version', field: '' }],
      retryAfterSeconds: 1,
    };
    throw new StatusError('Timeout', `Too large resource version: ${wanted}, current: ${store.revision}`, { details });
  }
  if (query.get('resourceVersionMatch') === 'Exact') return store.listAt(name, namespace, wanted);
  return store.list(name, namespace);
}

function pageKey({ metadata }: StoredObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

function formatContinue(token: ContinueToken): string {
  return Buffer.from(JSON.stringify(token)).toString('base64url');
}

function parseContinue(text: string | null): ContinueToken | undefined {
  if (text === null || text === '') return undefined;
  try {
    // why: checked in the next line
    const { revision, after } = JSON.parse(Buffer.from(text, 'base64url').toString()) as ContinueToken;
    if (Number.isInteger(revision) && typeof after === 'string') return { revision, after };
  } catch {
    // why: any text that is not a token of ours is answered below
  }
  throw new StatusError('BadRequest', 'continue key is not valid: it was not given out by this server');
}

/** The object reduced to its metadata, as metadata clients ask for it. */
export function toPartial({ metadata }: StoredObject): unknown {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata };
}

/** How much of each object a Table carries. */
export function includeOf(query: URLSearchParams): IncludeObject {
  const include = query.get('includeObject');
  return include === 'None' || include === 'Object' ? include : 'Metadata';
}
