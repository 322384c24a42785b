/** The disk fills up while people work: every write says so, reads go on, nothing acknowledged is lost, work resumes. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readKubeconfig } from '../../src/cli/kubeconfig.ts';
import { createClient } from '../../src/client/client.ts';
import type { ApiClient } from '../../src/client/types.ts';
import type { ConfigMap } from '../../src/kube/pod.ts';
import { isStatusError } from '../../src/kube/status-error.ts';
import { WELL_KNOWN } from '../../src/kube/well-known.ts';
import { eventually, TestAthanor } from '../athanor.ts';
import { fillDisk, findSmallDisk, runOnSmallDisk } from '../small-disk.ts';

const DISK_BYTES = 64 * 1024 * 1024;
const MAPS = WELL_KNOWN.ConfigMap;
/** A writer has seen enough when it has been refused so often. */
const REFUSALS = 5;
const FULL = /the disk( of the database)? is full, make room and try again/;

const disk = findSmallDisk();
if (disk === undefined) test('on a small disk', () => runOnSmallDisk(import.meta.filename, DISK_BYTES));
else tellStory(disk);

interface Run {
  readonly id: string;
  readonly losses: readonly number[];
}

/** What was acknowledged, and so must never be lost. */
interface Kept {
  readonly maps: string[];
  readonly digests: string[];
  readonly runs: Run[];
}

function tellStory(home: string): void {
  const athanor = new TestAthanor(join(home, 'home'));
  const scratch = mkdtempSync('/var/tmp/athanor-full-'); // why: a pod has a /tmp of its own
  const kept: Kept = { maps: [], digests: [], runs: [] };
  let ballast = { free: () => undefined as void };
  let client: ApiClient;
  const connect = () => createClient(readKubeconfig(join(athanor.home, 'kubeconfig'), 'full-disk'));
  before(async () => {
    mkdirSync(athanor.home);
    await athanor.up();
    client = connect();
  });
  after(async () => {
    await client.close();
    await athanor.close();
    rmSync(scratch, { recursive: true, force: true });
  });

  test('while the disk fills, every door names it, and the job that talks on is not disturbed', async () => {
    await startTalker(athanor, scratch);
    const { tracking } = await athanor.endpoints();
    const writers = [writeMaps(client, 'first', kept), writeRuns(tracking, kept), pushFolders(athanor, scratch, kept)];
    await Promise.all(Array.from({ length: 3 }, (_, index) => client.create(MAPS, map(`early-${index}`))));
    ballast = fillDisk(home);
    await Promise.all(writers);
    await checkKept(athanor, client, kept);
    const { code, stderr } = await athanor.run('apply', '-f', writeManifest(scratch));
    assert.deepEqual([code, FULL.test(stderr)], [1, true], stderr);
    assert.equal((await athanor.run('status')).code, 0);
  });

  test('a job that ends meanwhile is told as ended once there is room, and everything can be written again', async () => {
    writeFileSync(join(scratch, 'end'), '');
    await eventually('the job to end', () => existsSync(join(scratch, 'ended')) || undefined);
    ballast.free();
    await client.create(MAPS, map('between'));
    kept.maps.push('between');
    await logRun((await athanor.endpoints()).tracking, kept);
    await push(athanor, scratch, kept);
    const { code, stderr } = await athanor.run('wait', 'tj/talker', '--for', 'complete', '--timeout', '60s');
    assert.equal(code, 0, stderr);
    const more = await athanor.run('run', '--name', 'more', join(scratch, 'more.py'));
    assert.equal(more.code, 0, more.stderr);
    await checkKept(athanor, client, kept);
    assert.ok(athanor.log().includes('ENOSPC'), 'the log tells what happened');
  });

  test('after kill -9 on the full disk, up says what is wrong or starts, and with room all is there', async () => {
    ballast = fillDisk(home);
    await Promise.all([writeMaps(client, 'second', kept), writeRuns((await athanor.endpoints()).tracking, kept)]);
    await client.close();
    await athanor.end('SIGKILL');
    ballast.free();
    ballast = fillDisk(home);
    await athanor.up().catch((error: unknown) => assert.match(String(error), FULL));
    await athanor.end('SIGKILL');
    ballast.free();
    await athanor.up();
    client = connect();
    await checkKept(athanor, client, kept);
    await client.create(MAPS, map('last'));
    await logRun((await athanor.endpoints()).tracking, kept);
    await push(athanor, scratch, kept);
  });
}

function map(name: string): ConfigMap {
  const metadata = { name, namespace: 'default' };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { name, text: name.repeat(8_000) } };
}

function writeManifest(scratch: string): string {
  const path = join(scratch, 'map.json');
  writeFileSync(path, JSON.stringify(map('refused')));
  return path;
}

/** A job that prints all the time until it is told to end, and one that ends at once. */
async function startTalker(athanor: TestAthanor, scratch: string): Promise<void> {
  const end = join(scratch, 'end');
  const talk = [
    'import os, time',
    `while not os.path.exists('${end}'):`,
    "  print('x' * 1000, flush=True)",
    '  time.sleep(0.01)',
    `open('${end}ed', 'w')`,
    '',
  ].join('\n');
  writeFileSync(join(scratch, 'talker.py'), talk);
  writeFileSync(join(scratch, 'more.py'), "print('more')\n");
  const { code, stderr } = await athanor.run('run', '--detach', '--name', 'talker', join(scratch, 'talker.py'));
  assert.equal(code, 0, stderr);
  await eventually('the job to talk', async () => {
    const { stdout } = await athanor.run('logs', 'tj/talker', '--tail', '1');
    return stdout.includes('x') ? true : undefined;
  });
}

/** Repeats a write until it has been refused often enough. */
async function untilRefused(write: (index: number) => Promise<boolean>): Promise<void> {
  for (let index = 0, refusals = 0; refusals < REFUSALS; index++) if (!(await write(index))) refusals++;
}

async function writeMaps(client: ApiClient, prefix: string, { maps }: Kept): Promise<void> {
  await untilRefused(async (index) => {
    const name = `${prefix}-${index}`;
    try {
      await client.create(MAPS, map(name));
      maps.push(name);
      return true;
    } catch (error) {
      assert.ok(isStatusError(error, 'InsufficientStorage'), String(error));
      assert.match(error.message, FULL);
      return false;
    }
  });
}

interface MlflowError {
  readonly error_code: string;
  readonly message: string;
}

/** The answer, or undefined when the disk is full and the server says so. */
async function post<T>(url: string, body: unknown): Promise<T | undefined> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  if (response.status === 200) return (await response.json()) as T;
  const { error_code, message } = (await response.json()) as MlflowError;
  assert.deepEqual([response.status, error_code], [507, 'RESOURCE_EXHAUSTED'], message);
  assert.match(message, FULL);
  return undefined;
}

async function startRun(tracking: string, { runs }: Kept): Promise<{ id: string; losses: number[] } | undefined> {
  const tags = [{ key: 'ballast', value: 'x'.repeat(4_000) }];
  const request = { experiment_id: '0', start_time: 1, tags };
  const made = await post<{ run: { info: { run_id: string } } }>(`${tracking}/api/2.0/mlflow/runs/create`, request);
  if (made === undefined) return undefined;
  const run = { id: made.run.info.run_id, losses: [] };
  runs.push(run);
  return run;
}

/** One run with a metric; both have to be acknowledged. */
async function logRun(tracking: string, kept: Kept): Promise<void> {
  const run = await startRun(tracking, kept);
  assert.ok(run !== undefined && (await logLoss(tracking, run, 0)));
}

async function logLoss(tracking: string, run: { id: string; losses: number[] }, step: number): Promise<boolean> {
  const value = step / 2;
  const metric = { run_id: run.id, key: 'loss', value, timestamp: step + 1, step };
  if ((await post(`${tracking}/api/2.0/mlflow/runs/log-metric`, metric)) === undefined) return false;
  run.losses.push(value);
  return true;
}

async function writeRuns(tracking: string, kept: Kept): Promise<void> {
  const first = await eventually('a run to log to', () =>
    startRun(tracking, kept).then((run) => run ?? kept.runs.at(-1)),
  );
  const run = first as { id: string; losses: number[] }; // why: made by startRun
  await untilRefused((step) => logLoss(tracking, run, run.losses.length + step));
  await untilRefused(async () => (await startRun(tracking, kept)) !== undefined);
}

let pushes = 0;

async function push(
  athanor: TestAthanor,
  scratch: string,
  { digests }: Kept,
): Promise<{ code: number; stderr: string }> {
  const folder = join(scratch, `data-${pushes}`);
  mkdirSync(folder);
  writeFileSync(join(folder, 'rows.csv'), `${pushes++}\n`.repeat(200_000));
  const { code, stdout, stderr } = await athanor.run('push', folder);
  if (code === 0) digests.push(stdout.trim());
  return { code, stderr };
}

async function pushFolders(athanor: TestAthanor, scratch: string, kept: Kept): Promise<void> {
  await untilRefused(async () => {
    const { code, stderr } = await push(athanor, scratch, kept);
    if (code === 0) return true;
    assert.deepEqual([code, FULL.test(stderr)], [1, true], stderr);
    return false;
  });
}

/** Reads back everything that was ever acknowledged. */
async function checkKept(athanor: TestAthanor, client: ApiClient, { maps, runs, digests }: Kept): Promise<void> {
  const { items } = await client.list<ConfigMap>(MAPS, { namespace: 'default' });
  const found = new Map(items.map(({ metadata, data }) => [metadata.name, data]));
  for (const name of maps) assert.deepEqual(found.get(name), map(name).data, name);
  const { tracking } = await athanor.endpoints();
  for (const { id, losses } of runs) assert.deepEqual(await readLosses(tracking, id), losses, id);
  const target = mkdtempSync(join(tmpdir(), 'athanor-pull-'));
  for (const digest of digests) {
    const { code, stderr } = await athanor.run('pull', digest, join(target, digest));
    assert.equal(code, 0, stderr);
    assert.ok(readFileSync(join(target, digest, 'rows.csv')).length >= 400_000);
  }
  rmSync(target, { recursive: true });
}

async function readLosses(tracking: string, id: string): Promise<readonly number[]> {
  const query = `run_id=${id}&metric_key=loss&max_results=25000`;
  const response = await fetch(`${tracking}/api/2.0/mlflow/metrics/get-history?${query}`);
  assert.equal(response.status, 200, await response.clone().text());
  const { metrics = [] } = (await response.json()) as { metrics?: readonly { readonly value: number }[] };
  return metrics.map(({ value }) => value);
}
