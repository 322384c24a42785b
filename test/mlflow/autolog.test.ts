/** What people mostly do with MLflow: one line, and the framework logs itself. Real frameworks, the real client, our server. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { TrackingServer } from '../../src/tracking/server.ts';
import { startTestTracking } from '../../src/tracking/test-tracking.ts';
import { ensureVenv } from '../python.ts';
import { MLFLOW_PEER } from './server.ts';

const SCRIPT = join(import.meta.dirname, 'autolog.py');
const TIMEOUT_MS = 300_000;
/** xgboost's usual wheel brings 300 MB for GPUs. */
const PACKAGES = [MLFLOW_PEER, 'scikit-learn', 'xgboost-cpu', 'lightgbm'];

const home = mkdtempSync(join(tmpdir(), 'athanor-autolog-'));
let server: TrackingServer;
before(async () => {
  server = await startTestTracking({ home, database: { path: join(home, 'rows.db') } });
});
after(async () => {
  await server.close();
  rmSync(home, { recursive: true, force: true });
});

for (const framework of ['sklearn', 'sklearn-search', 'xgboost', 'lightgbm']) {
  test(`autologging of ${framework} keeps parameters, metrics, data and a model that can be loaded again`, async () => {
    const { python } = await ensureVenv(PACKAGES);
    const env = {
      PATH: process.env['PATH'],
      HOME: home,
      NO_PROXY: '127.0.0.1',
      OPENBLAS_CORETYPE: process.env['OPENBLAS_CORETYPE'],
    };
    const { stdout } = await promisify(execFile)(python, [SCRIPT, server.url, framework], {
      env,
      cwd: home,
      timeout: TIMEOUT_MS,
    });
    assert.match(stdout, /all good/);
  });
}
