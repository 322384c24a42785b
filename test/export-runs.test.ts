/** What is exported is read by pyarrow and by Python's csv and json, with every odd value as it was. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { TrackingServer } from '../src/tracking/server.ts';
import { startTestTracking } from '../src/tracking/test-tracking.ts';
import { TestAthanor } from './athanor.ts';
import { MLFLOW_PEER } from './mlflow/server.ts';
import { ensureVenv } from './python.ts';

const RUNS = 1_201;
const POINTS = 900;
const ODD = 'a "quoted", text\r\nwith ü \u{1f600} and a tail ';
const home = mkdtempSync(join(tmpdir(), 'athanor-export-'));
const athanor = new TestAthanor();
let server: TrackingServer;
let oddRun: string;

async function post<T>(path: string, body: object): Promise<T> {
  const answer = await fetch(`${server.url}/api/2.0/mlflow/${path}`, { method: 'POST', body: JSON.stringify(body) });
  assert.equal(answer.status, 200, await answer.clone().text());
  return (await answer.json()) as T; // why: each caller names the answer's shape
}

before(async () => {
  server = await startTestTracking({ home, database: { path: ':memory:' } });
  const { experiment_id } = await post<{ experiment_id: string }>('experiments/create', { name: 'odd & large' });
  for (let index = 0; index < RUNS; index++) {
    const body = { experiment_id, start_time: 1_700_000_000_000 + index, run_name: `run ${index}` };
    const { run } = await post<{ run: { info: { run_id: string } } }>('runs/create', body);
    oddRun = run.info.run_id;
  }
  const metrics = Array.from({ length: POINTS }, (_, step) => ({
    key: 'loss',
    value: step / 7,
    timestamp: 1000 + step,
    step,
  }));
  const odd = ['NaN', 'Infinity', -0.1, 5e-324].map((value, step) => ({
    key: 'odd',
    value,
    timestamp: step,
    step: -step,
  }));
  await post('runs/log-batch', { run_id: oddRun, metrics: [...metrics, ...odd], params: [{ key: 'p', value: ODD }] });
  await post('runs/log-inputs', {
    run_id: oddRun,
    datasets: [
      {
        dataset: { name: 'd', digest: 'x', source_type: 't', source: 's' },
        tags: [{ key: 'mlflow.data.context', value: 'train' }],
      },
    ],
  });
  await post('runs/update', { run_id: oddRun, status: 'FINISHED', end_time: 1_700_000_999_999 });
});
after(async () => {
  await server.close();
  await athanor.close();
  rmSync(home, { recursive: true, force: true });
});

type Tables = Record<string, { schema?: Record<string, string>; rows: Record<string, unknown>[] }>;

async function exportAs(format: string): Promise<Tables> {
  const folder = join(home, format);
  const flags = ['-e', 'odd & large', '--format', format, '--tracking', server.url, '-o', 'json'];
  const { code, stdout, stderr } = await athanor.run('export', 'runs', folder, ...flags);
  assert.equal(code, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), {
    folder,
    runs: RUNS,
    params: 1,
    tags: RUNS,
    metrics: POINTS + 4,
    datasets: 1,
  });
  const { python } = await ensureVenv([MLFLOW_PEER]);
  const options = { maxBuffer: 64 * 1024 * 1024, env: { PYTHONUTF8: '1' } };
  const { stdout: read } = await promisify(execFile)(
    python,
    [join(import.meta.dirname, 'read-tables.py'), folder, format],
    options,
  );
  // Python writes NaN and Infinity into JSON as they are.
  return JSON.parse(read.replaceAll(/: (NaN|Infinity)\b/g, ': "$1"')) as Tables; // why: the script beside this prints it
}

test('export runs writes Parquet with types that pyarrow reads', async () => {
  const { runs, metrics, params, tags, datasets } = await exportAs('parquet');
  assert.deepEqual(runs?.schema?.['start_time'], 'timestamp[ms, tz=UTC]');
  assert.deepEqual(
    { ...metrics?.schema },
    { run_id: 'string', key: 'string', step: 'int64', timestamp: 'timestamp[ms, tz=UTC]', value: 'double' },
  );
  assert.equal(runs?.rows.length, RUNS);
  const last = runs?.rows.at(-1);
  assert.deepEqual(
    [last?.['run_id'], last?.['status'], last?.['end_time']],
    [oddRun, 'FINISHED', '2023-11-14T22:29:59.999000+00:00'],
  );
  assert.equal(runs?.rows[0]?.['end_time'], null);
  assert.deepEqual(params?.rows, [{ run_id: oddRun, key: 'p', value: ODD }]);
  assert.equal(tags?.rows.length, RUNS);
  const odd = metrics?.rows.filter(({ key }) => key === 'odd').map(({ value, step }) => [value, step]);
  assert.deepEqual(odd, [
    ['NaN', 0],
    [Number.MAX_VALUE, -1],
    [-0.1, -2],
    [5e-324, -3],
  ]);
  assert.equal(
    metrics?.rows.filter(({ key, value, step }) => key === 'loss' && value === Number(step) / 7).length,
    POINTS,
  );
  assert.equal(datasets?.rows[0]?.['context'], 'train');
});

test('export runs writes CSV and JSON that Python reads', async () => {
  const csv = await exportAs('csv');
  assert.deepEqual(csv['params']?.rows, [{ run_id: oddRun, key: 'p', value: ODD }]);
  assert.equal(csv['runs']?.rows.at(-1)?.['end_time'], '2023-11-14T22:29:59.999Z');
  assert.equal(csv['runs']?.rows[0]?.['end_time'], '');
  const json = await exportAs('json');
  assert.deepEqual(json['params']?.rows, [{ run_id: oddRun, key: 'p', value: ODD }]);
  const odd = json['metrics']?.rows.filter(({ key }) => key === 'odd').map(({ value }) => value);
  assert.deepEqual(odd, ['NaN', Number.MAX_VALUE, -0.1, 5e-324]);
});

test('export runs refuses what it cannot do, and leaves nothing behind', async () => {
  const run = (...flags: string[]) =>
    athanor.run('export', 'runs', join(home, 'new'), '--tracking', server.url, ...flags);
  const cases: Record<string, { flags: string[]; want: RegExp }> = {
    'an experiment that is not there': { flags: ['-e', 'nobody'], want: /there is no experiment 'nobody'/ },
    'a format that is none': { flags: ['-e', '0', '--format', 'xlsx'], want: /want parquet, csv or json/ },
  };
  for (const { flags, want } of Object.values(cases)) {
    const { code, stderr } = await run(...flags);
    assert.notEqual(code, 0);
    assert.match(stderr, want);
  }
  const again = await athanor.run('export', 'runs', join(home, 'csv'), '-e', '0', '--tracking', server.url);
  assert.match(again.stderr, /it is there, choose a new folder/);
  assert.deepEqual(
    readdirSync(home).filter((name) => name.startsWith('.arriving') || name === 'new'),
    [],
  );
});

test('an experiment without runs is five empty tables', async () => {
  for (const format of ['parquet', 'csv', 'json']) {
    const folder = join(home, `empty-${format}`);
    const flags = ['-e', '0', '--format', format, '--tracking', server.url];
    const { code, stderr } = await athanor.run('export', 'runs', folder, ...flags);
    assert.equal(code, 0, stderr);
    const { python } = await ensureVenv([MLFLOW_PEER]);
    const { stdout } = await promisify(execFile)(python, [join(import.meta.dirname, 'read-tables.py'), folder, format]);
    const tables = JSON.parse(stdout) as Tables; // why: the script beside this prints it
    assert.deepEqual(
      Object.values(tables).map(({ rows }) => rows),
      [[], [], [], [], []],
    );
  }
});
