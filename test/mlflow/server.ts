/** The real MLflow server from PyPI, as a peer: its own folder and port, gone afterwards. Knows its flags. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePort } from '../free-port.ts';
import { ensureVenv } from '../python.ts';

/** The version whose API ours is. */
export const MLFLOW_PEER = 'mlflow==3.17.2';

const START_MAX_MS = 120_000;
const POLL_MS = 100;

export interface MlflowServer {
  readonly url: string;
  readonly pid: number;
  close(): Promise<void>;
}

export interface MlflowServerOptions {
  /** SQLAlchemy's; default: a SQLite file of its own. */
  readonly databaseUrl?: string;
  readonly workers?: number;
}

/** Starts it on loopback and waits until it answers. @throws with what it printed when it does not */
export async function startMlflow({ databaseUrl, workers = 1 }: MlflowServerOptions = {}): Promise<MlflowServer> {
  const extras = databaseUrl === undefined ? [] : ['psycopg2-binary'];
  const { python } = await ensureVenv([MLFLOW_PEER, ...extras]);
  const folder = mkdtempSync(join(tmpdir(), 'athanor-mlflow-'));
  const port = await findFreePort();
  const flags = ['--backend-store-uri', databaseUrl ?? `sqlite:///${folder}/mlflow.db`];
  flags.push('--artifacts-destination', join(folder, 'artifacts'), '--host', '127.0.0.1', '--port', String(port));
  const child = spawn(python, ['-m', 'mlflow', 'server', ...flags, '--workers', String(workers)], {
    cwd: folder,
    // A process group of its own: the server starts workers, and all of them end with it.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      MLFLOW_SERVER_ENABLE_JOB_EXECUTION: 'false',
      // Its default of 5 refuses some of 20 clients at once.
      MLFLOW_SQLALCHEMYSTORE_POOL_SIZE: '32',
      GIT_PYTHON_REFRESH: 'quiet',
    },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += String(text)));
  const ended = once(child, 'exit');
  const close = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      process.kill(-(child.pid ?? 0), 'SIGKILL');
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  const url = `http://127.0.0.1:${port}`;
  for (const endMs = Date.now() + START_MAX_MS; Date.now() < endMs && child.exitCode === null; await sleep(POLL_MS)) {
    const isUp = await fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) return { url, pid: child.pid ?? 0, close };
  }
  await close();
  throw new Error(`cannot start the MLflow server: ${said}`);
}
