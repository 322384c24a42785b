/**
 * Experiment 0 outside the default workspace. MLflow 3.17.2 has none there ("No Experiment with id=0 exists", also for
 * a run that names no experiment); here it is the workspace's own, and stays it.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { useBothDatabases } from '../../../test/both-databases.ts';
import type { TrackingServer } from '../server.ts';
import { startTestTracking } from '../test-tracking.ts';

const { home, databases } = useBothDatabases();

for (const [dialect, open] of Object.entries(databases)) {
  describe(`experiment 0 of a workspace, on ${dialect}`, () => {
    let server: TrackingServer;
    before(async () => {
      const database = await open();
      server = await startTestTracking({ home, database });
    });
    after(() => server.close());

    async function ask<T>(workspace: string, path: string, body?: object) {
      const headers = { 'x-mlflow-workspace': workspace };
      const init = body ? { method: 'POST', headers, body: JSON.stringify(body) } : { headers };
      const response = await fetch(`${server.url}/api/2.0/mlflow/${path}`, init);
      // why: each caller knows the answer's shape
      return { status: response.status, body: (await response.json()) as T };
    }
    type Run = { readonly run: { readonly info: { readonly experiment_id: string } } };
    type Experiment = { readonly experiment: Readonly<Record<'experiment_id' | 'name' | 'lifecycle_stage', string>> };

    async function startRun(workspace: string): Promise<string> {
      const { body } = await ask<Run>(workspace, 'runs/create', { experiment_id: '0', user_id: 'u', start_time: 1 });
      return body.run.info.experiment_id;
    }
    const getDefault = async (workspace: string) =>
      (await ask<Experiment>(workspace, 'experiments/get?experiment_id=0')).body.experiment;

    test('it is one, however many ask first', async () => {
      const ids = await Promise.all(Array.from({ length: 12 }, () => startRun('crowd')));
      assert.equal(new Set(ids).size, 1);
      assert.notEqual(ids[0], '0');
    });

    test('it stays the same when it is renamed, and an other that takes its name is not it', async () => {
      const id = await startRun('red');
      await ask('red', 'experiments/update', { experiment_id: '0', new_name: 'Ours' });
      assert.equal(await startRun('red'), id);
      const { body } = await ask<{ experiment_id: string }>('red', 'experiments/create', { name: 'Default' });
      assert.notEqual(body.experiment_id, id);
      assert.equal(await startRun('red'), id);
      assert.equal((await getDefault('red')).name, 'Ours');
      const found = await ask<{ runs: object[] }>('red', 'runs/search', { experiment_ids: ['0'] });
      assert.equal(found.body.runs.length, 3);
      assert.notEqual(await startRun('blue'), id);
    });

    test('one of that name that is there already is it, and it is deleted and restored as 0', async () => {
      const { body } = await ask<{ experiment_id: string }>('green', 'experiments/create', { name: 'Default' });
      assert.equal(await startRun('green'), body.experiment_id);
      assert.equal((await ask('green', 'experiments/delete', { experiment_id: '0' })).status, 200);
      assert.equal((await getDefault('green')).lifecycle_stage, 'deleted');
      const refused = await ask('green', 'runs/create', { experiment_id: '0', user_id: 'u', start_time: 1 });
      assert.equal(refused.status, 400);
      assert.equal((await ask('green', 'experiments/restore', { experiment_id: '0' })).status, 200);
      assert.equal(await startRun('green'), body.experiment_id);
      assert.equal((await getDefault('default')).lifecycle_stage, 'active');
    });
  });
}
