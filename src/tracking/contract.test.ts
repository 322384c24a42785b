/** What tracking's rows promise below HTTP, on SQLite and on a real PostgreSQL, mostly when many ask at once. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { sql } from 'kysely';
import { useBothDatabases } from '../../test/both-databases.ts';
import { openFolderStore } from '../blobs/folder-store.ts';
import { isStatusError } from '../kube/status-error.ts';
import { migrate } from '../sql/migrate.ts';
import { type Database, type DatabaseOptions, openDatabase } from '../sql/open-database.ts';
import { trackingMigrations } from './migrations.ts';
import { createVersion, searchVersions } from './models/model-versions.ts';
import { createModel, deleteModel } from './models/registered-models.ts';
import type { Page } from './page-token.ts';
import { createExperiment, ensureDefaultExperiment, getExperiment, searchExperiments } from './runs/experiments.ts';
import { readHistory } from './runs/metric-history.ts';
import { readLatest } from './runs/metrics.ts';
import { getRun, RUN_TARGET, searchRuns } from './runs/run-view.ts';
import { createRun, logBatch } from './runs/runs.ts';
import type { TrackingSchema } from './schema.ts';
import { findBest } from './search/search-shortcuts.ts';
import { newTestId, testClock } from './test-tracking.ts';
import type { Tracking } from './tracking.ts';

const AT_ONCE = 16;
const PAGE = { offset: 0, limit: 100 };
const ALL = { filter: '', orderBy: [], view: 'ALL', page: PAGE } as const;
const NONE = { metrics: [], params: [], tags: [] };
const VERSION = {
  status: 'READY',
  source: 'x',
  runId: '',
  runLink: '',
  modelId: '',
  description: '',
  userId: 'u',
  tags: [],
} as const;

const { home, databases } = useBothDatabases();

const promises: Record<string, (tracking: Tracking) => Promise<void>> = {
  'gives each experiment its own number': async (tracking) => {
    const make = (name: string) => createExperiment(tracking, { name, tags: [] });
    const ids = await atOnce((index) => make(`n${index}`));
    assert.equal(new Set(ids).size, AT_ONCE);
  },
  'gives one name to one of many who want it': async (tracking) => {
    const tries = await Promise.allSettled(repeat(() => createExperiment(tracking, { name: 'one', tags: [] })));
    assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1);
    for (const tried of tries) assert.ok(tried.status === 'fulfilled' || isStatusError(tried.reason, 'AlreadyExists'));
  },
  'makes the default experiment once': async (tracking) => {
    await atOnce(() => ensureDefaultExperiment(tracking));
    assert.equal((await getExperiment(tracking, '0')).name, 'Default');
  },
  'lets one of many set a parameter': async (tracking) => {
    const runId = await newRun(tracking);
    const set = (value: string) => logBatch(tracking, runId, { ...NONE, params: [{ key: 'p', value }] });
    const tries = await Promise.allSettled(Array.from({ length: AT_ONCE }, (_, index) => set(String(index))));
    const winner = tries.findIndex(({ status }) => status === 'fulfilled');
    assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.deepEqual((await getRun(tracking, runId)).data.params, [{ key: 'p', value: String(winner) }]);
  },
  'keeps the latest metric by step, time and value, in whatever order they come': async (tracking) => {
    const runId = await newRun(tracking);
    const point = (step: number) => ({ key: 'm', value: -step, timestamp: 1000 - step, step });
    await atOnce((index) => logBatch(tracking, runId, { ...NONE, metrics: [point(index), point(100 - index)] }));
    assert.deepEqual((await readLatest(tracking, [runId])).get(runId), [
      { key: 'm', value: -100, timestamp: 900, step: 100 },
    ]);
  },
  'lets batches with many keys pass each other': async (tracking) => {
    const runId = await newRun(tracking);
    const keys = Array.from({ length: 50 }, (_, index) => `k${index}`);
    const toBatch = (names: readonly string[], step: number) => ({
      metrics: names.map((key) => ({ key, value: step, timestamp: step, step })),
      params: [],
      tags: names.map((key) => ({ key, value: String(step) })),
    });
    await atOnce((index) => logBatch(tracking, runId, toBatch(index % 2 ? keys : keys.toReversed(), index)));
    assert.equal((await getRun(tracking, runId)).data.metrics.length, keys.length);
  },
  'gives metrics, parameters and tags in order of key, whatever the language of the database': async (tracking) => {
    const runId = await newRun(tracking);
    for (const key of ['b', 'B', 'a-b', 'ab', 'a']) {
      const metrics = [{ key, value: 1, timestamp: 1, step: 1 }];
      const pairs = [{ key, value: 'v' }];
      await logBatch(tracking, runId, { metrics, params: pairs, tags: pairs });
    }
    const { metrics, params, tags } = (await getRun(tracking, runId)).data;
    const ordered = ['B', 'a', 'a-b', 'ab', 'b'];
    assert.deepEqual(
      [metrics, params, tags].map((list) => list.map(({ key }) => key)),
      [ordered, ordered, [...ordered, 'mlflow.runName']],
    );
  },
  'keeps nothing of a batch with one bad part': async (tracking) => {
    const runId = await newRun(tracking);
    const metrics = [{ key: 'm', value: 1, timestamp: 1, step: 1 }];
    const bad = logBatch(tracking, runId, {
      metrics,
      params: [{ key: 'p', value: 'v' }],
      tags: [{ key: '../x', value: '' }],
    });
    await assert.rejects(bad, (error) => isStatusError(error, 'Invalid'));
    const { data } = await getRun(tracking, runId);
    assert.deepEqual([data.metrics, data.params], [[], []]);
  },
  'tells NaN from zero, also as the latest': async (tracking) => {
    const runId = await newRun(tracking);
    const point = (value: number, step: number) => ({ key: 'm', value, timestamp: 1, step });
    await logBatch(tracking, runId, { ...NONE, metrics: [point(0, 1), point(Number.NaN, 1), point(Number.NaN, 2)] });
    const { items } = await readHistory(tracking, { runId, key: 'm' }, PAGE);
    assert.deepEqual(
      items.map(({ value }) => value),
      [0, 'NaN', 'NaN'],
    );
    assert.equal((await getRun(tracking, runId)).data.metrics[0]?.value, 'NaN');
    const search = { ...ALL, filter: `metrics.m = 0 AND run_id = '${runId}'` };
    assert.deepEqual((await searchRuns(tracking, ['0'], search)).items, []);
  },
  'pages through a history without losing or repeating a point': async (tracking) => {
    const runId = await newRun(tracking);
    const metrics = Array.from({ length: 1000 }, (_, step) => ({ key: 'm', value: step, timestamp: step % 7, step }));
    await logBatch(tracking, runId, { ...NONE, metrics });
    const steps = new Set<number>();
    for (let offset = 0; offset < 1000; offset += 300) {
      const { items } = await readHistory(tracking, { runId, key: 'm' }, { offset, limit: 300 });
      for (const { step } of items) steps.add(step);
    }
    assert.equal(steps.size, 1000);
  },
  'numbers versions without gaps or twins, and forgets them with their model': async (tracking) => {
    await createModel(tracking, { name: 'model', description: '', tags: [] });
    const versions = await atOnce(() => createVersion(tracking, { ...VERSION, name: 'model' }));
    const wanted = Array.from({ length: AT_ONCE }, (_, index) => index + 1);
    assert.deepEqual(
      versions.map(({ version }) => version).sort((a, b) => a - b),
      wanted,
    );
    await deleteModel(tracking, 'model');
    assert.deepEqual((await searchVersions(tracking, ALL)).items, []);
  },
  'finds rare values and the best of a metric by index as by walking': async (tracking) => {
    const experimentId = await createExperiment(tracking, { name: 'shortcuts', tags: [] });
    const long = 'x'.repeat(100);
    for (let index = 0; index < 12; index++) {
      const { run_id } = await createRun(tracking, { experimentId, userId: 'u', tags: [], startTime: index % 4 });
      const value = index === 11 ? Number.NaN : index % 3;
      const metrics = index === 10 ? [] : [{ key: 'm', value, timestamp: 1, step: 1 }];
      await logBatch(tracking, run_id, { metrics, params: [{ key: 'p', value: `${long}${index % 2}` }], tags: [] });
    }
    const find = async (filter: string, orderBy: readonly string[] = []) => {
      const { items } = await searchRuns(tracking, [experimentId], { ...ALL, filter, orderBy });
      return items.map(({ info }) => info.run_id);
    };
    assert.equal((await find(`params.p = '${long}1'`)).length, 6);
    assert.equal((await find(`params.p = '${long}' `)).length, 0);
    assert.equal((await find('metrics.m >= 1 AND metrics.m < 2')).length, 3);
    for (const direction of ['ASC', 'DESC']) {
      const walked = await find('', [`metrics.m ${direction}`]);
      const where = sql`experiment_id = ${experimentId}`;
      const orders = [{ entity: 'metric', key: 'm', descending: direction === 'DESC' } as const];
      const best = (page: Page) => findBest(tracking, RUN_TARGET, { orders, where, page, manyMin: 1 });
      assert.deepEqual(await best({ offset: 0, limit: 5 }), walked.slice(0, 6));
      assert.deepEqual(await best({ offset: 3, limit: 5 }), walked.slice(3, 9));
      assert.equal(await best({ offset: 5, limit: 5 }), undefined);
    }
  },
  'takes LIKE literally but for its own signs': async (tracking) => {
    for (const name of ['like*a', 'likeXa', 'like\\a', 'LIKEXA']) await createExperiment(tracking, { name, tags: [] });
    const find = async (filter: string) => {
      const { items } = await searchExperiments(tracking, { ...ALL, filter, orderBy: ['name ASC'] });
      return items.map(({ name }) => name);
    };
    assert.deepEqual(await find("name LIKE 'like*_'"), ['like*a']);
    assert.deepEqual(await find("name LIKE 'like\\a'"), ['like\\a']);
    assert.deepEqual((await find("name LIKE 'like_a'")).length, 3);
    assert.deepEqual((await find("name ILIKE 'likex_'")).sort(), ['LIKEXA', 'likeXa']);
  },
};

for (const [dialect, open] of Object.entries(databases)) suite(dialect, open);

function suite(name: string, open: () => Promise<DatabaseOptions>): void {
  describe(name, () => {
    let database: Database<TrackingSchema>;
    let tracking: Tracking;
    before(async () => {
      database = openDatabase(await open());
      await migrate(database, trackingMigrations);
      const blobs = await openFolderStore(join(home, 'blobs'));
      tracking = {
        db: database.db,
        dialect: database.dialect,
        blobs,
        clock: testClock,
        newId: newTestId,
        judge: { atOnceBytes: 0, later: () => undefined },
        workspace: 'default',
      };
      await ensureDefaultExperiment(tracking);
    });
    after(() => database.close());
    for (const [sentence, check] of Object.entries(promises)) test(sentence, () => check(tracking));
  });
}

async function newRun(tracking: Tracking): Promise<string> {
  return (await createRun(tracking, { experimentId: '0', userId: 'u', tags: [] })).run_id;
}

function atOnce<T>(work: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: AT_ONCE }, (_, index) => work(index)));
}

function repeat<T>(work: () => Promise<T>): Promise<T>[] {
  return Array.from({ length: AT_ONCE }, work);
}
