/**
 * The shapes that protobuf's JSON takes in requests: null is absent, an int64 may be a text, one may stand for many.
 */
import { z } from 'zod';
import { StatusError } from '../kube/status-error.ts';

/** Deeper requests are nobody's data. */
const DEPTH_MAX = 200;
const SPECIAL_NUMBERS: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};

/** A whole number, also as a text. */
export const int64 = z.preprocess(
  (value) => (typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value),
  z.number().int(),
);

/** A double; what JSON cannot say comes as NaN, Infinity or -Infinity in quotes. */
export const double = z.preprocess(toDouble, z.union([z.number(), z.nan(), z.literal([Infinity, -Infinity])]));

/** Like protobuf's repeated fields: absent is empty. */
export function listOf<T extends z.ZodType>(item: T) {
  return z.array(item).default([]);
}

/** A list in a query, where one value is a list of one. */
export function queryListOf<T extends z.ZodType>(item: T) {
  return z.preprocess((value) => (value === undefined || Array.isArray(value) ? value : [value]), listOf(item));
}

/** An answer as protobuf's JSON mapping writes it: a list without items is not there. What has none is not copied. */
export function dropEmptyLists<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  return (Array.isArray(value) ? dropInList(value) : dropInObject(value)) as T; // why: a list stays one, an object too
}

function dropInList(list: readonly unknown[]): readonly unknown[] {
  const kept = list.map((item) => dropEmptyLists(item));
  return kept.every((item, index) => item === list[index]) ? list : kept;
}

/** Walks by name: lists of names and values for each of a page's 20,000 objects take longer than all the rest. */
function dropInObject(object: object): object {
  const fields = object as Readonly<Record<string, unknown>>; // why: any object of an answer is one
  let kept: Record<string, unknown> | undefined;
  for (const name in fields) {
    const item = fields[name];
    // JSON leaves out what is undefined.
    const after = Array.isArray(item) && item.length === 0 ? undefined : dropEmptyLists(item);
    if (after === item) continue;
    kept ??= { ...fields };
    kept[name] = after;
  }
  return kept ?? object;
}

/** A text that must be there; protobuf's JSON cannot tell an empty one from none. */
export const text = z.string().min(1);

/** A tag, a parameter: both texts, the value empty when absent. */
export const keyValue = z.object({ key: text, value: z.string().default('') });

/** How many results at most, as MLflow's stores check it. */
export function countOf({ max, fallback }: { max: number; fallback: number }) {
  return int64
    .refine((count) => count > 0, { error: 'It must be a positive integer', abort: true })
    .refine((count) => count <= max, `It must be at most ${max}`)
    .default(fallback);
}

/**
 * Halves of surrogate pairs become U+FFFD, as in any UTF-8.
 * @throws Invalid with the field's path, in the words of mlflow/server/handlers.py; also for a NUL in a text, which
 * PostgreSQL cannot keep
 */
export function parseRequest<T extends z.ZodType>(shape: T, request: unknown): z.output<T> {
  const kept = tidy(request ?? {});
  const parsed = shape.safeParse(kept);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new StatusError('Invalid', issue ? explain(issue, kept) : parsed.error.message);
}

/** How MLflow ends what it says of a request's shape. */
export const SEE_DOCS = 'See the API docs for more information about request parameters.';

/** The message of a check that finds nothing where something must be. */
export const MISSING = 'missing';

function explain({ code, path, message }: z.core.$ZodIssue, request: unknown): string {
  const field = formatPath(path);
  const value = path.reduce<unknown>((part, key) => Reflect.get(Object(part), key), request);
  if (code === 'custom' && message !== MISSING && !message.startsWith('It must ')) return message;
  if (value === undefined || message === MISSING || (value === '' && code === 'too_small')) {
    return `Missing value for required parameter '${field}'. ${SEE_DOCS}`;
  }
  const said = `Invalid value ${JSON.stringify(value)} for parameter '${field}' supplied`;
  if (code === 'custom') return `${said}. ${message}`;
  if (code === 'invalid_type' || code === 'invalid_union')
    return `${said}:  Hint: Value was of type '${pythonTypeOf(value)}'. ${SEE_DOCS}`;
  return `${said}: ${message}`;
}

/** What MLflow's server, a Python program, calls the type of a JSON value. */
function pythonTypeOf(value: unknown): string {
  if (Array.isArray(value)) return 'list';
  if (typeof value === 'string') return 'str';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float';
  return 'dict';
}

function toDouble(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const special = SPECIAL_NUMBERS[value];
  if (special !== undefined) return special;
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(value) ? Number(value) : value;
}

function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index ? '.' : ''}${String(part)}`))
    .join('');
}

function tidy(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return tidyText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth > DEPTH_MAX)
    throw new StatusError('Invalid', `cannot read the request: it is nested over ${DEPTH_MAX} deep`);
  if (Array.isArray(value)) return value.map((item) => tidy(item, depth + 1));
  const kept = Object.entries(value).filter(([, field]) => field !== null);
  return Object.fromEntries(kept.map(([key, field]) => [tidyText(key), tidy(field, depth + 1)]));
}

function tidyText(value: string): string {
  if (!value.includes('\0')) return value.toWellFormed();
  throw new StatusError('Invalid', `Invalid text ${JSON.stringify(value.slice(0, 100))}: it has a NUL character.`);
}
