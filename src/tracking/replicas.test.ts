/** Two servers on one PostgreSQL, and fifty writers on one run: nothing is lost, nothing is told twice, both agree. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startPostgres, type TestPostgres } from '../../test/postgres.ts';
import type { TrackingServer } from './server.ts';
import { startTestTracking } from './test-tracking.ts';

const WRITERS = 50;
const BATCHES = 10;
const PER_BATCH = 20;

const home = mkdtempSync(join(tmpdir(), 'athanor-replicas-'));
let postgres: TestPostgres;
let replicas: readonly TrackingServer[];
let embedded: TrackingServer;

before(async () => {
  postgres = await startPostgres();
  const database = { url: postgres.url };
  // Both bring the tables up to date at once.
  replicas = await Promise.all([startTestTracking({ home, database }), startTestTracking({ home, database })]);
  embedded = await startTestTracking({ home, database: { path: join(home, 'rows.db') } });
});
after(async () => {
  for (const server of [...replicas, embedded]) await server.close();
  await postgres.close();
  rmSync(home, { recursive: true, force: true });
});

async function send<T>(server: TrackingServer | undefined, path: string, body?: object): Promise<T> {
  const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
  const response = await fetch(`${server?.url}/api/2.0/mlflow/${path}`, init);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text) as T;
}

async function startRun(server: TrackingServer | undefined): Promise<string> {
  const wanted = { experiment_id: '0', user_id: 'u', start_time: 1 };
  return (await send<{ run: { info: { run_id: string } } }>(server, 'runs/create', wanted)).run.info.run_id;
}

const placements: Readonly<Record<string, () => readonly TrackingServer[]>> = {
  'one server on SQLite': () => [embedded],
  'two servers on one PostgreSQL': () => replicas,
};

for (const [where, serversOf] of Object.entries(placements)) {
  test(`fifty writers on one run lose no metric, on ${where}`, async () => {
    const servers = serversOf();
    const run_id = await startRun(servers[0]);
    await Promise.all(
      Array.from({ length: WRITERS }, async (_, writer) => {
        for (let batch = 0; batch < BATCHES; batch++) {
          const metrics = Array.from({ length: PER_BATCH }, (_, index) => {
            const step = (writer * BATCHES + batch) * PER_BATCH + index;
            return { key: 'shared', value: step, step, timestamp: step };
          });
          const tags = [{ key: `writer-${writer}`, value: String(batch) }];
          await send(servers[writer % servers.length], 'runs/log-batch', { run_id, metrics, tags });
        }
      }),
    );
    for (const server of servers) {
      const query = `metrics/get-history?run_id=${run_id}&metric_key=shared`;
      const { metrics } = await send<{ metrics: { step: number }[] }>(server, query);
      const steps = metrics.map(({ step }) => step);
      assert.deepEqual(
        steps,
        Array.from({ length: WRITERS * BATCHES * PER_BATCH }, (_, step) => step),
      );
      const { run } = await send<{
        run: { data: { metrics: { value: number }[]; tags: { key: string; value: string }[] } };
      }>(server, `runs/get?run_id=${run_id}`);
      assert.equal(run.data.metrics[0]?.value, steps.length - 1);
      const own = run.data.tags.filter(({ key }) => key.startsWith('writer-'));
      assert.deepEqual(new Set(own.map(({ value }) => value)), new Set([String(BATCHES - 1)]));
      assert.equal(own.length, WRITERS);
    }
  });
}

test('two servers give each experiment and version its own number and one name to one of many', async () => {
  const at = (index: number) => replicas[index % replicas.length];
  const made = await Promise.all(
    Array.from({ length: 30 }, (_, index) =>
      send<{ experiment_id: string }>(at(index), 'experiments/create', { name: `n${index}` }),
    ),
  );
  assert.equal(new Set(made.map(({ experiment_id }) => experiment_id)).size, 30);
  await send(at(0), 'registered-models/create', { name: 'm' });
  const versions = await Promise.all(
    Array.from({ length: 30 }, (_, index) =>
      send<{ model_version: { version: string } }>(at(index), 'model-versions/create', {
        name: 'm',
        source: 's3://b/m',
      }),
    ),
  );
  const numbers = versions.map(({ model_version }) => Number(model_version.version)).sort((a, b) => a - b);
  assert.deepEqual(
    numbers,
    Array.from({ length: 30 }, (_, index) => index + 1),
  );
  const tries = await Promise.allSettled(
    Array.from({ length: 20 }, (_, index) => send(at(index), 'experiments/create', { name: 'the one' })),
  );
  assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1);
});

test('what one server acknowledged the other shows', async () => {
  const [first, second] = replicas;
  const run_id = await startRun(first);
  for (let value = 0; value < 20; value++) {
    await send(value % 2 ? first : second, 'runs/set-tag', { run_id, key: 'seen', value: String(value) });
    const { run } = await send<{ run: { data: { tags: { key: string; value: string }[] } } }>(
      value % 2 ? second : first,
      `runs/get?run_id=${run_id}`,
    );
    assert.equal(run.data.tags.find(({ key }) => key === 'seen')?.value, String(value));
  }
});
