/** The unmodified MLflow client of PyPI against our server, on both databases. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { useBothDatabases } from '../../test/both-databases.ts';
import { ensureVenv } from '../../test/python.ts';
import type { DatabaseOptions } from '../sql/open-database.ts';
import { startTestTracking } from './test-tracking.ts';

/** What was current then: that client does not work with today's. */
const OLD_TELEMETRY = ['opentelemetry-api==1.28.2', 'opentelemetry-sdk==1.28.2'];
const TIMEOUT_MS = 300_000;

/** What a script does, which one, and the packages it drives. */
const DRIVES = {
  'gets what it wrote': { script: 'mlflow-client.py', packages: ['mlflow-skinny==3.17.2'] },
  'traces an application': { script: 'mlflow-traces.py', packages: ['mlflow-skinny==3.17.2'] },
  'of two years ago gets what it wrote': {
    script: 'mlflow-old-client.py',
    packages: ['mlflow-skinny==2.18.0', ...OLD_TELEMETRY],
  },
} as const;

type Drive = (typeof DRIVES)[keyof typeof DRIVES];

const { home: all, databases } = useBothDatabases();

for (const [what, plan] of Object.entries(DRIVES)) {
  for (const [dialect, open] of Object.entries(databases)) {
    test(`the MLflow client ${what}, on ${dialect}`, async () => drive(plan, await open()));
  }
}

async function drive({ script, packages }: Drive, database: DatabaseOptions): Promise<void> {
  const { python } = await ensureVenv(packages);
  const home = mkdtempSync(join(all, 'drive-'));
  const server = await startTestTracking({ home, database });
  try {
    const files = join(home, 'files');
    mkdirSync(files);
    const env = { PATH: process.env['PATH'], HOME: home, MLFLOW_HTTP_REQUEST_MAX_RETRIES: '0', NO_PROXY: '127.0.0.1' };
    const options = { env, cwd: home, timeout: TIMEOUT_MS };
    const { stdout } = await promisify(execFile)(
      python,
      [join(import.meta.dirname, script), server.url, files],
      options,
    );
    assert.match(stdout, /all good/);
  } finally {
    await server.close();
  }
}
