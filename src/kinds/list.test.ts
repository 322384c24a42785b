/** What must hold of every kind: its CRD is structural, and its example is valid and reconciles. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { isJsonObject } from '../base/json.ts';
import { toObjectSchema } from '../kube/crd.ts';
import type { ObjectOf } from '../kube/object.ts';
import { applyDefaults, prune, type StructuralSchema, validate } from '../kube/structural.ts';
import { KINDS } from './list.ts';

const FOLDER = import.meta.dirname;
const COMBINATIONS = new Set(['anyOf', 'oneOf', 'allOf', 'not']);
const NOT_INSIDE = ['type', 'description', 'default', 'additionalProperties', 'nullable'];
const NOWHERE = ['propertyNames', 'patternProperties', '$ref', 'const', 'definitions'];

/** Every rule of structural schemas that is broken, as a path. */
function findOffences(schema: unknown, path: string, isInside = false): readonly string[] {
  if (Array.isArray(schema)) return schema.flatMap((item, index) => findOffences(item, `${path}[${index}]`, isInside));
  if (!isJsonObject(schema)) return [];
  const wrong = [...NOWHERE, ...(isInside ? NOT_INSIDE : [])].filter((word) => word in schema);
  const isTyped =
    'type' in schema || 'x-kubernetes-int-or-string' in schema || 'x-kubernetes-preserve-unknown-fields' in schema;
  const below = Object.entries(schema).flatMap(([name, item]) => {
    if (name === 'default' || name === 'enum') return [];
    if (name === 'properties' && isJsonObject(item))
      return Object.entries(item).flatMap(([field, one]) => findOffences(one, `${path}.${field}`, isInside));
    return findOffences(item, `${path}.${name}`, isInside || COMBINATIONS.has(name));
  });
  return [...wrong.map((word) => `${path}: ${word}`), ...(isTyped || isInside ? [] : [`${path}: no type`]), ...below];
}

test('every folder of a kind stands in the list', () => {
  const folders = readdirSync(FOLDER, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const names = folders.map(({ name }) => name).filter((name) => name !== 'fields');
  const listed = KINDS.map(({ kind }) => kind.kind.replaceAll(/(?!^)([A-Z])/g, '-$1').toLowerCase());
  assert.deepEqual(names.toSorted(), listed.toSorted());
});

for (const { kind, reconcile } of KINDS) {
  const schema: StructuralSchema = toObjectSchema(kind);

  test(`the schema of ${kind.kind} is structural`, () => assert.deepEqual(findOffences(schema, kind.kind), []));

  test(`the example of ${kind.kind} is valid and reconciles`, () => {
    const folder = kind.kind.replaceAll(/(?!^)([A-Z])/g, '-$1').toLowerCase();
    const written = parse(readFileSync(join(FOLDER, folder, 'example.yaml'), 'utf8')) as ObjectOf<never, never>;
    const { apiVersion, kind: name, metadata, ...rest } = written;
    assert.deepEqual([apiVersion, name], [`${kind.group}/${kind.version}`, kind.kind]);
    const unknown: string[] = [];
    prune(schema, rest, unknown);
    assert.deepEqual(unknown, []);
    const complete = applyDefaults(schema, { ...written, metadata: { ...metadata, namespace: 'default', uid: 'u' } });
    assert.deepEqual(validate(schema, complete), []);
    const settings = { trackingUrl: 'http://tracking', blobsUrl: 'file:///blobs', nodeCachePath: '/cache' };
    const world = { nowMs: 0, settings, owned: () => [], find: () => undefined };
    const outcome = reconcile?.(complete as ObjectOf<never, never>, world);
    const status = outcome?.status ?? {};
    assert.deepEqual(validate(schema.properties?.['status'] ?? {}, status, 'status'), []);
    for (const child of outcome?.children ?? [])
      assert.ok(kind.owns.includes(child.kind), `${child.kind} is not owned`);
  });
}
