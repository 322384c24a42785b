/**
 * Structural schemas of CRDs: prune, default and validate a value, with Kubernetes' words for what is wrong. Source:
 * KEP-1111, OpenAPI v3.
 */
import { cloneJson, isEqual, isJsonObject, type JsonObject } from '../base/json.ts';
import type { FieldCause } from './status-error.ts';

/** The subset of OpenAPI v3 that a structural schema may use. */
export interface StructuralSchema {
  readonly type?: string;
  readonly description?: string;
  readonly format?: string;
  readonly nullable?: boolean;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly exclusiveMaximum?: boolean;
  readonly multipleOf?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly additionalProperties?: boolean | StructuralSchema;
  readonly items?: StructuralSchema;
  readonly allOf?: readonly StructuralSchema[];
  readonly anyOf?: readonly StructuralSchema[];
  readonly oneOf?: readonly StructuralSchema[];
  readonly not?: StructuralSchema;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-embedded-resource'?: boolean;
  readonly 'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
}

const EMBEDDED_FIELDS = new Set(['apiVersion', 'kind', 'metadata']);

/** A copy without the fields the schema does not know; their paths are added to `pruned`. */
export function prune(schema: StructuralSchema, value: unknown, pruned: string[] = []): unknown {
  return pruneAt(schema, value, { path: '', pruned });
}

interface PruneState {
  readonly path: string;
  readonly pruned: string[];
}

function pruneAt(schema: StructuralSchema, value: unknown, { path, pruned }: PruneState): unknown {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined
      ? value
      : value.map((item, index) => pruneAt(items, item, { path: `${path}[${index}]`, pruned }));
  }
  if (!isJsonObject(value)) return value;
  const kept: JsonObject = {};
  for (const [name, item] of Object.entries(value)) {
    const childPath = path === '' ? name : `${path}.${name}`;
    const known = findProperty(schema, name);
    if (known !== undefined) kept[name] = pruneAt(known, item, { path: childPath, pruned });
    else if (keepsUnknown(schema, name)) kept[name] = item;
    else pruned.push(childPath);
  }
  return kept;
}

function findProperty(
  { properties, additionalProperties }: StructuralSchema,
  name: string,
): StructuralSchema | undefined {
  if (properties !== undefined && Object.hasOwn(properties, name)) return properties[name];
  return typeof additionalProperties === 'object' ? additionalProperties : undefined;
}

function keepsUnknown(schema: StructuralSchema, name: string): boolean {
  if (schema['x-kubernetes-embedded-resource'] === true && EMBEDDED_FIELDS.has(name)) return true;
  return schema['x-kubernetes-preserve-unknown-fields'] === true || schema.additionalProperties === true;
}

/** A copy with defaults filled in where a field is missing, or null in a field that may not be null. */
export function applyDefaults(schema: StructuralSchema, value: unknown): unknown {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined ? value : value.map((item) => applyDefaults(items, item));
  }
  if (!isJsonObject(value)) return value;
  const filled: JsonObject = { ...value };
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const isMissing = filled[name] === undefined || (filled[name] === null && property.nullable !== true);
    if (isMissing && property.default !== undefined) filled[name] = cloneJson(property.default);
  }
  for (const [name, item] of Object.entries(filled)) {
    const property = findProperty(schema, name);
    if (property !== undefined) filled[name] = applyDefaults(property, item);
  }
  return filled;
}

/** Everything that is wrong with the value, as field causes in Kubernetes' words; empty when it is valid. */
export function validate(schema: StructuralSchema, value: unknown, path = ''): readonly FieldCause[] {
  if (value === null && schema.nullable === true) return [];
  const typeCause = checkType(schema, value, path);
  if (typeCause !== undefined) return [typeCause];
  return [
    ...checkEnum(schema, value, path),
    ...(typeof value === 'string' ? checkString(schema, value, path) : []),
    ...(typeof value === 'number' ? checkNumber(schema, value, path) : []),
    ...(Array.isArray(value) ? checkArray(schema, value, path) : []),
    ...(isJsonObject(value) ? checkObject(schema, value, path) : []),
    ...checkCombinations(schema, value, path),
  ];
}

/** A cause in the words of field.Invalid. */
export function invalidCause(path: string, value: unknown, why: string): FieldCause {
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${describe(value)}: ${why}`, field: path };
}

function describe(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(JSON.stringify(value)) : JSON.stringify(value);
}

function checkType(schema: StructuralSchema, value: unknown, path: string): FieldCause | undefined {
  if (schema['x-kubernetes-int-or-string'] === true) {
    if (typeof value === 'string' || Number.isInteger(value)) return undefined;
    return typeCause(path, 'integer,string', value);
  }
  if (schema.type === undefined || isOfType(schema.type, value)) return undefined;
  return typeCause(path, schema.type, value);
}

function typeCause(path: string, want: string, value: unknown): FieldCause {
  const message = `Invalid value: ${JSON.stringify(typeOf(value))}: ${path} in body must be of type ${want}: ${JSON.stringify(typeOf(value))}`;
  return { reason: 'FieldValueTypeInvalid', message, field: path };
}

function isOfType(type: string, value: unknown): boolean {
  if (type === 'integer') return Number.isInteger(value);
  return type === typeOf(value) || (type === 'number' && typeof value === 'number');
}

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (value === null) return 'null';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function checkEnum(schema: StructuralSchema, value: unknown, path: string): readonly FieldCause[] {
  if (schema.enum === undefined || schema.enum.some((allowed) => isEqual(allowed, value))) return [];
  const supported = schema.enum.map((allowed) => JSON.stringify(allowed)).join(', ');
  const message = `Unsupported value: ${describe(value)}: supported values: ${supported}`;
  return [{ reason: 'FieldValueNotSupported', message, field: path }];
}

function checkString(
  { minLength, maxLength, pattern, format }: StructuralSchema,
  value: string,
  path: string,
): FieldCause[] {
  const causes: FieldCause[] = [];
  const length = [...value].length;
  if (minLength !== undefined && length < minLength) {
    causes.push(invalidCause(path, value, `${path} in body should be at least ${minLength} chars long`));
  }
  if (maxLength !== undefined && length > maxLength) {
    causes.push({
      reason: 'FieldValueTooLong',
      message: `Too long: may not be more than ${maxLength} bytes`,
      field: path,
    });
  }
  if (pattern !== undefined && !new RegExp(pattern, 'u').test(value)) {
    causes.push(invalidCause(path, value, `${path} in body should match '${pattern}'`));
  }
  if (format === 'date-time' && Number.isNaN(Date.parse(value))) {
    causes.push(invalidCause(path, value, `${path} in body must be of type date-time: ${JSON.stringify(value)}`));
  }
  return causes;
}

function checkNumber(schema: StructuralSchema, value: number, path: string): readonly FieldCause[] {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema;
  const causes: FieldCause[] = [];
  if (minimum !== undefined && (value < minimum || (exclusiveMinimum === true && value === minimum))) {
    const bound = exclusiveMinimum === true ? 'greater than' : 'greater than or equal to';
    causes.push(invalidCause(path, value, `${path} in body should be ${bound} ${minimum}`));
  }
  if (maximum !== undefined && (value > maximum || (exclusiveMaximum === true && value === maximum))) {
    const bound = exclusiveMaximum === true ? 'less than' : 'less than or equal to';
    causes.push(invalidCause(path, value, `${path} in body should be ${bound} ${maximum}`));
  }
  if (multipleOf !== undefined && value % multipleOf !== 0) {
    causes.push(invalidCause(path, value, `${path} in body should be a multiple of ${multipleOf}`));
  }
  return causes;
}

function checkArray(schema: StructuralSchema, value: readonly unknown[], path: string): readonly FieldCause[] {
  const { items, minItems, maxItems } = schema;
  const causes: FieldCause[] = [];
  if (minItems !== undefined && value.length < minItems) {
    causes.push(invalidCause(path, value.length, `${path} in body should have at least ${minItems} items`));
  }
  if (maxItems !== undefined && value.length > maxItems) {
    causes.push({
      reason: 'FieldValueTooMany',
      message: `Too many: ${value.length}: must have at most ${maxItems} items`,
      field: path,
    });
  }
  causes.push(...checkUnique(schema, value, path));
  if (items === undefined) return causes;
  return [...causes, ...value.flatMap((item, index) => validate(items, item, `${path}[${index}]`))];
}

function checkUnique(schema: StructuralSchema, value: readonly unknown[], path: string): readonly FieldCause[] {
  const keys = schema['x-kubernetes-list-map-keys'];
  const isSet = schema['x-kubernetes-list-type'] === 'set' || schema.uniqueItems === true;
  if (!isSet && keys === undefined) return [];
  const seen = new Set<string>();
  return value.flatMap((item, index) => {
    const named =
      keys === undefined || !isJsonObject(item) ? item : Object.fromEntries(keys.map((key) => [key, item[key]]));
    const text = JSON.stringify(named);
    if (seen.has(text))
      return [{ reason: 'FieldValueDuplicate', message: `Duplicate value: ${text}`, field: `${path}[${index}]` }];
    seen.add(text);
    return [];
  });
}

function checkObject(schema: StructuralSchema, value: JsonObject, path: string): readonly FieldCause[] {
  const { required = [], minProperties, maxProperties } = schema;
  const fieldPath = (name: string) => (path === '' ? name : `${path}.${name}`);
  const causes: FieldCause[] = required
    .filter((name) => value[name] === undefined)
    .map((name) => ({ reason: 'FieldValueRequired', message: 'Required value', field: fieldPath(name) }));
  const count = Object.keys(value).length;
  if (minProperties !== undefined && count < minProperties) {
    causes.push(invalidCause(path, count, `${path} in body should have at least ${minProperties} properties`));
  }
  if (maxProperties !== undefined && count > maxProperties) {
    causes.push(invalidCause(path, count, `${path} in body should have at most ${maxProperties} properties`));
  }
  const below = Object.entries(value).flatMap(([name, item]) => {
    const property = findProperty(schema, name);
    return property === undefined || item === undefined ? [] : validate(property, item, fieldPath(name));
  });
  return [...causes, ...below];
}

function checkCombinations(schema: StructuralSchema, value: unknown, path: string): readonly FieldCause[] {
  const { allOf = [], anyOf, oneOf, not } = schema;
  const fits = (option: StructuralSchema) => validate(option, value, path).length === 0;
  const causes: FieldCause[] = allOf.flatMap((part) => validate(part, value, path));
  const isIntOrString = schema['x-kubernetes-int-or-string'] === true;
  if (anyOf !== undefined && !isIntOrString && !anyOf.some(fits)) {
    causes.push(
      invalidCause(path, value, `${path} in body must validate at least one schema (anyOf)${listOptions(anyOf)}`),
    );
  }
  if (oneOf !== undefined && oneOf.filter(fits).length !== 1) {
    causes.push(
      invalidCause(path, value, `${path} in body must validate one and only one schema (oneOf)${listOptions(oneOf)}`),
    );
  }
  if (not !== undefined && fits(not))
    causes.push(invalidCause(path, value, `${path} in body must not validate the schema (not)`));
  return causes;
}

function listOptions(options: readonly StructuralSchema[]): string {
  const required = options.map((option) => option.required?.join('+')).filter((names) => names !== undefined);
  return required.length === options.length ? `: exactly one of ${required.join(', ')} is wanted` : '';
}
