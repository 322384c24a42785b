/** Stores that the real MLflow client wrote, of today and of two years ago, come here whole; damaged ones in part. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { startTestTracking } from '../src/tracking/test-tracking.ts';
import { type Outcome, TestAthanor } from './athanor.ts';
import { MLFLOW_PEER } from './mlflow/server.ts';
import { ensureVenv } from './python.ts';

const TIMEOUT_MS = 300_000;
const OLD = ['mlflow-skinny==2.18.0', 'opentelemetry-api==1.28.2', 'opentelemetry-sdk==1.28.2'];
const OLD_SQL = [...OLD, 'sqlalchemy<2.1', 'alembic', 'pandas'];
const home = mkdtempSync(join(tmpdir(), 'athanor-import-'));
const athanor = new TestAthanor();
after(async () => {
  await athanor.close();
  rmSync(home, { recursive: true, force: true });
});

const stores: Record<string, { readonly packages: readonly string[]; readonly kind: 'files' | 'sqlite' }> = {
  "today's file store": { packages: [MLFLOW_PEER], kind: 'files' },
  "today's database": { packages: [MLFLOW_PEER], kind: 'sqlite' },
  'the file store of two years ago': { packages: OLD, kind: 'files' },
  'the database of two years ago': { packages: OLD_SQL, kind: 'sqlite' },
};

interface Counts {
  readonly runs: number;
  readonly runsNew: number;
  readonly metrics: number;
  readonly files: number;
  readonly problems: readonly { readonly where: string; readonly message: string }[];
}

async function python(packages: readonly string[], cwd: string, args: readonly string[]): Promise<string> {
  const venv = await ensureVenv(packages);
  const script = join(import.meta.dirname, 'mlflow', 'import-store.py');
  const env = { PATH: process.env['PATH'], HOME: cwd, NO_PROXY: '127.0.0.1', GIT_PYTHON_REFRESH: 'quiet' };
  const { stdout } = await promisify(execFile)(venv.python, [script, ...args], { cwd, env, timeout: TIMEOUT_MS });
  return stdout;
}

async function writeStore(packages: readonly string[], kind: 'files' | 'sqlite') {
  const folder = mkdtempSync(join(home, 'store-'));
  const uri = kind === 'files' ? `file:${folder}/mlruns` : `sqlite:///${folder}/mlflow.db`;
  await python(packages, folder, ['write', uri]);
  return { folder, uri, place: kind === 'files' ? join(folder, 'mlruns') : uri };
}

async function withTracking<T>(work: (url: string) => Promise<T>): Promise<T> {
  const own = mkdtempSync(join(home, 'tracking-'));
  const server = await startTestTracking({ home: own, database: { path: ':memory:' } });
  try {
    return await work(server.url);
  } finally {
    await server.close();
  }
}

function importFrom(place: string, url: string, ...flags: readonly string[]): Promise<Outcome> {
  return athanor.run('import', 'mlflow', place, '--tracking', url, '-o', 'json', ...flags);
}

for (const [name, { packages, kind }] of Object.entries(stores)) {
  test(`import mlflow brings ${name}, once`, () =>
    withTracking(async (url) => {
      const { folder, uri, place } = await writeStore(packages, kind);
      const dry = await importFrom(place, url, '--dry-run');
      assert.equal(dry.code, 0, dry.stderr);
      const first = await importFrom(place, url);
      assert.equal(first.code, 0, first.stderr + first.stdout);
      const counts = JSON.parse(first.stdout) as Counts; // why: the summary's shape is what this is about
      assert.deepEqual([counts.runs, counts.runsNew, counts.metrics, counts.files], [3, 3, 56, 1]);
      assert.deepEqual({ ...counts, runsNew: 0 }, JSON.parse(dry.stdout));
      assert.match(await python(packages, folder, ['compare', uri, url]), /things are equal/);
      const again = JSON.parse((await importFrom(place, url)).stdout) as Counts; // why: as above
      assert.deepEqual([again.runs, again.runsNew, again.files], [3, 0, 0]);
      assert.match(await python(packages, folder, ['compare', uri, url]), /things are equal/);
    }));
}

test('import mlflow tells where a store is damaged, leaves that run out, and brings it when it is mended', () =>
  withTracking(async (url) => {
    const { place } = await writeStore([MLFLOW_PEER], 'files');
    const runs = readdirSync(place, { recursive: true, encoding: 'utf8' });
    const metric = join(place, runs.find((path) => path.endsWith('metrics/odd')) ?? '');
    appendFileSync(metric, 'not a metric\n');
    const broken = await importFrom(place, url);
    assert.equal(broken.code, 1);
    const { problems, runs: came } = JSON.parse(broken.stdout) as Counts; // why: as above
    assert.equal(came, 2);
    assert.equal(problems.length, 3, broken.stdout);
    assert.match(problems[2]?.message ?? '', /its files are at file:.* which is of no run that came/);
    assert.match(problems[0]?.message ?? '', /metrics\/odd:7: 'not a metric' is no metric, want: timestamp value step/);
    const answer = await fetch(`${url}/api/2.0/mlflow/runs/get?run_id=${metric.split('/').at(-3)}`);
    assert.equal(answer.status, 404);
    const { readFileSync } = await import('node:fs');
    writeFileSync(metric, readFileSync(metric, 'utf8').replace('not a metric\n', ''));
    const mended = JSON.parse((await importFrom(place, url)).stdout) as Counts; // why: as above
    assert.deepEqual([mended.runs, mended.runsNew, mended.problems], [3, 1, []]);
  }));

test('import mlflow keeps an id that YAML takes for a number', () =>
  withTracking(async (url) => {
    const run_id = `12e${'3'.repeat(29)}`;
    const folder = join(home, 'numbers', '7', run_id);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, '..', 'meta.yaml'), 'name: 1e5\nexperiment_id: 7\nlifecycle_stage: active\n');
    writeFileSync(join(folder, 'meta.yaml'), `run_id: ${run_id}\nstatus: 3\nstart_time: 1\nend_time: null\n`);
    const { code, stderr } = await importFrom(join(home, 'numbers'), url);
    assert.equal(code, 0, stderr);
    assert.equal((await fetch(`${url}/api/2.0/mlflow/runs/get?run_id=${run_id}`)).status, 200);
    assert.equal((await fetch(`${url}/api/2.0/mlflow/experiments/get-by-name?experiment_name=1e5`)).status, 200);
  }));

test('import mlflow says what is no store', async () => {
  mkdirSync(join(home, 'empty'));
  writeFileSync(join(home, 'text.db'), 'hello, I am no database at all, but long enough to have a header to look at');
  const cases: Record<string, RegExp> = {
    [join(home, 'nowhere')]: /there is no such file or folder/,
    [join(home, 'empty')]: /it holds no MLflow file store, name the folder mlruns/,
    [join(home, 'text.db')]: /it is no SQLite database/,
  };
  for (const [place, want] of Object.entries(cases)) {
    const { code, stderr } = await importFrom(place, 'http://127.0.0.1:1');
    assert.notEqual(code, 0);
    assert.match(stderr, want);
  }
});
