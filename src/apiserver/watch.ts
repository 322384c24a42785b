/** A watch: events of one collection to one client, from a revision on, until either side has had enough. */
import type { Clock } from '../base/clock.ts';
import type { StoredObject } from '../kube/object.ts';
import { apiVersionOf } from '../kube/object.ts';
import { toStatusError, toWireStatus } from '../kube/status-error.ts';
import type { StoreEvent } from './event-ring.ts';
import type { Exchange } from './exchange.ts';
import { objectText } from './object-text.ts';
import { type Filter, includeOf, parseFilter, passes, type ReadRequest, readCount, toPartial } from './read.ts';
import { resourceName } from './resource.ts';
import type { Store } from './store.ts';
import { toTable } from './table.ts';

const BOOKMARK_EVERY_MS = 60_000;
const TIMEOUT_DEFAULT_MS = 30 * 60_000;
/** A client that lets more than this pile up is cut off; it resumes from its last event. */
const UNSENT_BYTES_MAX = 16 * 1024 * 1024;

type EventType = StoreEvent['type'];

/** Streams until the client leaves, the timeout ends, or it falls too far behind. */
export function serveWatch(exchange: Exchange, store: Store, options: ReadRequest & { readonly clock: Clock }): void {
  const { response, query } = exchange;
  const filter = parseFilter(query);
  readCount(query, 'resourceVersion');
  const name = resourceName(options.resource);
  response.writeHead(200, {
    'content-type': 'application/json',
    'cache-control': 'no-cache, private',
    'transfer-encoding': 'chunked',
  });
  response.flushHeaders();
  const send = (type: string, text: string) => {
    response.write(`{"type":"${type}","object":${text}}\n`);
    if (response.writableLength > UNSENT_BYTES_MAX) response.destroy();
  };
  const onEvent = (event: StoreEvent) => {
    if (event.address.resource !== name || (options.namespace !== '' && event.address.namespace !== options.namespace))
      return;
    const type = typeFor(filter, event);
    if (type !== undefined) send(type, renderEvent(options, type === 'DELETED' ? lastSeen(event) : event.object));
  };
  try {
    replay({ store, name, filter, send, onEvent, options });
  } catch (error) {
    const status = toWireStatus(toStatusError(error));
    send('ERROR', JSON.stringify(status));
    response.end();
    return;
  }
  follow({ exchange, store, onEvent, send, options });
}

interface Stream {
  readonly store: Store;
  readonly send: (type: string, text: string) => void;
  readonly onEvent: (event: StoreEvent) => void;
  readonly options: ReadRequest & { readonly clock: Clock };
}

function replay({ store, name, filter, send, onEvent, options }: Stream & { name: string; filter: Filter }): void {
  const { query, namespace } = options;
  const version = query.get('resourceVersion') ?? '';
  const wantsInitial = query.get('sendInitialEvents') === 'true';
  if (version !== '' && version !== '0' && !wantsInitial) {
    for (const event of store.eventsSince(Number(version))) onEvent(event);
    return;
  }
  for (const object of store.list(name, namespace || undefined).items) {
    if (passes(filter, object)) send('ADDED', renderEvent(options, object));
  }
  if (wantsInitial) send('BOOKMARK', bookmark(options, store.revision, { 'k8s.io/initial-events-end': 'true' }));
}

function follow({ exchange, store, onEvent, send, options }: Stream & { exchange: Exchange }): void {
  const { response, query } = exchange;
  const unsubscribe = store.subscribe(onEvent);
  const timeoutSeconds = Number(query.get('timeoutSeconds') ?? 0);
  const cancelTimeout = options.clock.after(timeoutSeconds > 0 ? timeoutSeconds * 1000 : TIMEOUT_DEFAULT_MS, () =>
    response.end(),
  );
  const cancelBookmarks =
    query.get('allowWatchBookmarks') === 'true' ? repeat(options.clock, sendBookmark) : () => undefined;
  response.on('close', () => {
    unsubscribe();
    cancelTimeout();
    cancelBookmarks();
  });
  function sendBookmark(): void {
    send('BOOKMARK', bookmark(options, store.revision));
  }
}

function repeat(clock: Clock, run: () => void): () => void {
  let cancel = clock.after(BOOKMARK_EVERY_MS, tick);
  function tick(): void {
    run();
    cancel = clock.after(BOOKMARK_EVERY_MS, tick);
  }
  return () => cancel();
}

/** An object that enters the selection is ADDED to it, one that leaves is DELETED from it. */
function typeFor(filter: Filter, { type, object, previous }: StoreEvent): EventType | undefined {
  const isIn = type !== 'DELETED' && passes(filter, object);
  const wasIn = previous !== undefined && passes(filter, previous);
  if (isIn) return wasIn ? 'MODIFIED' : 'ADDED';
  return wasIn ? 'DELETED' : undefined;
}

/** What a client that knew the old state is told of its end: the old state at the new version. */
function lastSeen({ type, object, previous }: StoreEvent): StoredObject {
  if (type === 'DELETED' || previous === undefined) return object;
  return { ...previous, metadata: { ...previous.metadata, resourceVersion: object.metadata.resourceVersion ?? '' } };
}

function renderEvent({ resource, form, query, nowMs }: ReadRequest, object: StoredObject): string {
  if (form === 'object') return objectText(object);
  if (form === 'metadata') return JSON.stringify(toPartial(object));
  const resourceVersion = object.metadata.resourceVersion ?? '';
  return JSON.stringify(toTable(resource, [object], { resourceVersion, includeObject: includeOf(query), nowMs }));
}

function bookmark(
  { resource, form }: ReadRequest,
  revision: number,
  annotations?: Readonly<Record<string, string>>,
): string {
  const metadata = { resourceVersion: String(revision), creationTimestamp: null, ...(annotations && { annotations }) };
  if (form === 'table')
    return JSON.stringify({ kind: 'Table', apiVersion: 'meta.k8s.io/v1', metadata, columnDefinitions: [], rows: [] });
  return JSON.stringify({ kind: resource.kind, apiVersion: apiVersionOf(resource), metadata });
}
