/** The client over undici: one pool of connections for requests, one connection for each watch. */
import { Agent, type Dispatcher } from 'undici';
import type { KubeObject, ResourceRef } from '../kube/object.ts';
import { fromWireStatus, type Status, StatusError } from '../kube/status-error.ts';
import { resourcePath, toQuery } from './resource-path.ts';
import type { ApiClient, ListOptions, ObjectList, PatchRequest, WatchEvent } from './types.ts';

export interface ClientOptions {
  readonly url: string;
  /** Bearer token; a function is asked before each request, for tokens that rotate. */
  readonly token: string | (() => string);
  /** The server's authority; undefined trusts the system's. */
  readonly caPem?: string | undefined;
  /** Name shown in the server's logs and as field manager. */
  readonly userAgent: string;
}

const REQUEST_TIMEOUT_MS = 60_000;
/** A watch that brings nothing, not even a bookmark, for this long is given up and begun again. */
const WATCH_SILENCE_MAX_MS = 5 * 60_000;
const PAGE_SIZE = 1_000;

const PATCH_TYPES = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

/** Opens no connection until it is used. */
export function createClient(options: ClientOptions): ApiClient {
  const connect = options.caPem === undefined ? {} : { ca: options.caPem };
  const requests = new Agent({
    connect,
    connections: 32,
    pipelining: 1,
    headersTimeout: REQUEST_TIMEOUT_MS,
    bodyTimeout: REQUEST_TIMEOUT_MS,
  });
  const streams = new Agent({
    connect,
    pipelining: 1,
    headersTimeout: REQUEST_TIMEOUT_MS,
    bodyTimeout: WATCH_SILENCE_MAX_MS,
  });
  const sender = new Sender(options, requests, streams);
  return {
    get: (ref, name, namespace) => sender.json('GET', resourcePath(ref, { name, namespace })),
    list: (ref, list = {}) => listAll(sender, ref, list),
    create: (ref, object, query = { fieldManager: '' }) =>
      sender.json('POST', resourcePath(ref, { namespace: object.metadata.namespace }) + toQuery(query), object),
    update: (ref, object) => sender.json('PUT', pathOf(ref, object), object),
    updateStatus: (ref, object) => sender.json('PUT', pathOf(ref, object, 'status'), object),
    patch: (ref, patch) => sender.patch(ref, patch),
    delete: async (ref, name, { namespace, ...body } = {}) => {
      await sender.json('DELETE', resourcePath(ref, { name, namespace }), {
        kind: 'DeleteOptions',
        apiVersion: 'v1',
        ...body,
      });
    },
    watch: (ref, watch, signal) => watchOnce(sender, { ref, watch, signal }),
    request: (method, path, body) => sender.json(method, path, body),
    table: (path) => sender.table(path),
    stream: (path, signal) => readText(sender, path, signal),
    close: async () => {
      await Promise.all([requests.destroy(), streams.destroy()]);
    },
  };
}

function pathOf(ref: ResourceRef, { metadata }: KubeObject, subresource?: string): string {
  return resourcePath(ref, { name: metadata.name, namespace: metadata.namespace, subresource });
}

const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

interface ExchangeRequest {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly contentType: string;
  readonly accept?: string | undefined;
}

interface SendRequest {
  readonly method: string;
  readonly path: string;
  readonly signal?: AbortSignal;
  readonly headers?: object;
  readonly body?: string;
}

class Sender {
  readonly #options: ClientOptions;
  readonly #requests: Agent;
  readonly #streams: Agent;

  constructor(options: ClientOptions, requests: Agent, streams: Agent) {
    this.#options = options;
    this.#requests = requests;
    this.#streams = streams;
  }

  json<T>(method: string, path: string, body?: unknown): Promise<T> {
    return this.#exchange({ method, path, body, contentType: 'application/json' });
  }

  table<T>(path: string): Promise<T> {
    return this.#exchange({ method: 'GET', path, contentType: 'application/json', accept: TABLE });
  }

  patch<T>(
    ref: ResourceRef,
    { name, namespace, type, body, subresource, fieldManager, force, strict }: PatchRequest,
  ): Promise<T> {
    const query = toQuery({
      fieldManager: fieldManager ?? (type === 'apply' ? this.#options.userAgent : undefined),
      force,
      fieldValidation: strict ? 'Strict' : undefined,
    });
    const path = resourcePath(ref, { name, namespace, subresource }) + query;
    return this.#exchange({ method: 'PATCH', path, body, contentType: PATCH_TYPES[type] });
  }

  /** The body as it comes. @throws StatusError when the answer is no success. */
  async open(path: string, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const answer = await this.#send(this.#streams, { method: 'GET', path, signal });
    if (answer.statusCode >= 400) throw toError(await answer.body.text(), answer.statusCode);
    return answer;
  }

  async #exchange<T>(request: ExchangeRequest): Promise<T> {
    const { method, path, body, contentType, accept } = request;
    const wish = accept === undefined ? {} : { accept };
    const text =
      body === undefined
        ? { headers: wish }
        : { body: JSON.stringify(body), headers: { 'content-type': contentType, ...wish } };
    const answer = await this.#send(this.#requests, { method, path, ...text });
    const received = await answer.body.text();
    if (answer.statusCode >= 400) throw toError(received, answer.statusCode);
    return JSON.parse(received) as T; // why: the caller names what the path gives
  }

  async #send(agent: Agent, { method, path, signal, headers, body }: SendRequest): Promise<Dispatcher.ResponseData> {
    const { url, token, userAgent } = this.#options;
    const authorization = `Bearer ${typeof token === 'string' ? token : token()}`;
    try {
      return await agent.request({
        origin: url,
        path,
        method: method as Dispatcher.HttpMethod, // why: callers pass HTTP methods
        reset: false, // why: undici else closes the connection after each DELETE that has a body
        headers: { authorization, accept: 'application/json', 'user-agent': userAgent, ...headers },
        ...(body !== undefined && { body }),
        ...(signal && { signal }),
      });
    } catch (cause) {
      const why = cause instanceof Error ? cause.message || cause.name : String(cause);
      throw new StatusError('ServiceUnavailable', `cannot reach ${url}: ${why}`, { cause });
    }
  }
}

function toError(text: string, code: number): StatusError {
  try {
    return fromWireStatus(JSON.parse(text) as Partial<Status>, code); // why: fromWireStatus expects any fields or none
  } catch {
    return fromWireStatus({ message: text.slice(0, 1000) }, code); // why: not every server answers in JSON
  }
}

async function listAll<T extends KubeObject>(
  sender: Sender,
  ref: ResourceRef,
  list: ListOptions,
): Promise<ObjectList<T>> {
  const { namespace, labelSelector, fieldSelector } = list;
  const items: T[] = [];
  let next: string | undefined;
  for (;;) {
    const query = toQuery({ labelSelector, fieldSelector, limit: PAGE_SIZE, continue: next });
    const page: { items: T[]; metadata: { resourceVersion: string; continue?: string } } = await sender.json(
      'GET',
      resourcePath(ref, { namespace }) + query,
    );
    items.push(...page.items.map((item) => ({ ...item, apiVersion: apiVersion(ref), kind: ref.kind })));
    next = page.metadata.continue;
    if (next === undefined || next === '') return { items, resourceVersion: page.metadata.resourceVersion };
  }
}

function apiVersion({ group, version }: ResourceRef): string {
  return group === '' ? version : `${group}/${version}`;
}

interface WatchRequest {
  readonly ref: ResourceRef;
  readonly watch: ListOptions & { readonly resourceVersion: string };
  readonly signal: AbortSignal;
}

async function* watchOnce<T extends KubeObject>(
  sender: Sender,
  { ref, watch, signal }: WatchRequest,
): AsyncGenerator<WatchEvent<T>> {
  const { namespace, labelSelector, fieldSelector, resourceVersion } = watch;
  const query = toQuery({ watch: 1, allowWatchBookmarks: true, resourceVersion, labelSelector, fieldSelector });
  const answer = await sender.open(resourcePath(ref, { namespace }) + query, signal);
  for await (const line of readLines(answer.body, signal)) {
    const event = JSON.parse(line) as { type: string; object: unknown }; // why: the watch protocol
    if (event.type === 'ERROR') {
      const status = event.object as Partial<Status>; // why: ERROR events carry a Status
      throw fromWireStatus(status, status.code ?? 500);
    }
    yield event as WatchEvent<T>; // why: as above
  }
}

async function* readLines(body: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for await (const chunk of body) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      yield* lines.filter((line) => line !== '');
    }
  } catch (cause) {
    if (signal.aborted) return;
    throw new StatusError(
      'ServiceUnavailable',
      `the watch was cut: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

async function* readText(sender: Sender, path: string, signal: AbortSignal): AsyncGenerator<string> {
  const answer = await sender.open(path, signal);
  const decoder = new TextDecoder();
  try {
    // why: no encoding is set, so the stream gives buffers
    for await (const chunk of answer.body as AsyncIterable<Buffer>) yield decoder.decode(chunk, { stream: true });
  } catch (cause) {
    if (!signal.aborted) throw new StatusError('ServiceUnavailable', 'the stream was cut', { cause });
  }
}
