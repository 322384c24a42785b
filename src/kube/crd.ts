/**
 * From a kind's zod schema to its CustomResourceDefinition. Knows the rules of structural schemas (KEP-2335), not what
 * the fields mean.
 */
import { z } from 'zod';
import { isJsonObject, type JsonObject } from '../base/json.ts';
import { GROUP, type Kind, VERSION } from './kind.ts';
import type { StoredObject } from './object.ts';
import type { StructuralSchema } from './structural.ts';

/** The object that teaches any Kubernetes API server the kind. */
export function toCrd(kind: Kind): StoredObject {
  const { plural, shortNames, scope, columns } = kind;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope,
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural,
        singular: kind.kind.toLowerCase(),
        shortNames,
        categories: ['athanor'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [...Object.entries(columns), ['Age', AGE] as const].map(
            ([name, { path, type }]) => ({ name, type, jsonPath: path }),
          ),
          schema: { openAPIV3Schema: toObjectSchema(kind) },
        },
      ],
    },
  };
}

const AGE = { path: '.metadata.creationTimestamp', type: 'date' } as const;

/** The schema of the whole object: spec required, status free to be missing. */
export function toObjectSchema(kind: Kind): StructuralSchema {
  return {
    type: 'object',
    description: kind.description,
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: toStructural(kind.spec),
      status: toStructural(kind.status),
    },
  };
}

/** A zod schema as a structural schema. */
export function toStructural(schema: z.ZodType): StructuralSchema {
  const json = z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', unrepresentable: 'any', reused: 'inline' });
  return restructure(json) as StructuralSchema; // why: zod's output is an object schema
}

const SAFE_MAX = Number.MAX_SAFE_INTEGER;

function restructure(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(restructure);
  if (!isJsonObject(value)) return value;
  const { $schema: _schema, id: _id, ...kept } = value;
  if (Object.keys(kept).length === 0) return { 'x-kubernetes-preserve-unknown-fields': true };
  const schema: JsonObject = {};
  for (const [name, item] of Object.entries(kept)) {
    if ((name === 'maximum' && item === SAFE_MAX) || (name === 'minimum' && item === -SAFE_MAX)) continue;
    if (name === 'additionalProperties' && item === false) continue;
    if (name === 'propertyNames') continue;
    if (name === 'anyOf' && kept['x-kubernetes-int-or-string'] === true) continue;
    if (name === 'pattern' && kept['format'] === 'date-time') continue;
    schema[name] = restructureField(name, item);
  }
  return dropDefaultedFromRequired(schema);
}

function restructureField(name: string, item: unknown): unknown {
  if (name === 'default' || name === 'enum' || name === 'required' || name === 'example') return item;
  if (name === 'properties' && isJsonObject(item)) {
    return Object.fromEntries(Object.entries(item).map(([field, schema]) => [field, restructure(schema)]));
  }
  if (name === 'anyOf' || name === 'oneOf' || name === 'allOf' || name === 'not') return stripForbidden(item);
  return restructure(item);
}

/** Inside a combination a structural schema may not say type, description or default. */
function stripForbidden(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(stripForbidden);
  if (!isJsonObject(value)) return value;
  const {
    type: _type,
    description: _description,
    default: _default,
    additionalProperties: _additional,
    ...kept
  } = value;
  return Object.fromEntries(
    Object.entries(kept).map(([name, item]) => [name, name === 'enum' ? item : stripForbidden(item)]),
  );
}

function dropDefaultedFromRequired(schema: JsonObject): JsonObject {
  const { required, properties } = schema;
  if (!Array.isArray(required) || !isJsonObject(properties)) return schema;
  const left = required.filter((name) => !hasDefault(properties[String(name)]));
  const { required: _required, ...rest } = schema;
  return left.length === 0 ? rest : { ...rest, required: left };
}

function hasDefault(property: unknown): boolean {
  return isJsonObject(property) && property['default'] !== undefined;
}
