/** The query of a log request, as Kubernetes writes it. */
import { StatusError } from '../kube/status-error.ts';
import type { LogQuery } from './log-reader.ts';

export interface LogRequest extends LogQuery {
  readonly follow: boolean;
  readonly previous: boolean;
}

/** @throws BadRequest for a number or time that is none. */
export function parseLogQuery(query: URLSearchParams, nowMs: number): LogRequest {
  const sinceSeconds = parseCount(query, 'sinceSeconds');
  const sinceMs = sinceSeconds === undefined ? parseTime(query) : nowMs - sinceSeconds * 1000;
  return {
    follow: isTrue(query, 'follow'),
    previous: isTrue(query, 'previous'),
    timestamps: isTrue(query, 'timestamps'),
    tailLines: parseCount(query, 'tailLines'),
    limitBytes: parseCount(query, 'limitBytes'),
    sinceMs,
  };
}

function isTrue(query: URLSearchParams, name: string): boolean {
  return query.get(name) === 'true' || query.get(name) === '1';
}

function parseCount(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new StatusError('BadRequest', `cannot read logs: ${name} '${text}' is not a whole number`);
}

function parseTime(query: URLSearchParams): number | undefined {
  const text = query.get('sinceTime');
  if (text === null || text === '') return undefined;
  const ms = Date.parse(text);
  if (!Number.isNaN(ms)) return ms;
  throw new StatusError('BadRequest', `cannot read logs: sinceTime '${text}' is not an RFC 3339 time`);
}
