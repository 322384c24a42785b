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
import { ensureDebianTorch, type TorchEnv } from '../debian-torch.ts';
import { ensureVenv } from '../python.ts';
import { MLFLOW_PEER } from './server.ts';

const SCRIPT = join(import.meta.dirname, 'autolog.py');
const TORCH_SCRIPT = join(import.meta.dirname, 'autolog-torch.py');
const TIMEOUT_MS = 300_000;
/** xgboost's usual wheel brings 300 MB for GPUs. */
const PACKAGES = [MLFLOW_PEER, 'scikit-learn', 'xgboost-cpu', 'lightgbm'];

/** The client of two years ago: that of today wants a PyTorch newer than Debian's. */
const TORCH_PACKAGES = [
  'mlflow==2.18.0',
  'scikit-learn',
  'transformers<4.42',
  'numpy<2',
  'setuptools<81',
  'psutil',
  'pip',
];

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
    assert.match(await runScript([python, SCRIPT, server.url, framework]), /all good/);
  });
}

for (const framework of ['pytorch', 'transformers']) {
  test(`autologging of ${framework} on Debian's PyTorch keeps parameters and each step's loss`, async () => {
    const { python } = await ensureVenv(TORCH_PACKAGES);
    const words = [python, TORCH_SCRIPT, server.url, framework];
    assert.match(await runScript(words, await ensureDebianTorch(python)), /all good/);
  });
}

async function runScript([python = '', ...words]: readonly string[], more: Partial<TorchEnv> = {}): Promise<string> {
  const { PATH, OPENBLAS_CORETYPE } = process.env;
  const env = { PATH, OPENBLAS_CORETYPE, HOME: home, NO_PROXY: '127.0.0.1', ...more };
  const { stdout } = await promisify(execFile)(python, words, { env, cwd: home, timeout: TIMEOUT_MS });
  return stdout;
}
