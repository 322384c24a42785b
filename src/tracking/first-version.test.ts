/** Stores that Athanor's first version wrote open in today's: its rows and answers, on SQLite and on PostgreSQL. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sql } from 'kysely';
import { useBothDatabases } from '../../test/both-databases.ts';
import { type DatabaseOptions, openDatabase } from '../sql/open-database.ts';
import { startTestTracking } from './test-tracking.ts';

/** Written by that version itself, by its own API, and dumped. */
const STORE = readFileSync(join(import.meta.dirname, 'first-version.sql'), 'utf8');
const RUN_ID = '00416d80860b43a9b4acccf235f81c62';

const { home, databases } = useBothDatabases();

for (const [name, open] of Object.entries(databases)) {
  test(`a store of the first version is read on ${name}, twice`, async () => {
    const database = await open();
    await writeOldStore(database);
    for (const _ of [1, 2]) {
      const server = await startTestTracking({ home: join(home, name), database });
      try {
        await checkRows(server.url);
      } finally {
        await server.close();
      }
    }
  });
}

async function writeOldStore(options: DatabaseOptions): Promise<void> {
  const { db, close } = openDatabase(options);
  for (const statement of STORE.split(';\n').filter(Boolean)) await sql.raw(statement).execute(db);
  await close();
}

async function checkRows(url: string): Promise<void> {
  const { run } = await ask(`${url}/api/2.0/mlflow/runs/get?run_id=${RUN_ID}`);
  assert.partialDeepStrictEqual(run, {
    info: { status: 'FINISHED' },
    data: { params: [{ key: 'lr', value: '0.1' }], metrics: [{ key: 'loss', value: 'NaN', step: 2 }] },
    inputs: { dataset_inputs: [{ dataset: { name: 'digits' } }] },
  });
  const history = await ask(`${url}/api/2.0/mlflow/metrics/get-history?run_id=${RUN_ID}&metric_key=loss`);
  assert.partialDeepStrictEqual(history.metrics, [{ value: 1 }, { value: 0.5 }, { value: 'NaN' }]);
  const { experiment } = await ask(`${url}/api/2.0/mlflow/experiments/get-by-name?experiment_name=old`);
  assert.partialDeepStrictEqual(experiment, { tags: [{ key: 'team', value: 'vision' }] });
  const found = await ask(`${url}/api/2.0/mlflow/runs/search`, { experiment_ids: ['1'], filter: "params.lr = '0.1'" });
  assert.partialDeepStrictEqual(found.runs, [{ info: { run_id: RUN_ID } }]);
  const version = await ask(`${url}/api/2.0/mlflow/registered-models/alias?name=m&alias=champion`);
  assert.partialDeepStrictEqual(version.model_version, { name: 'm', version: '1' });
}

async function ask(url: string, body?: unknown): Promise<Record<string, unknown>> {
  const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(url, body === undefined ? {} : post);
  const answer = await response.text();
  assert.equal(response.status, 200, answer);
  return JSON.parse(answer);
}
