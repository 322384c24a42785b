/** How commands speak to tracking: MLflow's REST API, with errors as the command line's own. Knows where it is. */
import { openAsBlob } from 'node:fs';
import { StatusError } from '../kube/status-error.ts';
import type { CommandContext } from './context.ts';
import { findRunState } from './run-state.ts';
import { fromReasonOf } from './tracking-errors.ts';

/** Flags of every command that speaks to tracking. */
export interface TrackingFlags {
  readonly tracking?: string;
  readonly namespace?: string;
  readonly output?: string;
}

/** Paths follow `/api/2.0/mlflow`, or the root of the server when they begin with `/`. */
export interface TrackingClient {
  readonly url: string;
  get<T>(path: string, query?: Readonly<Record<string, string | readonly string[]>>): Promise<T>;
  send<T>(method: 'POST' | 'PATCH' | 'DELETE', path: string, body: object): Promise<T>;
  /** POST of a body, GET without one; numbers that JSON cannot say are sent as texts. */
  ask<T>(path: string, body?: unknown): Promise<T>;
  /** A file's bytes as they come. @throws NotFound */
  open(path: string): Promise<ReadableStream<Uint8Array>>;
  /** Sends a file unless one of its size is there; tells whether it was sent. `path` is an artifact's. */
  putFile(path: string, file: string): Promise<boolean>;
}

/** Where artifacts are, by path. */
export const FILES = '/api/2.0/mlflow-artifacts/artifacts';

/** @throws ServiceUnavailable when nothing says where tracking is. */
export function openTracking({ config, env }: CommandContext, flags: TrackingFlags): TrackingClient {
  const found = flags.tracking ?? findRunState(config.home)?.endpoints.tracking ?? env['MLFLOW_TRACKING_URI'];
  const url = found?.replace(/\/+$/, '');
  if (url === undefined) {
    const what = "Athanor is not running, start it with 'athanor up' or name a --tracking address";
    throw new StatusError('ServiceUnavailable', `cannot reach tracking: ${what}`);
  }
  const token = env['MLFLOW_TRACKING_TOKEN'];
  const headers = {
    ...(token && { authorization: `Bearer ${token}` }),
    ...(flags.namespace && flags.namespace !== 'default' && { 'x-mlflow-workspace': flags.namespace }),
  };
  const place = (path: string) => `${url}${path.startsWith('/') ? '' : '/api/2.0/mlflow/'}${path}`;
  const json = async <T>(path: string, init: RequestInit) => {
    const response = await ask(place(path), { ...init, headers: { ...headers, ...init.headers } });
    return (await response.json()) as T; // why: MLflow's own answer
  };
  return {
    url,
    get: (path, query = {}) => json(`${path}${toQuery(query)}`, {}),
    send: (method, path, body) => json(path, toInit(method, body)),
    ask: (path, body) => json(path, body === undefined ? {} : toInit('POST', body)),
    putFile: (path, file) => putFile(place(placeOf(path)), file, headers),
    open: async (path) => (await ask(place(path), { headers })).body ?? new ReadableStream(),
  };
}

function toQuery(query: Readonly<Record<string, string | readonly string[]>>): string {
  const pairs = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) for (const item of [value].flat()) pairs.append(key, item);
  return pairs.size === 0 ? '' : `?${pairs}`;
}

function toInit(method: string, body: unknown): RequestInit {
  return { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body, sayNumbers) };
}

/** What JSON cannot say goes in quotes, as protobuf's JSON mapping has it. */
function sayNumbers(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}

/** The address of an artifact below the server. */
export function placeOf(path: string): string {
  return `${FILES}/${path.split('/').map(encodeURIComponent).join('/')}`;
}

async function putFile(url: string, file: string, headers: Readonly<Record<string, string>>): Promise<boolean> {
  const body = await openAsBlob(file);
  const there = await fetchFrom(url, { method: 'HEAD', headers });
  if (there.ok && there.headers.get('content-length') === String(body.size)) return false;
  await ask(url, { method: 'PUT', body, headers });
  return true;
}

async function ask(url: string, init: RequestInit): Promise<Response> {
  const response = await fetchFrom(url, init);
  if (response.ok) return response;
  throw fromReasonOf(response.status, await response.text());
}

async function fetchFrom(url: string, init: RequestInit): Promise<Response> {
  return fetch(url, init).catch((cause: unknown) => {
    throw new StatusError('ServiceUnavailable', `cannot reach tracking at ${new URL(url).origin}`, { cause });
  });
}
