/** Times as protobuf's JSON writes them: Timestamp and Duration. Pure. */
import { StatusError } from '../../kube/status-error.ts';

/** The last time that a Date can be, before and behind 1970. */
const DATE_MS_MAX = 8.64e15;

/** `2026-11-24T11:41:24.100Z`; whole seconds have no fraction. Times that no Date can be are the first or last one. */
export function toTimestamp(ms: number): string {
  return new Date(Math.max(-DATE_MS_MAX, Math.min(DATE_MS_MAX, ms))).toISOString().replace('.000Z', 'Z');
}

/** Milliseconds since 1970. @throws Invalid for a text that is no time */
export function parseTimestamp(text: string): number {
  const ms = Date.parse(text);
  if (!Number.isNaN(ms)) return ms;
  throw new StatusError('Invalid', `Invalid time ${JSON.stringify(text)}, use one like 2026-11-24T11:41:24.100Z.`);
}

/** `0.031s`; whole seconds have no fraction. */
export function toDuration(ms: number): string {
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${(ms / 1_000).toFixed(3)}s`;
}

/** Milliseconds. @throws Invalid for a text that is no duration */
export function parseDuration(text: string): number {
  const seconds = /^(-?\d+(?:\.\d+)?)s$/.exec(text)?.[1];
  const ms = seconds === undefined ? Number.NaN : Math.trunc(Number((Number(seconds) * 1_000).toFixed(6)));
  if (Math.abs(ms) <= DATE_MS_MAX) return ms;
  throw new StatusError('Invalid', `Invalid duration ${JSON.stringify(text)}, use one like 0.031s.`);
}
