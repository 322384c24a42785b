/** Where the next page begins, as an opaque text. Knows nothing of what is listed. */
import { StatusError } from '../kube/status-error.ts';

/** A page asked for: `limit` items from `offset`. */
export interface Page {
  readonly offset: number;
  readonly limit: number;
}

/** A page found: its items, and the token for the next one if there is one. */
export interface Paged<T> {
  readonly items: readonly T[];
  readonly nextPageToken?: string;
}

/** @throws Invalid for a token that no page gave. */
export function parsePageToken(token: string | undefined): number {
  if (!token) return 0;
  const offset = Number(/^offset:(\d{1,15})$/.exec(Buffer.from(token, 'base64url').toString())?.[1]);
  if (Number.isSafeInteger(offset)) return offset;
  throw new StatusError('Invalid', `Invalid page token ${JSON.stringify(token)}, use the one that the last page gave.`);
}

/** Cuts a page out of `rows`, which were read with one more than the limit. */
export function toPage<T>(rows: readonly T[], { offset, limit }: Page): Paged<T> {
  if (rows.length <= limit) return { items: rows };
  const nextPageToken = Buffer.from(`offset:${offset + limit}`).toString('base64url');
  return { items: rows.slice(0, limit), nextPageToken };
}
