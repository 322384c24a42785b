/** Writing to tracking: 20 clients log batches of 10 metrics to runs of their own, each batch acknowledged before the next. */
import { Pool } from 'undici';
import { type Bench, type Figure, percentile, residentMb } from './measure.ts';
import { ask, nameOf, PAIRS, withServer } from './tracking-peers.ts';

const CLIENTS = 20;
const METRICS = 10;
const WARM_UP_MS = 1_000;
const MEASURE_MS = 8_000;

/** The four pairs one after the other. PostgreSQL runs without fsync in both, SQLite as each server has it by default. */
export const bench: Bench = async () => {
  const figures: Figure[] = [];
  for (const pair of PAIRS) figures.push(...(await withServer(pair, undefined, (server) => measure(pair, server))));
  return figures;
};

async function measure(
  [owner, database]: (typeof PAIRS)[number],
  { url, pid }: { readonly url: string; readonly pid: number },
): Promise<readonly Figure[]> {
  const pool = new Pool(url, { connections: CLIENTS });
  const runIds = await Promise.all(Array.from({ length: CLIENTS }, () => startRun(url)));
  const samplesMs: number[] = [];
  let refused = 0;
  const beginMs = performance.now() + WARM_UP_MS;
  const endMs = beginMs + MEASURE_MS;
  await Promise.all(
    runIds.map(async (runId) => {
      for (let step = 0; performance.now() < endMs; step++) {
        const startedMs = performance.now();
        const isKept = await logBatch(pool, runId, step);
        if (!isKept) refused++;
        else if (startedMs >= beginMs) samplesMs.push(performance.now() - startedMs);
      }
    }),
  );
  await pool.close();
  const name = `log-batch of ${METRICS}, ${CLIENTS} clients: ${nameOf(owner, database)}`;
  const target = owner === 'ours' ? '>= 3x MLflow' : 'peer';
  return [
    { what: `${name}, rate`, value: samplesMs.length / (MEASURE_MS / 1_000), unit: '/s', target },
    {
      what: `${name}, p50`,
      value: percentile(samplesMs, 0.5),
      unit: 'ms',
      ...(owner === 'ours' && { target: '<= 18 ms' }),
    },
    { what: `${name}, p99`, value: percentile(samplesMs, 0.99), unit: 'ms' },
    ...(refused > 0 ? [{ what: `${name}, refused`, value: refused, unit: 'requests' }] : []),
    { what: `${name}, memory of the server's first process`, value: residentMb(pid), unit: 'MB' },
  ];
}

async function startRun(url: string): Promise<string> {
  const wanted = { experiment_id: '0', user_id: 'bench', start_time: 1 };
  const answer = await ask(`${url}/api/2.0/mlflow/runs/create`, wanted);
  return (JSON.parse(answer) as { run: { info: { run_id: string } } }).run.info.run_id;
}

/** False when the server refused the batch. */
async function logBatch(pool: Pool, runId: string, step: number): Promise<boolean> {
  const metrics = Array.from({ length: METRICS }, (_, index) => ({
    key: `metric-${index}`,
    value: Math.random(),
    timestamp: Date.now(),
    step,
  }));
  const { statusCode, body } = await pool.request({
    method: 'POST',
    path: '/api/2.0/mlflow/runs/log-batch',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ run_id: runId, metrics, params: [], tags: [] }),
  });
  await body.dump();
  return statusCode === 200;
}
