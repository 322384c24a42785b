/** Custom resources and server-side apply through HTTP: validated, defaulted, pruned, owned field by field. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { JournalEntry } from '../src/apiserver/journal.ts';
import { openSqliteJournal } from '../src/apiserver/sqlite-journal.ts';
import type { ObjectOf, ResourceRef, StoredObject } from '../src/kube/object.ts';
import { isStatusError } from '../src/kube/status-error.ts';
import { WELL_KNOWN } from '../src/kube/well-known.ts';
import { startCluster, type TestCluster } from './cluster.ts';
import { until } from './until.ts';

let cluster: TestCluster;
const group = 'example.com';
const WIDGET: ResourceRef = { group, version: 'v1', kind: 'Widget', plural: 'widgets', scope: 'Namespaced' };
const CRDS = WELL_KNOWN.CustomResourceDefinition;
const path = '/apis/example.com/v1/namespaces/default/widgets';

interface WidgetSpec {
  readonly size?: number;
  readonly color?: string;
  readonly parts?: readonly { readonly name: string; readonly count?: number }[];
  readonly tags?: readonly string[];
}
type Widget = ObjectOf<WidgetSpec, { readonly phase?: string }>;

const schema = {
  type: 'object',
  required: ['spec'],
  properties: {
    spec: {
      type: 'object',
      properties: {
        size: { type: 'integer', minimum: 1, maximum: 9 },
        color: { type: 'string', enum: ['red', 'blue'], default: 'red' },
        tags: { type: 'array', maxItems: 2, items: { type: 'string' } },
        parts: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: {
            type: 'object',
            required: ['name'],
            properties: { name: { type: 'string' }, count: { type: 'integer', default: 1 } },
          },
        },
      },
    },
    status: { type: 'object', properties: { phase: { type: 'string' } } },
  },
};

const crd: StoredObject = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.com' },
  spec: {
    group,
    scope: 'Namespaced',
    names: { kind: 'Widget', plural: 'widgets' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: [{ name: 'Size', type: 'integer', jsonPath: '.spec.size' }],
        schema: { openAPIV3Schema: schema },
      },
    ],
  },
};

before(async () => {
  cluster = await startCluster();
  await cluster.client.create(CRDS, crd);
});
after(() => cluster.close());

function widget(name: string, spec: object): Widget {
  return { apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name, namespace: 'default' }, spec };
}

const create = (name: string, spec: object) => cluster.client.create(WIDGET, widget(name, spec));
const get = (name: string) => cluster.client.get<Widget>(WIDGET, name, 'default');

test('a definition is established, and its resource is discovered', async () => {
  const stored = await cluster.client.get<ObjectOf<unknown, { conditions: { type: string; status: string }[] }>>(
    CRDS,
    'widgets.example.com',
  );
  const established = stored.status?.conditions.find(({ type }) => type === 'Established');
  assert.equal(established?.status, 'True');
  const { resources } = await cluster.client.request<{ resources: { name: string }[] }>('GET', '/apis/example.com/v1');
  assert.deepEqual(
    resources.map(({ name }) => name),
    ['widgets', 'widgets/status'],
  );
});

test('a definition that cannot be served is refused', async () => {
  await assert.rejects(
    cluster.client.create(CRDS, { ...crd, metadata: { name: 'wrong.example.com' } }),
    (error) => isStatusError(error, 'Invalid') && /must be spec.names.plural\+"."\+spec.group/.test(error.message),
  );
  const versions = [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { pattern: '(' } } }];
  for (const spec of [
    undefined,
    {},
    'x',
    { ...(crd['spec'] as object), versions: [null] },
    { ...(crd['spec'] as object), versions },
  ])
    await assert.rejects(
      cluster.client.create(CRDS, { ...crd, spec }),
      (error) => isStatusError(error, 'Invalid'),
      JSON.stringify(spec),
    );
});

const invalid: Record<string, readonly [spec: object, message: string]> = {
  'a number above its maximum': [
    { size: 10 },
    'Widget.example.com "bad" is invalid: spec.size: Invalid value: 10: spec.size in body should be less than or equal to 9',
  ],
  'a value of another type': [
    { size: 'big' },
    'Widget.example.com "bad" is invalid: spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"',
  ],
  'a word that is not among those allowed': [
    { color: 'green' },
    'Widget.example.com "bad" is invalid: spec.color: Unsupported value: "green": supported values: "red", "blue"',
  ],
  'a missing field, with its place in the list': [
    { parts: [{ name: 'a' }, { count: 2 }] },
    'Widget.example.com "bad" is invalid: spec.parts[1].name: Required value',
  ],
  'a list that is too long': [
    { tags: ['a', 'b', 'c'] },
    'Widget.example.com "bad" is invalid: spec.tags: Too many: 3: must have at most 2 items',
  ],
  'two items of one key': [
    { parts: [{ name: 'a' }, { name: 'a' }] },
    'Widget.example.com "bad" is invalid: spec.parts[1]: Duplicate value: {"name":"a"}',
  ],
  'several faults at once': [
    { size: 0, color: 'x' },
    'Widget.example.com "bad" is invalid: [spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1, ' +
      'spec.color: Unsupported value: "x": supported values: "red", "blue"]',
  ],
};

for (const [sentence, [spec, message]] of Object.entries(invalid)) {
  test(`validation refuses ${sentence}`, async () => {
    await assert.rejects(create('bad', spec), (error) => {
      assert.ok(isStatusError(error, 'Invalid'));
      assert.equal(error.message, message);
      assert.ok((error.details?.causes?.length ?? 0) > 0);
      return true;
    });
  });
}

test('defaults are filled in and unknown fields dropped, with a warning', async () => {
  const body = JSON.stringify(widget('pruned', { unknown: 1, parts: [{ name: 'a', deep: 2 }] }));
  const answer = await cluster.raw(path, { method: 'POST', body });
  assert.equal(answer.code, 201);
  assert.match(String(answer.headers['warning']), /299 - "unknown field \\"spec.unknown\\""/);
  assert.deepEqual((await get('pruned')).spec, { color: 'red', parts: [{ name: 'a', count: 1 }] });
});

test('strict validation refuses unknown fields instead', async () => {
  const body = JSON.stringify(widget('strict', { unknown: 1, parts: [{ name: 'a', deep: 2 }] }));
  const answer = await cluster.raw(`${path}?fieldValidation=Strict`, { method: 'POST', body });
  assert.equal(answer.code, 400);
  assert.match(
    answer.status.message ?? '',
    /strict decoding error: unknown field "spec.unknown", unknown field "spec.parts\[0\].deep"/,
  );
});

test('the generation follows the spec, not the status, the labels or the defaults', async () => {
  const made = await create('counted', { size: 1 });
  assert.equal(made.metadata.generation, 1);
  const told = await cluster.client.updateStatus<Widget>(WIDGET, { ...made, status: { phase: 'Ready' } });
  assert.deepEqual([told.metadata.generation, told.status], [1, { phase: 'Ready' }]);
  const again = await cluster.client.update<Widget>(WIDGET, widget('counted', { size: 1 }));
  assert.deepEqual([again.metadata.generation, again.status], [1, { phase: 'Ready' }]);
  assert.equal(again.metadata.resourceVersion, told.metadata.resourceVersion);
  const grown = await cluster.client.update<Widget>(WIDGET, widget('counted', { size: 2 }));
  assert.equal(grown.metadata.generation, 2);
});

test('tables show the columns of the definition', async () => {
  await create('shown', { size: 3 });
  const table = await cluster.client.table<{ columnDefinitions: { name: string }[]; rows: { cells: unknown[] }[] }>(
    `${path}?fieldSelector=metadata.name%3Dshown`,
  );
  assert.deepEqual(
    table.columnDefinitions.map(({ name }) => name),
    ['Name', 'Size'],
  );
  assert.deepEqual(table.rows[0]?.cells, ['shown', 3]);
});

const apply = (who: { by: string; to: string }, spec: object, more: { force?: boolean; status?: object } = {}) => {
  const { force, ...rest } = more;
  const { by: fieldManager, to: name } = who;
  return cluster.client.patch<Widget>(WIDGET, {
    name,
    namespace: 'default',
    type: 'apply',
    body: { ...widget(name, spec), ...rest },
    fieldManager,
    ...(force !== undefined && { force }),
  });
};

test('apply creates, and applying the same again makes no new version', async () => {
  const first = await apply({ by: 'alice', to: 'applied' }, { size: 1, parts: [{ name: 'a' }] });
  assert.deepEqual(first.spec, { size: 1, color: 'red', parts: [{ name: 'a', count: 1 }] });
  assert.deepEqual(await apply({ by: 'alice', to: 'applied' }, { size: 1, parts: [{ name: 'a' }] }), first);
});

test('apply leaves the status to its own door', async () => {
  const made = await apply({ by: 'alice', to: 'stated' }, { size: 1 }, { status: { phase: 'Ready' } });
  assert.equal(made.status, undefined);
  const body = {
    apiVersion: 'example.com/v1',
    kind: 'Widget',
    metadata: { name: 'stated' },
    status: { phase: 'Ready' },
  };
  const target = { name: 'stated', namespace: 'default', subresource: 'status', type: 'apply' } as const;
  const told = await cluster.client.patch<Widget>(WIDGET, { ...target, body, fieldManager: 'bob' });
  assert.deepEqual([told.status, told.spec.size], [{ phase: 'Ready' }, 1]);
});

test('apply refuses to take a field from another manager, unless forced; who loses it no longer owns it', async () => {
  await apply({ by: 'alice', to: 'contested' }, { size: 1 });
  await assert.rejects(apply({ by: 'bob', to: 'contested' }, { size: 2 }), (error) => {
    assert.ok(isStatusError(error, 'Conflict'));
    assert.equal(error.message, 'Apply failed with 1 conflict: conflict with "alice": .spec.size');
    return true;
  });
  assert.equal((await get('contested')).spec.size, 1);
  assert.equal((await apply({ by: 'bob', to: 'contested' }, { size: 1 })).spec.size, 1, 'the same value may be shared');
  const forced = await apply({ by: 'bob', to: 'contested' }, { size: 2 }, { force: true });
  assert.equal(forced.spec.size, 2);
  assert.deepEqual(
    forced.metadata.managedFields?.map(({ manager }) => manager),
    ['bob'],
  );
});

test('apply removes what it no longer names, but not what others own', async () => {
  await apply({ by: 'alice', to: 'dropped' }, { size: 1, tags: ['x'], parts: [{ name: 'a' }, { name: 'b' }] });
  await apply({ by: 'bob', to: 'dropped' }, { size: 1, parts: [{ name: 'c' }] });
  const left = await apply({ by: 'alice', to: 'dropped' }, { parts: [{ name: 'b' }] });
  assert.equal(left.spec.size, 1);
  assert.equal(left.spec.tags, undefined);
  assert.deepEqual(left.spec.parts?.map(({ name }) => name).toSorted(), ['b', 'c']);
});

test('apply speaks of the object of its path, with a manager', async () => {
  const send = (query: string, body: object) =>
    cluster.raw(`${path}/who${query}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/apply-patch+yaml' },
      body: JSON.stringify(body),
    });
  assert.equal((await send('', widget('who', {}))).code, 400);
  assert.equal((await send('?fieldManager=a', { ...widget('who', {}), kind: 'Gadget' })).code, 400);
});

/** The definition, or undefined once it is gone. */
function findCrd({ client }: TestCluster): Promise<StoredObject | undefined> {
  return client.get<StoredObject>(CRDS, 'widgets.example.com').catch((error: unknown) => {
    if (!isStatusError(error, 'NotFound')) throw error;
    return undefined;
  });
}

test('deleting a definition deletes its objects, then the definition', async () => {
  const held = {
    ...widget('held', {}),
    metadata: { ...widget('held', {}).metadata, finalizers: ['example.com/hold'] },
  };
  await cluster.client.create(WIDGET, held);
  await cluster.client.delete(CRDS, 'widgets.example.com');
  await until('all but one to go', async () => (await cluster.client.list(WIDGET)).items.length === 1);
  const going = await findCrd(cluster);
  assert.deepEqual(going?.metadata.finalizers, ['customresourcecleanup.apiextensions.k8s.io']);
  assert.match(JSON.stringify(going?.['status']), /"type":"Terminating","status":"True"/);
  const late = cluster.client.create(WIDGET, widget('late', {}));
  await assert.rejects(late, (error) => isStatusError(error, 'MethodNotAllowed') && /terminating/.test(error.message));
  const applied = { name: 'late', namespace: 'default', type: 'apply', body: widget('late', {}) } as const;
  await assert.rejects(cluster.client.patch(WIDGET, applied), (error) => isStatusError(error, 'MethodNotAllowed'));
  const free = { name: 'held', namespace: 'default', type: 'merge', body: { metadata: { finalizers: null } } } as const;
  await cluster.client.patch(WIDGET, free);
  await until('the definition to go', async () => (await findCrd(cluster)) === undefined);
  assert.equal((await cluster.raw(path)).code, 404);
  await cluster.client.create(CRDS, crd);
  assert.deepEqual((await cluster.client.list(WIDGET)).items, []);
});

test('a definition whose deletion was cut short by a crash is deleted by the next life, with its objects', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'athanor-crd-'));
  const file = join(folder, 'cluster.db');
  const inner = openSqliteJournal(file);
  const isRemoval = ({ key, text }: JournalEntry) => key.startsWith('widgets.') && text === undefined;
  const append = async (batch: readonly JournalEntry[]) => {
    if (batch.some(isRemoval)) throw new Error('killed');
    await inner.append(batch);
  };
  const first = await startCluster({ journal: { ...inner, append } });
  await first.client.create(CRDS, crd);
  for (const name of ['one', 'two']) await first.client.create(WIDGET, widget(name, {}));
  await first.client.delete(CRDS, 'widgets.example.com');
  await until('the death', () => first.reported.length > 0);
  await first.close();
  const second = await startCluster({ journal: file });
  try {
    await until('the definition to go', async () => (await findCrd(second)) === undefined);
    await second.client.create(CRDS, crd);
    assert.deepEqual((await second.client.list(WIDGET)).items, []);
    assert.deepEqual(second.reported, []);
  } finally {
    await second.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

test('nothing above was the server’s own trouble', () => assert.deepEqual(cluster.reported, []));
