/** How commands speak to tracking: MLflow's REST API, with errors as the command line's own. Knows where it is. */
import { isJsonObject } from '../base/json.ts';
import { type Reason, StatusError } from '../kube/status-error.ts';
import { MLFLOW_ERRORS } from '../tracking/error-door.ts';
import type { CommandContext } from './context.ts';
import { findRunState } from './run-state.ts';

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
  /** A file's bytes as they come. @throws NotFound */
  open(path: string): Promise<ReadableStream<Uint8Array>>;
}

const REASONS = new Map<unknown, Reason>(
  Object.entries(MLFLOW_ERRORS).map(([reason, { code }]) => [code, reason as Reason]), // why: keys of a total table
);

/** @throws ServiceUnavailable when nothing says where tracking is. */
export function openTracking({ config, env }: CommandContext, flags: TrackingFlags): TrackingClient {
  const url = flags.tracking ?? findRunState(config.home)?.endpoints.tracking ?? env['MLFLOW_TRACKING_URI'];
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
    send: (method, path, body) =>
      json(path, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    open: async (path) => (await ask(place(path), { headers })).body ?? new ReadableStream(),
  };
}

function toQuery(query: Readonly<Record<string, string | readonly string[]>>): string {
  const pairs = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) for (const item of [value].flat()) pairs.append(key, item);
  return pairs.size === 0 ? '' : `?${pairs}`;
}

async function ask(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init).catch((cause: unknown) => {
    throw new StatusError('ServiceUnavailable', `cannot reach tracking at ${new URL(url).origin}`, { cause });
  });
  if (response.ok) return response;
  const answer: unknown = await response.json().catch(() => undefined);
  const said = isJsonObject(answer) ? answer : {};
  const reason = REASONS.get(said['error_code']) ?? (response.status >= 500 ? 'ServiceUnavailable' : 'Invalid');
  throw new StatusError(reason, String(said['message'] ?? `tracking answered ${response.status}`));
}
