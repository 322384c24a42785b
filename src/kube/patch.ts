/** JSON patch (RFC 6902) and JSON merge patch (RFC 7386). Server-side apply is in apply.ts. */
import { cloneJson, isEqual, isJsonObject, type JsonObject } from '../base/json.ts';
import { StatusError } from './status-error.ts';

/** The target with the merge patch applied; neither argument is changed. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) return cloneJson(patch);
  const result: JsonObject = isJsonObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

/** One operation of RFC 6902. */
export interface JsonPatchOperation {
  readonly op: string;
  readonly path: string;
  readonly from?: string;
  readonly value?: unknown;
}

/** Most operations one patch may have; Kubernetes' own limit. */
export const JSON_PATCH_OPERATIONS_MAX = 10_000;

/** The target with all operations applied in order. @throws Invalid when one does not fit; nothing is changed then. */
export function jsonPatch(target: unknown, operations: readonly JsonPatchOperation[]): unknown {
  if (!Array.isArray(operations))
    throw new StatusError('BadRequest', 'cannot apply JSON patch: the body is not an array');
  if (operations.length > JSON_PATCH_OPERATIONS_MAX) {
    throw new StatusError(
      'RequestEntityTooLarge',
      `cannot apply JSON patch: more than ${JSON_PATCH_OPERATIONS_MAX} operations`,
    );
  }
  return operations.reduce<unknown>((document, operation) => applyOperation(document, operation), cloneJson(target));
}

function applyOperation(document: unknown, operation: JsonPatchOperation): unknown {
  if (!isJsonObject(operation)) throw invalid('an operation is no object');
  const { op, path, from, value } = operation;
  if (value === undefined && NEEDS_VALUE.has(op)) throw invalid(`operation '${op}' has no value`);
  if (from === undefined && NEEDS_FROM.has(op)) throw invalid(`operation '${op}' does not say from where`);
  switch (op) {
    case 'add':
      return insert(document, parsePointer(path), cloneJson(value));
    case 'remove':
      return remove(document, parsePointer(path)).document;
    case 'replace':
      return insert(remove(document, parsePointer(path)).document, parsePointer(path), cloneJson(value));
    case 'copy':
      return insert(document, parsePointer(path), cloneJson(read(document, parsePointer(from ?? ''))));
    case 'move': {
      const moved = remove(document, parsePointer(from ?? ''));
      return insert(moved.document, parsePointer(path), moved.value);
    }
    case 'test': {
      if (isEqual(read(document, parsePointer(path)), value)) return document;
      throw invalid(`testing path ${path} failed: the value there is another`);
    }
    default:
      throw invalid(`'${op}' is not an operation`);
  }
}

const NEEDS_VALUE = new Set(['add', 'replace', 'test']);
const NEEDS_FROM = new Set(['copy', 'move']);

type Pointer = readonly string[];

function parsePointer(path: string): Pointer {
  if (path === '') return [];
  if (typeof path !== 'string' || !path.startsWith('/')) throw invalid(`path '${path}' does not start with '/'`);
  return path
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function read(document: unknown, pointer: Pointer): unknown {
  let value = document;
  for (const part of pointer) {
    const next: unknown = Array.isArray(value)
      ? value[indexOf(value, part)]
      : isJsonObject(value) && Object.hasOwn(value, part)
        ? value[part]
        : undefined;
    if (next === undefined) throw missing(pointer);
    value = next;
  }
  return value;
}

function insert(document: unknown, pointer: Pointer, value: unknown): unknown {
  const last = pointer.at(-1);
  if (last === undefined) return value;
  const parent = read(document, pointer.slice(0, -1));
  if (Array.isArray(parent))
    parent.splice(last === '-' ? parent.length : indexOf(parent, last, parent.length), 0, value);
  else if (!isJsonObject(parent)) throw missing(pointer);
  // why: plain assignment to this name would change the prototype
  else Object.defineProperty(parent, last, { value, writable: true, enumerable: true, configurable: true });
  return document;
}

function remove(document: unknown, pointer: Pointer): { readonly document: unknown; readonly value: unknown } {
  const last = pointer.at(-1);
  if (last === undefined) return { document: null, value: document };
  const value = read(document, pointer);
  const parent = read(document, pointer.slice(0, -1));
  if (Array.isArray(parent)) parent.splice(indexOf(parent, last), 1);
  else if (isJsonObject(parent)) delete parent[last];
  return { document, value };
}

function indexOf(array: readonly unknown[], part: string, max = array.length - 1): number {
  const index = /^(0|[1-9]\d*)$/.test(part) ? Number(part) : -1;
  if (index < 0 || index > max) throw invalid(`'${part}' is not an index of an array of ${array.length}`);
  return index;
}

function missing(pointer: Pointer): StatusError {
  return invalid(`there is nothing at /${pointer.join('/')}`);
}

function invalid(why: string): StatusError {
  return new StatusError('Invalid', `cannot apply JSON patch: ${why}`);
}
