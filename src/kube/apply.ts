/**
 * Server-side apply and the book-keeping of field managers. Pure: who asks and what is stored come in, the new object
 * goes out. Source: KEP-555.
 */
import { isEqual, isJsonObject, type JsonObject } from '../base/json.ts';
import {
  changedFields,
  fieldsOf,
  intersectFields,
  itemKey,
  type ListKeys,
  listFieldPaths,
  subtractFields,
  unionFields,
} from './field-set.ts';
import type { FieldsV1, ManagedFields, StoredObject } from './object.ts';
import { StatusError } from './status-error.ts';

export interface Manager {
  readonly name: string;
  readonly subresource?: 'status' | undefined;
  readonly time: string;
  readonly listKeys: ListKeys;
}

/** Metadata that the server keeps and nobody owns. */
const UNOWNED_METADATA = new Set([
  'name',
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'managedFields',
  'generateName',
  'selfLink',
]);

export interface ApplyOptions extends Manager {
  readonly force: boolean;
}

/**
 * The stored object with the applied one merged in. Fields this manager applied before and no longer names are removed,
 * unless another manager owns them too.
 * @throws Conflict when another manager owns a field with another value and `force` is false.
 */
export function applyObject(stored: StoredObject, applied: StoredObject, options: ApplyOptions): StoredObject {
  const { listKeys, force } = options;
  const wanted = fieldsOf(ownedPart(applied), listKeys);
  const others = (stored.metadata.managedFields ?? []).filter((entry) => !isEntryOf(entry, options, 'Apply'));
  const mine = (stored.metadata.managedFields ?? []).find((entry) => isEntryOf(entry, options, 'Apply'));
  // why: both are objects
  const merged = mergeValue(stored, ownedPart(applied), { listKeys, path: '' }) as StoredObject;
  const differing = changedFields({ old: ownedPart(stored), now: ownedPart(merged) }, listKeys) ?? {};
  const conflicts = findConflicts(others, intersectFields(wanted, differing) ?? {});
  if (conflicts.length > 0 && !force) throw conflictError(conflicts);
  const kept = others.flatMap((entry) => withoutFields(entry, intersectFields(wanted, differing) ?? {}));
  const dropped = mine === undefined ? undefined : subtractFields(mine.fieldsV1, wanted);
  const orphaned =
    dropped &&
    kept.reduce<FieldsV1 | undefined>((rest, entry) => rest && subtractFields(rest, entry.fieldsV1), dropped);
  const pruned =
    // why: an object stays one
    orphaned === undefined ? merged : (removeFields(merged, orphaned, { listKeys, path: '' }) as StoredObject);
  return {
    ...pruned,
    metadata: {
      ...pruned.metadata,
      managedFields: [...kept, entryOf(options, 'Apply', { fieldsV1: wanted, apiVersion: pruned.apiVersion })],
    },
  };
}

/** The object as it is stored after a create, update or plain patch by `manager`: changed fields become its own. */
export function trackUpdate(before: StoredObject | undefined, after: StoredObject, manager: Manager): StoredObject {
  const changed = changedFields({ old: before && ownedPart(before), now: ownedPart(after) }, manager.listKeys);
  const entries = before === undefined ? [] : (before.metadata.managedFields ?? []);
  if (changed === undefined) return { ...after, metadata: { ...after.metadata, managedFields: entries } };
  const mine = entries.find((entry) => isEntryOf(entry, manager, 'Update'));
  const others = entries.filter((entry) => entry !== mine).flatMap((entry) => withoutFields(entry, changed));
  const fields = mine === undefined ? changed : unionFields(mine.fieldsV1, changed);
  const present = onlyPresent(fields, after, manager.listKeys);
  return {
    ...after,
    metadata: {
      ...after.metadata,
      managedFields: [...others, entryOf(manager, 'Update', { fieldsV1: present, apiVersion: after.apiVersion })],
    },
  };
}

/** Not by intersection: that leaves out the items themselves, which would then outlive their last field. */
function onlyPresent(fields: FieldsV1, object: StoredObject, listKeys: ListKeys): FieldsV1 {
  const absent = subtractFields(fields, fieldsOf(ownedPart(object), listKeys));
  return absent === undefined ? fields : (subtractFields(fields, absent) ?? {});
}

function ownedPart(object: StoredObject): JsonObject {
  const { apiVersion: _apiVersion, kind: _kind, metadata, ...rest } = object;
  const owned = Object.fromEntries(Object.entries(metadata).filter(([name]) => !UNOWNED_METADATA.has(name)));
  return Object.keys(owned).length === 0 ? rest : { ...rest, metadata: owned };
}

function isEntryOf(entry: ManagedFields, manager: Manager, operation: ManagedFields['operation']): boolean {
  return entry.manager === manager.name && entry.operation === operation && entry.subresource === manager.subresource;
}

function entryOf(
  manager: Manager,
  operation: ManagedFields['operation'],
  { fieldsV1, apiVersion }: Pick<ManagedFields, 'fieldsV1' | 'apiVersion'>,
): ManagedFields {
  return {
    manager: manager.name,
    operation,
    apiVersion,
    time: manager.time,
    fieldsType: 'FieldsV1',
    fieldsV1,
    ...(manager.subresource && { subresource: manager.subresource }),
  };
}

function withoutFields(entry: ManagedFields, taken: FieldsV1): readonly ManagedFields[] {
  const rest = subtractFields(entry.fieldsV1, taken);
  return rest === undefined ? [] : [{ ...entry, fieldsV1: rest }];
}

interface FieldConflict {
  readonly manager: string;
  readonly path: string;
}

function findConflicts(others: readonly ManagedFields[], wanted: FieldsV1): readonly FieldConflict[] {
  return others.flatMap((entry) => {
    const shared = intersectFields(entry.fieldsV1, wanted);
    return shared === undefined ? [] : listFieldPaths(shared).map((path) => ({ manager: entry.manager, path }));
  });
}

function conflictError(conflicts: readonly FieldConflict[]): StatusError {
  const [first] = conflicts;
  const count = conflicts.length === 1 ? '1 conflict' : `${conflicts.length} conflicts`;
  const message = `Apply failed with ${count}: conflict with "${first?.manager}": ${conflicts.map(({ path }) => path).join(', ')}`;
  const causes = conflicts.map(({ manager, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with "${manager}"`,
    field: path,
  }));
  return new StatusError('Conflict', message, { details: { causes } });
}

interface Place {
  readonly listKeys: ListKeys;
  readonly path: string;
}

function below({ listKeys, path }: Place, name: string): Place {
  return { listKeys, path: path === '' ? name : `${path}.${name}` };
}

function mergeValue(stored: unknown, applied: unknown, place: Place): unknown {
  if (isJsonObject(applied) && isJsonObject(stored)) {
    const merged: JsonObject = { ...stored };
    for (const [name, value] of Object.entries(applied))
      merged[name] = mergeValue(stored[name], value, below(place, name));
    return merged;
  }
  const keys = Array.isArray(applied) ? place.listKeys(place.path, applied) : undefined;
  if (!Array.isArray(applied) || keys === undefined) return applied;
  const old = Array.isArray(stored) ? stored : [];
  const byKey = new Map<string, unknown>(old.map((item) => [itemKey(item, keys), item]));
  for (const item of applied) byKey.set(itemKey(item, keys), mergeValue(byKey.get(itemKey(item, keys)), item, place));
  return [...byKey.values()];
}

function removeFields(value: unknown, fields: FieldsV1, place: Place): unknown {
  if (isJsonObject(value)) {
    const rest: JsonObject = { ...value };
    for (const [name, deeper] of Object.entries(fields)) {
      const field = name.slice(2);
      if (rest[field] === undefined) continue;
      if (Object.keys(deeper).length === 0) delete rest[field];
      else rest[field] = removeFields(rest[field], deeper, below(place, field));
    }
    return rest;
  }
  const keys = Array.isArray(value) ? place.listKeys(place.path, value) : undefined;
  if (!Array.isArray(value) || keys === undefined) return value;
  return value.flatMap((item) => {
    const deeper = fields[itemKey(item, keys)];
    if (deeper === undefined) return [item];
    return deeper['.'] === undefined ? [removeFields(item, deeper, place)] : [];
  });
}

/** True when two versions of an object differ in more than who manages them and when. */
export function isChanged(before: StoredObject, after: StoredObject): boolean {
  return !isEqual(withoutBookkeeping(before), withoutBookkeeping(after));
}

function withoutBookkeeping({ metadata, ...rest }: StoredObject): unknown {
  const { managedFields = [], resourceVersion: _resourceVersion, ...kept } = metadata;
  return {
    ...rest,
    metadata: kept,
    managers: Object.fromEntries(
      managedFields.map(({ time: _time, ...entry }) => [
        `${entry.manager} ${entry.operation} ${entry.subresource ?? ''}`,
        entry,
      ]),
    ),
  };
}
