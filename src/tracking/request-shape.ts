/**
 * The shapes that protobuf's JSON takes in requests: null is absent, an int64 may be a text, one may stand for many.
 */
import { z } from 'zod';
import { StatusError } from '../kube/status-error.ts';

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

/** Like protobuf's repeated fields: absent is empty, one value (of a query) is a list of one. */
export function listOf<T extends z.ZodType>(item: T) {
  return z.preprocess((value) => {
    if (value === undefined) return [];
    return Array.isArray(value) ? value : [value];
  }, z.array(item));
}

/** A tag, a parameter: both texts, the value empty when absent. */
export const keyValue = z.object({ key: z.string(), value: z.string().default('') });

/** @throws Invalid with the field's path, in MLflow's words. */
export function parseRequest<T extends z.ZodType>(shape: T, request: unknown): z.output<T> {
  const parsed = shape.safeParse(dropNulls(request ?? {}));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = formatPath(issue?.path ?? []);
  const isMissing = issue?.code === 'invalid_type' && issue.message.endsWith('received undefined');
  if (isMissing) throw new StatusError('Invalid', `Missing value for required parameter '${field}'.`);
  throw new StatusError('Invalid', `Invalid value for parameter '${field}' supplied: ${issue?.message}`);
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

function dropNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(dropNulls);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([, field]) => field !== null);
  return Object.fromEntries(kept.map(([key, field]) => [key, dropNulls(field)]));
}
