/** What holds for every kind: its CRD is structural, its example is valid and reconciles. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { isJsonObject } from '../base/json.ts';
import { toObjectSchema } from '../kube/crd.ts';
import type { World } from '../kube/kind.ts';
import type { StoredObject } from '../kube/object.ts';
import { applyDefaults, prune, validate } from '../kube/structural.ts';
import { KINDS } from './list.ts';

const FORBIDDEN = ['$ref', 'patternProperties', 'propertyNames', 'definitions', 'const', 'additionalItems'];
const FORBIDDEN_IN_COMBINATIONS = ['type', 'description', 'default', 'nullable', 'additionalProperties'];

/** Paths at which a schema breaks the rules of structural schemas (KEP-2335). */
function findBreaches(schema: unknown, path: string, isCombined = false): readonly string[] {
  if (Array.isArray(schema))
    return schema.flatMap((item, index) => findBreaches(item, `${path}[${index}]`, isCombined));
  if (!isJsonObject(schema)) return [];
  const words = isCombined ? [...FORBIDDEN, ...FORBIDDEN_IN_COMBINATIONS] : FORBIDDEN;
  const own = words.filter((word) => schema[word] !== undefined).map((word) => `${path}.${word}`);
  const below = Object.entries(schema).flatMap(([name, value]) => {
    if (name === 'properties' && isJsonObject(value)) {
      return Object.entries(value).flatMap(([field, item]) => findBreaches(item, `${path}.${field}`, isCombined));
    }
    const isCombination = ['anyOf', 'oneOf', 'allOf', 'not'].includes(name);
    return name === 'default' || name === 'enum'
      ? []
      : findBreaches(value, `${path}.${name}`, isCombined || isCombination);
  });
  return [...own, ...below];
}

for (const { kind, reconcile } of KINDS) {
  const folder = kind.kind.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase();
  const text = readFileSync(join(import.meta.dirname, folder, 'example.yaml'), 'utf8');
  const example = parse(text) as StoredObject; // why: checked below
  const schema = toObjectSchema(kind);

  test(`${kind.kind}: its schema is structural`, () => assert.deepEqual(findBreaches(schema, kind.kind), []));

  test(`${kind.kind}: every field says what it is for`, () => {
    const silent = Object.entries(schema.properties?.['spec']?.properties ?? {}).filter(
      ([, field]) => !field.description && !field.properties,
    );
    assert.deepEqual(
      silent.map(([name]) => name),
      [],
    );
  });

  test(`${kind.kind}: its example is valid, whole and reconciles`, () => {
    const unknown: string[] = [];
    const { apiVersion, kind: name, metadata, ...rest } = example;
    const pruned = prune(schema, rest, unknown);
    const complete = applyDefaults(schema, pruned) as { readonly spec: never }; // why: an object stays one
    assert.deepEqual(unknown, []);
    assert.deepEqual(validate(schema, complete), []);
    const settings = { trackingUrl: 'http://127.0.0.1:1', blobsUrl: 'file:///blobs', nodeCachePath: '/cache' };
    const world: World = { nowMs: 0, settings, owned: () => [], find: () => undefined };
    const outcome = reconcile?.(
      { apiVersion, kind: name, metadata: { ...metadata, namespace: 'team', uid: 'u' }, spec: complete.spec },
      world,
    );
    const status = outcome?.status ?? {};
    assert.deepEqual(validate(schema, { spec: complete.spec, status }), []);
  });
}
