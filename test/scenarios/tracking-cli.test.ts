/** A researcher looks at runs, compares them, brings files home and promotes a model, all by the command line. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { TestAthanor } from '../athanor.ts';

const athanor = new TestAthanor();
let tracking = '';
const ids: string[] = [];

before(async () => {
  await athanor.up();
  ({ tracking } = await athanor.endpoints());
  const { experiment_id } = await post<{ experiment_id: string }>('experiments/create', { name: 'digits' });
  for (const [index, lr] of ['0.1', '0.01'].entries()) ids.push(await makeRun(experiment_id, index, lr));
  await post('registered-models/create', { name: 'digits-model', description: 'reads digits' });
  for (const id of ids) {
    const source = `mlflow-artifacts:/${experiment_id}/${id}/artifacts/model`;
    await post('model-versions/create', { name: 'digits-model', source, run_id: id });
  }
});
after(() => athanor.close());

async function post<T>(path: string, body: object): Promise<T> {
  const response = await fetch(`${tracking}/api/2.0/mlflow/${path}`, { method: 'POST', body: JSON.stringify(body) });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text) as T;
}

async function ask<T>(path: string): Promise<T> {
  return (await (await fetch(`${tracking}/api/2.0/mlflow/${path}`)).json()) as T;
}

async function makeRun(experimentId: string, index: number, lr: string): Promise<string> {
  const wanted = { experiment_id: experimentId, run_name: `try-${index}`, user_id: 'ada', start_time: 1_000 + index };
  const { run } = await post<{ run: { info: { run_id: string } } }>('runs/create', wanted);
  const { run_id } = run.info;
  const loss = Array.from({ length: 100 }, (_, step) => ({
    key: 'loss',
    value: 1 / (step + 1 + index),
    step,
    timestamp: step,
  }));
  await post('runs/log-batch', {
    run_id,
    metrics: [...loss, { key: 'acc', value: 0.9 + index / 100, step: 0, timestamp: 1 }],
    params: [
      { key: 'lr', value: lr },
      { key: 'layers', value: '2' },
    ],
    tags: [{ key: 'team', value: 'red' }],
  });
  await post('runs/update', { run_id, status: 'FINISHED', end_time: 62_500 });
  for (const path of ['model/weights.txt', 'notes.txt']) {
    const place = `${tracking}/api/2.0/mlflow-artifacts/artifacts/${experimentId}/${run_id}/artifacts/${path}`;
    assert.equal((await fetch(place, { method: 'PUT', body: `${path} of ${index}` })).status, 200);
  }
  return run_id;
}

async function say(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await athanor.run(...args);
  assert.equal(code, 0, stderr);
  return stdout;
}

test('runs lists the newest runs of all experiments or of one', async () => {
  const text = await say('runs');
  assert.match(text, /^ID\s+NAME\s+EXPERIMENT\s+STATUS\s+STARTED \(UTC\)\s+TOOK\s+METRICS\n/);
  assert.match(text, /try-1\s+digits\s+FINISHED\s+1970-01-01 00:00:01\s+1m1s\s+acc=0.91 loss=0.0099/);
  assert.equal(await say('runs', '-e', 'digits', '--filter', "params.lr = '0.1'", '-o', 'name'), `${ids[0]}\n`);
  assert.equal(await say('runs', '--order', 'metrics.acc DESC', '--limit', '1', '-o', 'name'), `${ids[1]}\n`);
  const runs = JSON.parse(await say('runs', '-o', 'json')) as { info: { run_id: string } }[];
  assert.deepEqual(runs.map(({ info }) => info.run_id).sort(), ids.toSorted());
});

test('runs shows one run by id, by its beginning and by name, with its metrics as lines', async () => {
  for (const asked of [ids[0] ?? '', (ids[0] ?? '').slice(0, 10), 'try-0']) {
    const text = await say('runs', asked);
    assert.match(text, /^try-0 {2}[0-9a-f]{32}\n/);
    assert.match(text, /loss\s+0.01\s+99\s+█[▁▂▃▄▅▆▇█]{30}▁\n/);
    assert.match(text, /lr\s+0.1\n/);
    assert.match(text, /team\s+red\n/);
  }
});

test('runs compare puts runs beside each other', async () => {
  const text = await say('runs', 'compare', 'try-0', 'try-1');
  assert.match(text, /\*\s+param\s+lr\s+0.1\s+0.01\n/);
  assert.match(text, /\n\s+param\s+layers\s+2\s+2\n/);
  assert.match(text, /loss\n {2}[▁▂▃▄▅▆▇█]+ {2}1 → 0.01 /);
  assert.doesNotMatch(await say('runs', 'compare', 'try-0', 'try-1', '--diff'), /layers/);
  const { rows } = JSON.parse(await say('runs', 'compare', ...ids, '-o', 'json')) as {
    rows: { key: string; same: boolean }[];
  };
  assert.deepEqual(
    rows.filter(({ same }) => same).map(({ key }) => key),
    ['layers'],
  );
});

test('artifacts lists files and brings them home', async () => {
  assert.equal(await say('artifacts', 'try-0', '-o', 'name'), 'model/weights.txt\nnotes.txt\n');
  assert.match(await say('artifacts', 'models:/digits-model/2'), /weights.txt\s+22\n/);
  const folder = join(athanor.home, 'brought');
  assert.match(await say('artifacts', 'try-1', '--download', folder), /2 files, 36 bytes/);
  assert.equal(readFileSync(join(folder, 'model', 'weights.txt'), 'utf8'), 'model/weights.txt of 1');
  await say('artifacts', 'try-0', 'notes.txt', '-d', folder);
  assert.equal(readFileSync(join(folder, 'notes.txt'), 'utf8'), 'notes.txt of 0');
});

test('models lists models and versions, and promote moves an alias', async () => {
  assert.match(await say('models'), /digits-model\s+2\s+\S+ \S+\s+reads digits\n/);
  assert.equal(
    await say('models', 'promote', 'digits-model', '1'),
    'digits-model@champion is version 1 now, nothing before\n',
  );
  assert.equal(
    await say('models', 'promote', 'digits-model', '2'),
    'digits-model@champion is version 2 now, version 1 before\n',
  );
  assert.equal(await say('models', 'promote', 'digits-model', '2'), 'digits-model@champion is version 2 already\n');
  assert.match(await say('models', 'digits-model'), /\n2\s+champion\s+None\s+READY\s+/);
  assert.equal(await say('models', 'digits-model', '-o', 'name'), 'models:/digits-model/2\nmodels:/digits-model/1\n');
  assert.match(await say('artifacts', 'models:/digits-model@champion', '-o', 'name'), /weights.txt/);
});

test('models accept takes a version out of quarantine, knowingly', async () => {
  const [id = ''] = ids;
  const { run } = await ask<{ run: { info: { artifact_uri: string } } }>(`runs/get?run_id=${id}`);
  const place = run.info.artifact_uri.replace('mlflow-artifacts:/', '/api/2.0/mlflow-artifacts/artifacts/');
  const evil = "cposix\nsystem\n(S'echo athanor'\ntR.";
  assert.equal((await fetch(`${tracking}${place}/own/model.pkl`, { method: 'PUT', body: evil })).status, 200);
  await post('registered-models/create', { name: 'own' });
  const source = `${run.info.artifact_uri}/own`;
  await post('model-versions/create', { name: 'own', source, run_id: id });
  assert.match(await say('models', 'own'), /FAILED_REGISTRATION/);
  const refused = await athanor.run('models', 'promote', 'own', '1');
  assert.deepEqual(
    [refused.code, /quarantine: model.pkl: pickle-import/.test(refused.stderr)],
    [1, true],
    refused.stderr,
  );
  const said = await say('models', 'accept', 'own', '1', '--reason', 'I wrote it');
  assert.match(said, /^models:\/own\/1 may be used: accepted by \S+: I wrote it \(found: model.pkl: pickle-import/);
  await say('models', 'promote', 'own', '1');
  const again = await athanor.run('models', 'accept', 'own', '1', '--reason', 'twice');
  assert.deepEqual([again.code, /it is not in quarantine, it is ready/.test(again.stderr)], [1, true], again.stderr);
});

test('ui says where to look', async () => assert.equal(await say('ui'), `${tracking}\n`));

const refusals: Readonly<Record<string, readonly [readonly string[], number, RegExp]>> = {
  'a run that is not there': [['runs', 'nobody'], 3, /cannot show run nobody: none has this id or name/],
  'a filter that says nothing': [['runs', '--filter', 'metrics.acc >'], 1, /Invalid filter: it ends too early/],
  'a limit that is no number': [['runs', '--limit', 'many'], 2, /--limit wants a whole number/],
  'an experiment that is not there': [['runs', '-e', 'nothing'], 3, /Could not find experiment with name 'nothing'/],
  'one run to compare': [['runs', 'compare', 'try-0'], 2, /give two or more runs/],
  'a model that is not there': [['models', 'nothing'], 3, /Registered Model with name=nothing not found/],
  'a version that is not there': [['models', 'promote', 'digits-model', '9'], 3, /version=9\) not found/],
  'a version accepted without a reason': [
    ['models', 'accept', 'digits-model', '1'],
    2,
    /required option '--reason <text>'/,
  ],
  'an option that nobody knows': [['runs', '--bogus'], 2, /unknown option '--bogus'/],
  'an alias that is reserved': [['models', 'promote', 'digits-model', '1', '--alias', 'latest'], 1, /reserved/],
  'a file that is not there': [['artifacts', 'try-0', 'nothing'], 3, /it has no file nothing/],
  'a model URI of another form': [['artifacts', 'models:/digits-model'], 2, /use models:\/name\/version/],
  'a format that is none': [['runs', '-o', 'xml'], 2, /cannot print as 'xml'/],
  'a server that does not answer': [
    ['runs', '--tracking', 'http://127.0.0.1:9'],
    4,
    /cannot reach tracking at http:\/\/127.0.0.1:9/,
  ],
};

for (const [what, [args, want, said]] of Object.entries(refusals)) {
  test(`${args[0]} refuses ${what}`, async () => {
    const { code, stderr } = await athanor.run(...args);
    assert.equal(code, want, stderr);
    assert.match(stderr, said);
    assert.doesNotMatch(stderr, / at .*\.ts:/);
  });
}
