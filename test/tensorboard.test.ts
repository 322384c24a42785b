/** Event files of the real tensorboard package come here, and ours are read by it; torn and damaged ones in part. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { TrackingServer } from '../src/tracking/server.ts';
import { startTestTracking } from '../src/tracking/test-tracking.ts';
import { TestAthanor } from './athanor.ts';
import { ensureVenv } from './python.ts';

const TIMEOUT_MS = 120_000;
const PACKAGES = ['tensorboard==2.20.0', 'setuptools<81'];
const home = mkdtempSync(join(tmpdir(), 'athanor-tensorboard-'));
const logs = join(home, 'logs');
const athanor = new TestAthanor();
let server: TrackingServer;
before(async () => {
  server = await startTestTracking({ home, database: { path: ':memory:' } });
  await python('write', logs);
});
after(async () => {
  await server.close();
  await athanor.close();
  rmSync(home, { recursive: true, force: true });
});

async function python(...args: readonly string[]): Promise<string> {
  const venv = await ensureVenv(PACKAGES);
  const script = join(import.meta.dirname, 'tensorboard-files.py');
  const { stdout } = await promisify(execFile)(venv.python, [script, ...args], { timeout: TIMEOUT_MS });
  return stdout;
}

interface Report {
  readonly runs: readonly { readonly run_id: string; readonly name: string; readonly points: number }[];
  readonly points: number;
  readonly problems: readonly { readonly message: string }[];
}

async function importLogs(...flags: readonly string[]): Promise<Report> {
  const { stdout } = await athanor.run('import', 'tensorboard', logs, '--tracking', server.url, '-o', 'json', ...flags);
  return JSON.parse(stdout) as Report; // why: the report's shape is what this is about
}

async function countPoints(runId: string, key: string): Promise<number> {
  const query = new URLSearchParams({ run_id: runId, metric_key: key });
  const answer = await fetch(`${server.url}/api/2.0/mlflow/metrics/get-history?${query}`);
  return ((await answer.json()) as { metrics?: unknown[] }).metrics?.length ?? 0; // why: as above
}

function findFile(): string {
  const names = readdirSync(logs, { recursive: true, encoding: 'utf8' });
  return join(logs, names.find((name) => name.includes('train/') && name.includes('tfevents')) ?? '');
}

test('import tensorboard makes a run of each folder, once, of old and of new scalars', async () => {
  const first = await importLogs();
  assert.deepEqual(
    first.runs.map(({ name, points }) => [name, points]),
    [
      ['eval/deep', 2000],
      ['train', 2000],
    ],
  );
  assert.deepEqual(first.problems, []);
  const runId = first.runs[1]?.run_id ?? '';
  assert.equal(await countPoints(runId, 'loss _new_'), 1000);
  assert.equal(await countPoints(runId, 'acc/top1'), 1000);
  assert.deepEqual(await importLogs(), first);
  assert.equal(await countPoints(runId, 'acc/top1'), 1000);
});

test('export tensorboard writes what the real tensorboard reads', async () => {
  const runId = (await importLogs()).runs[1]?.run_id ?? '';
  const out = join(home, 'out');
  for (let times = 0; times < 2; times++) {
    const { code, stderr } = await athanor.run('export', 'tensorboard', runId, out, '--tracking', server.url);
    assert.equal(code, 0, stderr);
  }
  const read = JSON.parse(await python('read', join(out, 'train'))) as Record<string, [number, number, string][]>; // why: the script beside this file prints it
  assert.deepEqual(Object.keys(read).toSorted(), ['acc/top1', 'loss _new_']);
  assert.equal(read['acc/top1']?.length, 1000);
  const [step, timeMs, value] = read['acc/top1']?.[500] ?? [0, 0, ''];
  assert.deepEqual([step, timeMs, Math.fround(Number(value))], [500, 1700000500500, 0.5]);
});

test('import tensorboard takes what comes before a torn or damaged end, and into a run that is named', async () => {
  const file = findFile();
  const whole = readFileSync(file);
  const answer = await fetch(`${server.url}/api/2.0/mlflow/runs/create`, {
    method: 'POST',
    body: '{"experiment_id":"0"}',
  });
  const { run } = (await answer.json()) as { run: { info: { run_id: string } } }; // why: as above
  writeFileSync(file, whole.subarray(0, whole.length - 10));
  const torn = await importLogs('--run', run.info.run_id);
  assert.deepEqual([torn.points, torn.problems.length], [4000, 0]);
  assert.equal(await countPoints(run.info.run_id, 'acc/top1'), 1000);
  const damaged = Buffer.from(whole);
  damaged.writeUInt8((damaged.at(whole.length >> 1) ?? 0) ^ 0xff, whole.length >> 1);
  writeFileSync(file, damaged);
  const { problems } = await importLogs('--experiment', 'damaged');
  assert.match(
    problems[0]?.message ?? '',
    /the checksum of a (record|length) is wrong at byte \d+, what follows is lost/,
  );
  writeFileSync(file, whole);
  appendFileSync(file, Buffer.alloc(5));
  assert.deepEqual((await importLogs('--experiment', 'damaged')).problems, []);
});

test('import tensorboard says when there is nothing', async () => {
  const { code, stderr } = await athanor.run('import', 'tensorboard', home + '/nowhere', '--tracking', server.url);
  assert.equal(code, 3);
  assert.match(stderr, /there is no such folder/);
});
