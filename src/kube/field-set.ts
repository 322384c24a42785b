/**
 * Sets of fields in the FieldsV1 form, which say who owns what in an object. Source: structured-merge-diff, KEP-555.
 */
import { isEqual, isJsonObject, type JsonObject } from '../base/json.ts';
import type { FieldsV1 } from './object.ts';

/**
 * Finds the keys of an associative list, or undefined when the list is owned as one value. `path` has no indexes:
 * `spec.containers`.
 */
export type ListKeys = (path: string, list: readonly unknown[]) => readonly string[] | undefined;

type Fields = { [path: string]: Fields };

/** The set of all leaves of a value, as one that applies it would own them. */
export function fieldsOf(value: unknown, listKeys: ListKeys, path = ''): FieldsV1 {
  const keys = Array.isArray(value) ? listKeys(path, value) : undefined;
  if (Array.isArray(value) && keys !== undefined) {
    const items = value.map((item) => [itemKey(item, keys), { '.': {}, ...fieldsOf(item, listKeys, path) }] as const);
    return Object.fromEntries(items);
  }
  if (!isJsonObject(value)) return {};
  const fields: Fields = {};
  for (const [name, item] of Object.entries(value)) {
    if (item !== undefined)
      // why: same shape, writable
      fields[`f:${name}`] = fieldsOf(item, listKeys, path === '' ? name : `${path}.${name}`) as Fields;
  }
  return fields;
}

/** A value before and after. */
export interface Change {
  readonly old: unknown;
  readonly now: unknown;
}

/** The set of leaves that differ between two values: added, removed or changed. */
export function changedFields(
  { old: before, now: after }: Change,
  listKeys: ListKeys,
  path = '',
): FieldsV1 | undefined {
  if (isEqual(before, after)) return undefined;
  const parts = childrenOf({ old: before, now: after }, listKeys, path);
  if (parts === undefined) return fieldsOf(after, listKeys, path);
  const fields: Fields = {};
  for (const { name, old, now, childPath } of parts) {
    if (now === undefined) continue;
    const changed = changedFields({ old, now }, listKeys, childPath);
    if (changed === undefined) continue;
    const isNewItem = name.startsWith('k:') && old === undefined;
    fields[name] = { ...(isNewItem ? { '.': {} } : {}), ...changed } as Fields; // why: same shape, writable
  }
  return fields;
}

interface Child extends Change {
  readonly name: string;
  readonly childPath: string;
}

function childrenOf(
  { old: before, now: after }: Change,
  listKeys: ListKeys,
  path: string,
): readonly Child[] | undefined {
  if (isJsonObject(after)) {
    const old = isJsonObject(before) ? before : {};
    return Object.keys({ ...old, ...after }).map((name) => ({
      name: `f:${name}`,
      old: old[name],
      now: after[name],
      childPath: path === '' ? name : `${path}.${name}`,
    }));
  }
  const keys = Array.isArray(after) ? listKeys(path, after) : undefined;
  if (!Array.isArray(after) || keys === undefined) return undefined;
  const olds = new Map((Array.isArray(before) ? before : []).map((item) => [itemKey(item, keys), item]));
  return after.map((item) => ({
    name: itemKey(item, keys),
    old: olds.get(itemKey(item, keys)),
    now: item,
    childPath: path,
  }));
}

/** `k:{"name":"x"}`: how FieldsV1 names an item of an associative list. */
export function itemKey(item: unknown, keys: readonly string[]): string {
  const source = isJsonObject(item) ? item : {};
  const named: JsonObject = {};
  for (const key of [...keys].sort()) if (source[key] !== undefined) named[key] = source[key];
  return `k:${JSON.stringify(named)}`;
}

/** Everything in either set. */
export function unionFields(a: FieldsV1, b: FieldsV1): FieldsV1 {
  const union: Fields = { ...(a as Fields) }; // why: a shallow copy may be written to
  for (const [name, fields] of Object.entries(b)) {
    const mine = union[name];
    union[name] = (mine === undefined ? fields : unionFields(mine, fields)) as Fields; // why: same shape, writable
  }
  return union;
}

/** The leaves of `a` that are not in `b`; undefined when none is left. */
export function subtractFields(a: FieldsV1, b: FieldsV1): FieldsV1 | undefined {
  const rest: Fields = {};
  for (const [name, fields] of Object.entries(a)) {
    const other = b[name];
    if (other === undefined)
      rest[name] = fields as Fields; // why: not written to afterwards
    else if (!isLeaf(fields) && !isLeaf(other)) {
      const below = subtractFields(fields, other);
      if (below !== undefined) rest[name] = below as Fields; // why: as above
    }
  }
  return Object.keys(rest).length === 0 ? undefined : rest;
}

/**
 * The leaves that are in both sets; undefined when there is none. Owning a whole value overlaps owning a part of it.
 */
export function intersectFields(a: FieldsV1, b: FieldsV1): FieldsV1 | undefined {
  const both: Fields = {};
  for (const [name, fields] of Object.entries(a)) {
    const other = b[name];
    if (other === undefined || name === '.') continue;
    if (isLeaf(fields) || isLeaf(other))
      both[name] = (isLeaf(fields) ? other : fields) as Fields; // why: not written to
    else {
      const below = intersectFields(fields, other);
      if (below !== undefined) both[name] = below as Fields; // why: as above
    }
  }
  return Object.keys(both).length === 0 ? undefined : both;
}

function isLeaf(fields: FieldsV1): boolean {
  return Object.keys(fields).length === 0;
}

/** The leaves as paths people can read: `.spec.containers[name="a"].image`. */
export function listFieldPaths(fields: FieldsV1, prefix = ''): readonly string[] {
  return Object.entries(fields).flatMap(([name, below]) => {
    if (name === '.') return [];
    const path = prefix + readablePart(name);
    const deeper = listFieldPaths(below, path);
    return deeper.length > 0 ? deeper : [path];
  });
}

function readablePart(name: string): string {
  if (!name.startsWith('k:')) return `.${name.slice(2)}`;
  const keys = JSON.parse(name.slice(2)) as JsonObject; // why: written by itemKey
  return `[${Object.entries(keys)
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join(',')}]`;
}
