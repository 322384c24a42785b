/**
 * Acknowledged is kept: the server is killed in the middle of a load, and what it had acknowledged is there
 * afterwards.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { startTestTracking } from './test-tracking.ts';

const WRITERS = 4;
const KILL_AFTER = 60;
const API = '/api/2.0/mlflow';

test('kill -9 during a load of metrics loses none that was acknowledged', async () => {
  const home = mkdtempSync(join(tmpdir(), 'athanor-kill-'));
  const child = spawn(process.execPath, [join(import.meta.dirname, 'test-tracking-child.ts'), home], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const url = await readUrl(child);
    const runId = await createRun(url);
    const acknowledged = await loadUntilKilled(child, url, runId);
    assert.ok(acknowledged.length >= KILL_AFTER);
    const again = await startTestTracking({ home, database: { path: join(home, 'rows.db') } });
    const kept = await readSteps(again.url, runId).finally(() => again.close());
    assert.deepEqual(
      acknowledged.filter((step) => !kept.has(step)),
      [],
    );
  } finally {
    child.kill('SIGKILL');
    rmSync(home, { recursive: true, force: true });
  }
});

async function readUrl(child: ChildProcess): Promise<string> {
  assert.ok(child.stdout);
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => [''])]);
  assert.match(String(line), /^http:/);
  return String(line);
}

async function createRun(url: string): Promise<string> {
  const reply = await post(url, '/runs/create', { experiment_id: '0' });
  const { run } = (await reply.json()) as { run: { info: { run_id: string } } }; // why: MLflow's shape
  return run.info.run_id;
}

/** Several writers, each one step after the other; the kill hits some of them between request and answer. */
async function loadUntilKilled(child: ChildProcess, url: string, runId: string): Promise<number[]> {
  const acknowledged: number[] = [];
  const exited = once(child, 'exit');
  const write = async (writer: number) => {
    for (let step = writer; ; step += WRITERS) {
      const reply = await post(url, '/runs/log-metric', { run_id: runId, key: 'a', value: step, timestamp: 1, step });
      assert.equal(reply.status, 200);
      acknowledged.push(step);
      if (acknowledged.length === KILL_AFTER) child.kill('SIGKILL');
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
  await exited;
  for (const end of ends) assert.match(String(end.status === 'rejected' && end.reason), /fetch failed|terminated/);
  return acknowledged;
}

async function readSteps(url: string, runId: string): Promise<Set<number>> {
  const reply = await fetch(`${url}${API}/metrics/get-history?run_id=${runId}&metric_key=a`);
  const { metrics } = (await reply.json()) as { metrics: { step: number }[] }; // why: MLflow's shape
  return new Set(metrics.map(({ step }) => step));
}

function post(url: string, path: string, body: object): Promise<Response> {
  return fetch(`${url}${API}${path}`, { method: 'POST', body: JSON.stringify(body) });
}
