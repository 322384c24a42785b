/** Tags and parameters: texts by key, of whatever owns them. Knows when a value may change; not what it means. */
import { StatusError } from '../kube/status-error.ts';
import { chunk, insertRows } from '../sql/insert-rows.ts';
import { checkKeyName, checkLength, cutText } from './check-name.ts';
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

/** How long a value may be, and what becomes of a longer one: as MLflow, some nouns cut it and some refuse it. */
export interface ValueRule {
  readonly lengthMax: number;
  readonly tooLong: 'cut' | 'refuse';
}

/** @throws Invalid for a bad key or a value that is too long; of a batch, with its place. */
export function checkTags(tags: readonly KeyValue[], rule: ValueRule, isBatch = false): void {
  tags.forEach(({ key, value }, index) => {
    checkKeyName(key, isBatch ? `tags[${index}].key` : 'key');
    if (rule.tooLong === 'refuse') checkLength(value, 'value', rule.lengthMax);
  });
}

/** @throws Invalid for a bad key or one that comes twice; of a batch, with its place. */
export function checkParams(params: readonly KeyValue[], isBatch = false): void {
  params.forEach(({ key }, index) => checkKeyName(key, isBatch ? `params[${index}].key` : 'key', 'Param key'));
  if (new Set(params.map(({ key }) => key)).size < params.length) refuseTwice(params);
}

/** Sets tags that were checked; of two with one key the last counts. */
export async function setTags(
  { db }: Tracking,
  owner: Owner,
  { tags, rule }: { tags: readonly KeyValue[]; rule: ValueRule },
): Promise<void> {
  const last = new Map(tags.map((tag) => [tag.key, cutText(tag.value, rule.lengthMax)]));
  const rows = [...last].map(([key, value]) => ({ ...pick(owner), key, value })).sort(byKey);
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

/** Sets parameters that were checked; run it in a transaction. @throws Invalid when one has another value already. */
export async function setParams(
  { db }: Tracking,
  owner: Owner,
  { params, lengthMax, batch }: { params: readonly KeyValue[]; lengthMax: number; batch?: boolean },
): Promise<void> {
  if (params.length === 0) return;
  const wanted = new Map(params.map(({ key, value }) => [key, cutText(value, lengthMax)]));
  const rows = [...wanted].map(([key, value]) => ({ ...pick(owner), key, value })).sort(byKey);
  await insertRows(db, rows, { table: 'tracking_params', keys: KEYS, onConflict: 'keep' });
  const kept = await db
    .selectFrom('tracking_params')
    .select(['key', 'value'])
    .where('kind', '=', owner.kind)
    .where('owner', '=', owner.owner)
    .where('key', 'in', [...wanted.keys()])
    .execute();
  const changed = kept.filter(({ key, value }) => wanted.get(key) !== value);
  if (changed.length > 0) refuseChange(owner, { changed, wanted, batch: batch === true });
}

function refuseTwice(params: readonly KeyValue[]): never {
  const keys = params.map(({ key }) => key);
  const twice = keys.filter((key, index) => keys.indexOf(key) < index).map((key) => `'${key}'`);
  const rule = 'Please ensure the request contains only one param value per param key.';
  throw new StatusError('Invalid', `Duplicate parameter keys have been submitted: [${twice.join(', ')}]. ${rule}`);
}

interface Change {
  readonly changed: readonly KeyValue[];
  readonly wanted: ReadonlyMap<string, string>;
  readonly batch: boolean;
}

function refuseChange({ kind, owner }: Owner, { changed, wanted, batch }: Change): never {
  const [{ key, value } = { key: '', value: '' }] = changed;
  const pairs = changed.map((old) => {
    const was = `'key': '${old.key}', 'old_value': '${old.value}'`;
    return `{${was}, 'new_value': '${wanted.get(old.key)}'}`;
  });
  const now = wanted.get(key);
  const whose = `${kind} ID='${owner}'.`;
  const what = batch
    ? `Params were already logged='[${pairs.join(', ')}]' for ${whose}`
    : `Param with key='${key}' was already logged with value='${value}' for ${whose} Attempted logging new value '${now}'.`;
  throw new StatusError('Invalid', `Changing param values is not allowed. ${what}`);
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
      .execute();
    for (const { owner, key, value } of rows) append(found, owner, { key, value });
  }
  return sortLists(found);
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

/**
 * The lists of a map, each in order of key. Here and not in the database: PostgreSQL compares 5,000 texts by the rules
 * of a language, which takes as long as reading them.
 */
export function sortLists<K, V extends { readonly key: string }>(lists: ReadonlyMap<K, V[]>): ReadonlyMap<K, V[]> {
  for (const list of lists.values()) list.sort(byKey);
  return lists;
}

function pick({ kind, owner }: Owner): Owner {
  return { kind, owner };
}

/** One order for all writers, so that two of them never wait for each other. */
function byKey(a: { readonly key: string }, b: { readonly key: string }): number {
  return a.key < b.key ? -1 : 1;
}
