/** Versions whose files are dangerous go into quarantine, whenever they are looked through. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fetchModel } from '../src/launcher/fetch-model.ts';
import { openDatabase } from '../src/sql/open-database.ts';
import type { TrackingSchema } from '../src/tracking/schema.ts';
import type { TrackingServer } from '../src/tracking/server.ts';
import { startTestTracking } from '../src/tracking/test-tracking.ts';
import { until } from './until.ts';

const EVIL = "cposix\nsystem\n(S'echo athanor'\ntR.";
const WHY = /^model\.pkl: pickle-import: posix\.system, /;
/** More versions than one page of anything. */
const MANY = 1_200;
const home = mkdtempSync(join(tmpdir(), 'athanor-judge-'));
const database = { path: join(home, 'rows.db') };
after(() => rmSync(home, { recursive: true, force: true }));

interface Version {
  readonly version: string;
  readonly status: string;
  readonly status_message?: string;
}

async function ask(server: TrackingServer, path: string, body?: object): Promise<{ status: number; json: never }> {
  const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
  const response = await fetch(`${server.url}${path}`, init);
  return { status: response.status, json: (await response.json()) as never }; // why: each test knows the answer's shape
}

const mlflow = (server: TrackingServer, path: string, body?: object) => ask(server, `/api/2.0/mlflow/${path}`, body);

/** A run with these files below `model`; the artifact URI of that folder. */
async function newRun(server: TrackingServer, files: Readonly<Record<string, string>>) {
  const { run } = (await mlflow(server, 'runs/create', { experiment_id: '0' })).json as {
    run: { info: { run_id: string; artifact_uri: string } };
  };
  const { run_id: runId, artifact_uri: uri } = run.info;
  const path = uri.replace('mlflow-artifacts:/', '');
  const put = async (file: string, body: string) => {
    const url = `${server.url}/api/2.0/mlflow-artifacts/artifacts/${path}/model/${file}`;
    assert.equal((await fetch(url, { method: 'PUT', body })).status, 200);
  };
  for (const [file, body] of Object.entries(files)) await put(file, body);
  return { runId, source: `${uri}/model`, put };
}

async function register(
  server: TrackingServer,
  name: string,
  claim: { source: string; runId: string },
): Promise<Version> {
  await mlflow(server, 'registered-models/create', { name });
  const made = await mlflow(server, 'model-versions/create', { name, source: claim.source, run_id: claim.runId });
  assert.equal(made.status, 200, JSON.stringify(made.json));
  return (made.json as { model_version: Version }).model_version;
}

async function findVersion(server: TrackingServer, name: string, version = 1): Promise<Version> {
  const { json } = await mlflow(server, `model-versions/get?name=${name}&version=${version}`);
  return (json as { model_version: Version }).model_version;
}

const load = (server: TrackingServer, uri: string) =>
  fetchModel({ uri, target: join(home, 'target'), trackingUrl: server.url, blobsUrl: '', say: () => undefined });

async function withServer(work: (server: TrackingServer) => Promise<void>, judgeAtOnceBytes = 1024): Promise<void> {
  const server = await startTestTracking({ home, database, judgeAtOnceBytes });
  await work(server).finally(() => server.close());
}

test('a dangerous version says why, and can be neither used nor promoted', () =>
  withServer(async (server) => {
    const run = await newRun(server, { 'model.pkl': EVIL, MLmodel: 'flavors: {}' });
    const made = await register(server, 'evil', run);
    assert.equal(made.status, 'FAILED_REGISTRATION');
    assert.match(made.status_message ?? '', WHY);
    const version = { name: 'evil', version: '1' };
    const refused = {
      alias: await mlflow(server, 'registered-models/alias', { ...version, alias: 'champion' }),
      production: await mlflow(server, 'model-versions/transition-stage', { ...version, stage: 'Production' }),
      staging: await mlflow(server, 'model-versions/transition-stage', { ...version, stage: 'staging' }),
      download: await mlflow(server, 'model-versions/get-download-uri?name=evil&version=1'),
    };
    for (const { status, json } of Object.values(refused)) {
      assert.equal(status, 403);
      assert.match((json as { message: string }).message, /in quarantine: model\.pkl: pickle-import: posix\.system/);
    }
    await assert.rejects(load(server, 'models:/evil/1'), { reason: 'Forbidden', message: /posix\.system/ });
    const archived = await mlflow(server, 'model-versions/transition-stage', { ...version, stage: 'Archived' });
    assert.equal(archived.status, 200);
  }));

test('a harmless version is ready, by whatever source', () =>
  withServer(async (server) => {
    const run = await newRun(server, { 'model.txt': 'weights', 'deep/a/b.json': '{}' });
    assert.equal((await register(server, 'good', run)).status, 'READY');
    const again = await register(server, 'by-run', { ...run, source: `runs:/${run.runId}/model` });
    assert.equal(again.status, 'READY');
    const copy = await register(server, 'copy', { source: 'models:/good/1', runId: '' });
    assert.equal(copy.status, 'READY');
    const digests = await Promise.all(
      ['good', 'by-run', 'copy'].map((name) => ask(server, `/api/athanor/v1/models/${name}/versions/1`)),
    );
    const known = digests.map(({ json }) => (json as { digest: string; sizeBytes: number }) ?? {});
    assert.match(known[0]?.digest ?? '', /^sha256:[0-9a-f]{64}$/);
    assert.deepEqual(new Set(known.map(({ digest }) => digest)).size, 1);
    assert.equal(known[0]?.sizeBytes, 9);
    await load(server, 'models:/good/1');
  }));

test('a dangerous version is found by every source that leads to its files', () =>
  withServer(async (server) => {
    const run = await newRun(server, { 'model.pkl': EVIL });
    const sources = {
      a: { ...run, source: `runs:/${run.runId}/model` },
      b: { ...run, source: `${run.source}/model.pkl` },
    };
    for (const [name, claim] of Object.entries(sources)) {
      assert.equal((await register(server, `led-${name}`, claim)).status, 'FAILED_REGISTRATION', name);
    }
    const copy = await register(server, 'led-c', { source: 'models:/led-a/1', runId: '' });
    assert.equal(copy.status, 'FAILED_REGISTRATION');
  }));

test('files that change behind a version are not fetched', () =>
  withServer(async (server) => {
    const run = await newRun(server, { 'model.txt': 'weights' });
    await register(server, 'changed', run);
    await load(server, 'models:/changed/1');
    await run.put('model.pkl', EVIL);
    await assert.rejects(load(server, 'models:/changed/1'), {
      reason: 'Conflict',
      message: /not those that were registered/,
    });
  }));

test('a large version is looked through afterwards', () =>
  withServer(async (server) => {
    const padding = 'x'.repeat(5000);
    const good = await register(server, 'large', await newRun(server, { 'a.txt': padding }));
    assert.equal(good.status, 'PENDING_REGISTRATION');
    await register(server, 'large-evil', await newRun(server, { 'a.txt': padding, 'model.pkl': EVIL }));
    await until('it is ready', async () => (await findVersion(server, 'large')).status === 'READY');
    await until('it failed', async () => (await findVersion(server, 'large-evil')).status === 'FAILED_REGISTRATION');
    assert.match((await findVersion(server, 'large-evil')).status_message ?? '', WHY);
  }));

test('what was not looked through before a restart is afterwards', async () => {
  await withServer(async (server) => {
    await register(server, 'left', await newRun(server, { 'model.pkl': EVIL }));
  });
  const rows = openDatabase<TrackingSchema>(database);
  const pending = { status: 'PENDING_REGISTRATION', status_message: '', digest: null, size_bytes: null } as const;
  const left = rows.db.selectFrom('tracking_registered_models').select('model_key').where('name', '=', 'left');
  await rows.db.updateTable('tracking_model_versions').set(pending).where('model_key', 'in', left).execute();
  const first = await rows.db
    .selectFrom('tracking_model_versions')
    .selectAll()
    .where('model_key', 'in', left)
    .executeTakeFirstOrThrow();
  for (let version = 2; version <= MANY; version++) {
    await rows.db
      .insertInto('tracking_model_versions')
      .values({ ...first, version })
      .execute();
  }
  await rows.close();
  await withServer(async (server) => {
    const isJudged = async (version: number) =>
      (await findVersion(server, 'left', version)).status === 'FAILED_REGISTRATION';
    await until('the first failed', () => isJudged(1));
    await until('the last failed', () => isJudged(MANY));
  });
});
