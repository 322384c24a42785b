/** Requests of MLflow's REST API with names in place of the ids that a server gives, and what two servers answer, made comparable. */

/** One request. `{run1}` in a path, a query or a body stands for what an earlier step kept as `run1`. */
export interface Step {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE' | 'PUT';
  /** Behind `/api/2.0/mlflow`; `3.0/...`, `ajax/...` and `root/...` lie elsewhere. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Name to where in the answer its value is, `run.info.run_id`. */
  readonly keep?: Readonly<Record<string, string>>;
  /** Why our answer is another one than MLflow's; without it, they are the same. */
  readonly differs?: string;
}

/** What a server said to one step; ids are names again and times are gone. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const REQUEST_MAX_MS = 60_000;
const PLACES: Readonly<Record<string, string>> = {
  '': '/api/2.0/mlflow',
  '3.0': '/api/3.0/mlflow',
  ajax: '/ajax-api/2.0/mlflow',
  root: '',
};
/** Set by the server's clock. */
const TIMES: ReadonlySet<string> = new Set([
  'creation_time',
  'last_update_time',
  'creation_timestamp',
  'last_updated_timestamp',
  'creation_timestamp_ms',
  'last_updated_timestamp_ms',
  'create_time_ms',
  'last_update_time_ms',
  'create_time',
]);
/** A list whose order MLflow leaves to its database. */
const UNORDERED: ReadonlySet<string> = new Set([
  'tags',
  'params',
  'metrics',
  'aliases',
  'dataset_inputs',
  'model_inputs',
  'model_outputs',
  'latest_versions',
  'dataset_summaries',
  'assessments',
]);
/** Databricks' own taxonomy of errors, which no client of MLflow reads. */
const DROPPED: ReadonlySet<string> = new Set(['error_class', 'sqlstate']);
/** Opaque, and the servers' own. */
const OPAQUE: ReadonlySet<string> = new Set(['next_page_token']);

/** Plays the steps one after the other; `{unique}` stands for a text that no other play on this server has. */
export async function play(url: string, unique: string, steps: readonly Step[]): Promise<readonly Answer[]> {
  const names = new Map([['unique', unique]]);
  const answers: Answer[] = [];
  for (const step of steps) answers.push(await playStep(url, step, names));
  return answers;
}

async function playStep(url: string, step: Step, names: Map<string, string>): Promise<Answer> {
  const { method, body, headers = {} } = step;
  const response = await fetch(`${url}${placeOf(step, names)}`, {
    method,
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...mapValues(headers, (value) => fill(value, names)),
    },
    ...(body !== undefined && { body: fill(typeof body === 'string' ? body : JSON.stringify(body), names) }),
    signal: AbortSignal.timeout(REQUEST_MAX_MS),
  });
  const text = await response.text();
  const answer = parse(text);
  for (const [name, place] of Object.entries(step.keep ?? {})) {
    const value = place.split('.').reduce<unknown>((part, key) => Reflect.get(Object(part), key), answer);
    if (typeof value === 'string') names.set(name, value);
  }
  return { status: response.status, body: normalize(answer, names) };
}

function placeOf({ path, query = {} }: Step, names: ReadonlyMap<string, string>): string {
  const [, before = '', rest = ''] = /^([^/]*)(.*)$/.exec(path) ?? [];
  const place = `${PLACES[before]}${rest}`;
  const pairs = Object.entries(query).flatMap(([key, value]) =>
    [value].flat().map((item) => `${key}=${encodeURIComponent(fill(item, names))}`),
  );
  return `${fill(place, names)}${pairs.length === 0 ? '' : `?${pairs.join('&')}`}`;
}

function fill(text: string, names: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => names.get(name) ?? whole);
}

function mapValues(map: Readonly<Record<string, string>>, change: (value: string) => string) {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value)]));
}

/** OTLP's answer is empty: of no bytes in protobuf, `{}` in JSON. */
function parse(text: string): unknown {
  if (text === '') return {};
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return { notJson: text.slice(0, 200) };
  }
}

function normalize(value: unknown, names: ReadonlyMap<string, string>, field = ''): unknown {
  if (typeof value === 'string') return normalizeText(value, names);
  if (Array.isArray(value)) {
    const items = value.map((item) => normalize(item, names));
    if (!UNORDERED.has(field)) return items;
    return items.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  }
  if (typeof value !== 'object' || value === null) return value;
  // Who registered a version: MLflow has the field and leaves it empty.
  const isVersion = 'current_stage' in value;
  const entries = Object.entries(value)
    .filter(([key]) => !DROPPED.has(key) && !(isVersion && key === 'user_id'))
    .map(([key, item]) => {
      if (TIMES.has(key)) return [key, '<time>'];
      if (OPAQUE.has(key)) return [key, '<opaque>'];
      return [key, normalize(item, names, key)];
    });
  return Object.fromEntries(entries.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)));
}

/**
 * True when two answers are one to a client. What a filter or an order is refused for is told with its place, which
 * MLflow's message lacks; and MLflow shows its database's error behind a name that is taken.
 */
export function isSame(step: Step, ours: Answer, theirs: Answer): boolean {
  if (JSON.stringify(ours) === JSON.stringify(theirs)) return true;
  const [a, b] = [codeOf(ours), codeOf(theirs)];
  if (ours.status !== theirs.status || a === undefined || a !== b) return false;
  return a === 'RESOURCE_ALREADY_EXISTS' || (a === 'INVALID_PARAMETER_VALUE' && /search$/.test(step.path));
}

function codeOf({ body }: Answer): unknown {
  return typeof body === 'object' && body !== null ? Reflect.get(body, 'error_code') : undefined;
}

function normalizeText(text: string, names: ReadonlyMap<string, string>): string {
  let named = text;
  // An experiment's id is a small number: only a whole text, or a part of a path or of a sentence, can be one.
  for (const [name, id] of names) named = named.replaceAll(new RegExp(`(?<![\\w-])${id}(?![\\w-])`, 'g'), `{${name}}`);
  return named;
}
