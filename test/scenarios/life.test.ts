/** Up, a second up, taken ports, kill -9 at any moment, up again: nothing acknowledged is lost, no process is left. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { eventually, TestAthanor } from '../athanor.ts';

const athanor = new TestAthanor();
after(() => athanor.close());

interface Job {
  readonly status?: {
    readonly phase?: string;
    readonly attempt?: number;
    readonly restarts?: number;
    readonly exitCode?: number;
  };
}

/** Processes whose command line has the mark. */
function findProcesses(mark: string): readonly string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && commandOf(name).includes(mark));
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return ''; // why: it ended since the folder was listed
  }
}

test('a second up in the same home says so and exits', async () => {
  await athanor.up();
  const { code, stderr } = await athanor.run('up');
  assert.equal(code, 1);
  assert.match(stderr, /cannot start in .*: Athanor \(process \d+\) is running there/);
});

test('a taken port is named with the flag that changes it', async () => {
  const other = new TestAthanor();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    for (const flag of ['--kubernetes-port', '--tracking-port', '--gateway-port']) {
      const { code, stderr } = await other.run('up', flag, String(port));
      assert.equal(code, 1, stderr);
      assert.match(stderr, new RegExp(`port ${port} is taken, choose another with ${flag}`));
    }
  } finally {
    server.close();
    await other.close();
  }
});

test('status without Athanor says how to start it', async () => {
  const other = new TestAthanor();
  const { code, stdout } = await other.run('status');
  assert.equal(code, 3);
  assert.match(stdout, /nothing runs in .*athanor up/);
  await other.close();
});

test('kill -9 loses no object, run or metric, leaves no process, and the job goes on', async () => {
  const mark = `athanor-mark-${process.pid}`;
  const script = join(athanor.home, 'slow.py');
  const text = `import os, sys, time\nprint('started', flush=True)\ntime.sleep(0 if '-r' in os.environ['POD_NAME'] else 600)\n`;
  writeFileSync(script, text);
  await athanor.run('apply', '-f', await writeConfigMap());
  const { tracking } = await athanor.endpoints();
  const runId = await logMetric(tracking);
  const started = await athanor.run('run', '--detach', '--name', 'slow', script, mark);
  assert.equal(started.code, 0, started.stderr);
  await eventually('the job to run', async () => {
    const { stdout } = await athanor.run('logs', 'tj/slow');
    return stdout.includes('started') ? true : undefined;
  });
  assert.notDeepEqual(findProcesses(mark), []);
  await athanor.end('SIGKILL');
  await eventually('the processes to be gone', () => (findProcesses(mark).length === 0 ? true : undefined), 10_000);
  await athanor.up();
  assert.deepEqual((await athanor.ask<{ data: unknown }>('get', 'cm', 'kept')).data, { answer: '42' });
  assert.deepEqual(await readMetric((await athanor.endpoints()).tracking, runId), [0.5]);
  const job = await eventually('the job to end', async () => {
    const found = await athanor.ask<Job>('get', 'tj', 'slow');
    return found.status?.phase === 'Complete' || found.status?.phase === 'Failed' ? found : undefined;
  });
  assert.deepEqual(
    { phase: job.status?.phase, attempt: job.status?.attempt, restarts: job.status?.restarts },
    { phase: 'Complete', attempt: 1, restarts: 0 },
  );
});

async function writeConfigMap(): Promise<string> {
  const path = join(athanor.home, 'kept.yaml');
  writeFileSync(path, 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: kept }\ndata: { answer: "42" }\n');
  return path;
}

async function post<T>(url: string, body: unknown): Promise<T> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 200, await response.clone().text());
  return (await response.json()) as T;
}

async function logMetric(tracking: string): Promise<string> {
  const api = `${tracking}/api/2.0/mlflow/runs`;
  const { run } = await post<{ run: { info: { run_id: string } } }>(`${api}/create`, {
    experiment_id: '0',
    start_time: 1,
  });
  await post(`${api}/log-metric`, { run_id: run.info.run_id, key: 'loss', value: 0.5, timestamp: 1, step: 0 });
  return run.info.run_id;
}

async function readMetric(tracking: string, runId: string): Promise<readonly number[]> {
  const response = await fetch(`${tracking}/api/2.0/mlflow/metrics/get-history?run_id=${runId}&metric_key=loss`);
  const { metrics } = (await response.json()) as { metrics: { value: number }[] };
  return metrics.map(({ value }) => value);
}

test('down stops it and all of its pods', async () => {
  const mark = `athanor-down-${process.pid}`;
  const script = join(athanor.home, 'slow.py');
  writeFileSync(script, 'import time\ntime.sleep(600)\n');
  await athanor.run('run', '--detach', script, mark);
  await eventually('the job to run', () => (findProcesses(mark).length > 0 ? true : undefined));
  const { code, stdout } = await athanor.run('down');
  assert.equal(code, 0);
  assert.match(stdout, /Athanor is down/);
  assert.deepEqual(findProcesses(mark), []);
});
