/** Tags and parameters: texts by key, of whatever owns them. Knows when a value may change; not what it means. */
import { StatusError } from '../kube/status-error.ts';
import { chunk, insertRows } from '../sql/insert-rows.ts';
import { checkKeyName, checkLength } from './check-name.ts';
import type { OwnerKind } from './schema.ts';
import type { Tracking } from './tracking.ts';

/** One owner of tags and parameters. */
export interface Owner {
  readonly kind: OwnerKind;
  readonly owner: string;
}

export interface KeyValue {
  readonly key: string;
  readonly value: string;
}

type Table = 'tracking_tags' | 'tracking_params';
const OWNERS_AT_ONCE = 1_000;
const KEYS = ['kind', 'owner', 'key'];

/** Sets tags; of two with one key the last counts. @throws Invalid for a bad key or a value over `lengthMax`. */
export async function setTags(
  { db }: Tracking,
  owner: Owner,
  { tags, lengthMax }: { tags: readonly KeyValue[]; lengthMax: number },
): Promise<void> {
  for (const { key, value } of tags) {
    checkKeyName(key, 'key');
    checkLength(value, 'value', lengthMax);
  }
  const last = new Map(tags.map((tag) => [tag.key, tag]));
  const rows = [...last.values()].map(({ key, value }) => ({ ...pick(owner), key, value })).sort(byKey);
  await insertRows(db, rows, { table: 'tracking_tags', keys: KEYS, onConflict: 'replace' });
}

/** @throws NotFound when there is no such tag. */
export async function deleteTag({ db }: Tracking, { kind, owner }: Owner, key: string): Promise<void> {
  const { numDeletedRows } = await db
    .deleteFrom('tracking_tags')
    .where('kind', '=', kind)
    .where('owner', '=', owner)
    .where('key', '=', key)
    .executeTakeFirstOrThrow();
  if (numDeletedRows === 0n) throw new StatusError('NotFound', `No tag with name: ${key} in ${kind} with id ${owner}`);
}

/** Sets parameters, which never change; run it in a transaction. @throws Invalid when one has another value already. */
export async function setParams(
  { db }: Tracking,
  owner: Owner,
  { params, lengthMax }: { params: readonly KeyValue[]; lengthMax: number },
): Promise<void> {
  if (params.length === 0) return;
  const wanted = new Map<string, string>();
  for (const { key, value } of params) {
    checkKeyName(key, 'key');
    checkLength(value, 'value', lengthMax);
    if (wanted.has(key)) throw new StatusError('Invalid', `Duplicate parameter keys have been submitted: ${key}.`);
    wanted.set(key, value);
  }
  const rows = [...wanted].map(([key, value]) => ({ ...pick(owner), key, value })).sort(byKey);
  await insertRows(db, rows, { table: 'tracking_params', keys: KEYS, onConflict: 'keep' });
  const kept = await db
    .selectFrom('tracking_params')
    .select(['key', 'value'])
    .where('kind', '=', owner.kind)
    .where('owner', '=', owner.owner)
    .where('key', 'in', [...wanted.keys()])
    .execute();
  const changed = kept.find(({ key, value }) => wanted.get(key) !== value);
  if (!changed) return;
  const what = `it was already logged with value=${JSON.stringify(changed.value)} for ${owner.kind} ID=${owner.owner}`;
  throw new StatusError('Invalid', `Changing param values is not allowed. Param with key='${changed.key}': ${what}.`);
}

/** Values of many owners, each owner's in order of key; an owner without any has no entry. */
export async function readOwned(
  { db }: Tracking,
  table: Table,
  { kind, owners }: { kind: OwnerKind; owners: readonly string[] },
): Promise<ReadonlyMap<string, readonly KeyValue[]>> {
  const found = new Map<string, KeyValue[]>();
  for (const part of chunk(owners, OWNERS_AT_ONCE)) {
    const rows = await db
      .selectFrom(table)
      .select(['owner', 'key', 'value'])
      .where('kind', '=', kind)
      .where('owner', 'in', part)
      .orderBy('owner')
      .orderBy('key')
      .execute();
    for (const { owner, key, value } of rows) append(found, owner, { key, value });
  }
  return found;
}

/** Forgets everything that owners had. */
export async function deleteOwned({ db }: Tracking, { kind, owner }: Owner): Promise<void> {
  await db.deleteFrom('tracking_tags').where('kind', '=', kind).where('owner', '=', owner).execute();
}

/** Adds to a list in a map, making the list when it is the first. */
export function append<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}

function pick({ kind, owner }: Owner): Owner {
  return { kind, owner };
}

/** One order for all writers, so that two of them never wait for each other. */
function byKey(a: { readonly key: string }, b: { readonly key: string }): number {
  return a.key < b.key ? -1 : 1;
}
