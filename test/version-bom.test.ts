/** The bill of materials of a registered version, held against CycloneDX' own schema, and the card beside it. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Ajv } from 'ajv';
import type { TrackingServer } from '../src/tracking/server.ts';
import { startTestTracking } from '../src/tracking/test-tracking.ts';

const SCHEMAS = join(import.meta.dirname, '..', 'node_modules/@cyclonedx/cyclonedx-library/res/schema');
const MLMODEL = `flavors:
  python_function: {}
  sklearn: {}
signature:
  inputs: '[{"type": "double", "name": "width", "required": true}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
`;
const home = mkdtempSync(join(tmpdir(), 'athanor-bom-'));
let server: TrackingServer;

before(async () => {
  server = await startTestTracking({ home, database: { path: join(home, 'rows.db') } });
  const { run } = await post('runs/create', { experiment_id: '0' });
  const { run_id, artifact_uri: root } = run.info;
  const files = {
    MLmodel: MLMODEL,
    'requirements.txt': 'numpy==2.3.1\nscikit_learn>=1\n# no\n-r x\n',
    'model.txt': 'w',
  };
  for (const [path, body] of Object.entries(files)) {
    const place = `/api/2.0/mlflow-artifacts/artifacts/${root.replace('mlflow-artifacts:/', '')}/model/${path}`;
    assert.equal((await fetch(server.url + place, { method: 'PUT', body })).status, 200);
  }
  await post('runs/log-metric', { run_id, key: 'accuracy', value: 0.97, timestamp: 1, step: 1 });
  const dataset = { name: 'iris', digest: 'abc', source_type: 'local', source: '{"uri":"iris.csv"}' };
  await post('runs/log-inputs', {
    run_id,
    datasets: [{ dataset, tags: [{ key: 'mlflow.data.context', value: 'train' }] }],
  });
  await post('registered-models/create', { name: 'iris' });
  await post('model-versions/create', {
    name: 'iris',
    source: `${root}/model`,
    run_id,
    description: '<b>first</b> | one',
  });
  await post('model-versions/create', { name: 'iris', source: 's3://elsewhere/model' });
});
after(async () => {
  await server.close();
  rmSync(home, { recursive: true, force: true });
});

async function post(path: string, body: object) {
  const response = await fetch(`${server.url}/api/2.0/mlflow/${path}`, { method: 'POST', body: JSON.stringify(body) });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text);
}

const readSchema = (name: string) => JSON.parse(readFileSync(join(SCHEMAS, `${name}.SNAPSHOT.schema.json`), 'utf8'));
const get = (path: string) => fetch(`${server.url}/api/athanor/v1/models/iris/versions/${path}`);

function expectValid(bom: object): void {
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  for (const name of ['spdx', 'jsf-0.82', 'cryptography-defs']) {
    ajv.addSchema({ ...readSchema(name), $id: `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json` });
  }
  const validate = ajv.compile(readSchema('bom-1.7'));
  assert.ok(validate(bom), JSON.stringify(validate.errors, null, 1));
}

test('a bill of materials names what the model is made of', async () => {
  const bom = JSON.parse(await (await get('1/bom')).text());
  expectValid(bom);
  const { modelCard, ...model } = bom.metadata.component;
  assert.deepEqual([model.type, model.name, model.version], ['machine-learning-model', 'iris', '1']);
  assert.deepEqual(modelCard.quantitativeAnalysis.performanceMetrics, [{ type: 'accuracy', value: '0.97' }]);
  assert.deepEqual(modelCard.modelParameters.inputs, [{ format: 'width: double' }]);
  assert.deepEqual(modelCard.modelParameters.outputs, [{ format: '0: int64[-1]' }]);
  assert.equal(modelCard.modelParameters.datasets[0].name, 'iris@abc');
  const refs = bom.components.map((component: { 'bom-ref': string }) => component['bom-ref']);
  const files = ['file:MLmodel', 'file:model.txt', 'file:requirements.txt'];
  assert.deepEqual(refs, ['pkg:pypi/numpy@2.3.1', 'pkg:pypi/scikit-learn', ...files]);
  assert.match(bom.components[3].hashes[0].content, /^[0-9a-f]{64}$/);
  assert.deepEqual(JSON.parse(await (await get('1/bom')).text()), bom);
});

test('a version whose files are elsewhere has a bill of materials too', async () => {
  const bom = JSON.parse(await (await get('2/bom')).text());
  expectValid(bom);
  assert.equal(bom.components, undefined);
});

test('a card says the same to people, and nothing in it is markup', async () => {
  const response = await get('1/card');
  const card = await response.text();
  assert.match(response.headers.get('content-type') ?? '', /^text\/markdown/);
  for (const line of [
    '# iris, version 1',
    '| accuracy | 0.97 |',
    '| iris | abc |',
    '| numpy | 2.3.1 |',
    '| width | double |',
  ])
    assert.ok(card.includes(line), `${line}\n${card}`);
  assert.ok(card.includes('\\<b\\>first\\</b\\> \\| one'), card);
});

test('a version that is not there has neither', async () => {
  for (const path of ['9/bom', '9/card']) assert.equal((await get(path)).status, 404);
});
