/** The unmodified MLflow client of PyPI against our server, on both databases. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { startPostgres } from '../../test/postgres.ts';
import { ensureVenv } from '../../test/python.ts';
import type { DatabaseOptions } from '../sql/open-database.ts';
import { startTestTracking } from './test-tracking.ts';

const SCRIPT = join(import.meta.dirname, 'mlflow-client.py');
const TIMEOUT_MS = 300_000;

test('the MLflow client gets what it wrote, on SQLite', () => drive({ path: ':memory:' }));

test('the MLflow client gets what it wrote, on PostgreSQL', async () => {
  const postgres = await startPostgres();
  try {
    await drive({ url: postgres.url });
  } finally {
    await postgres.close();
  }
});

async function drive(database: DatabaseOptions): Promise<void> {
  const { python } = await ensureVenv(['mlflow-skinny==3.17.2']);
  const home = mkdtempSync(join(tmpdir(), 'athanor-mlflow-'));
  const server = await startTestTracking({ home, database });
  try {
    const files = join(home, 'files');
    mkdirSync(files);
    const env = { PATH: process.env['PATH'], HOME: home, MLFLOW_HTTP_REQUEST_MAX_RETRIES: '0', NO_PROXY: '127.0.0.1' };
    const options = { env, cwd: home, timeout: TIMEOUT_MS };
    const { stdout } = await promisify(execFile)(python, [SCRIPT, server.url, files], options);
    assert.match(stdout, /all good/);
  } finally {
    await server.close();
    rmSync(home, { recursive: true, force: true });
  }
}
