/** A real S3-compatible server for one test: versitygw over a folder of its own, on loopback, gone afterwards. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePort } from './free-port.ts';
import { ensureGoProgram } from './go-program.ts';

const START_MAX_MS = 30_000;
const POLL_MS = 50;
const BUCKET = 'athanor';

/** A running server with one empty bucket. */
export interface TestS3 {
  readonly endpoint: string;
  readonly access: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** As the usual variables name the credentials. */
  readonly env: Readonly<Record<string, string>>;
  /** A `BLOBS_URL` of the bucket. */
  url(prefix?: string): string;
  close(): Promise<void>;
}

/** Builds the server when it was never built (two to four minutes), starts it and waits until it answers. */
export async function startS3(): Promise<TestS3> {
  const program = await ensureGoProgram('versitygw');
  const folder = mkdtempSync(join(tmpdir(), 'athanor-s3-'));
  // The first level below the root are buckets; attributes go beside them, for not every file system keeps them.
  for (const name of [`root/${BUCKET}`, 'sidecar']) mkdirSync(join(folder, name), { recursive: true });
  const port = await findFreePort();
  const access = { accessKeyId: 'athanor-test', secretAccessKey: 'athanor-test-secret' };
  const flags = ['--port', `127.0.0.1:${port}`, '--access', access.accessKeyId, '--secret', access.secretAccessKey];
  const args = [...flags, '--quiet', 'posix', '--sidecar', join(folder, 'sidecar'), join(folder, 'root')];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += String(text)));
  const ended = once(child, 'exit');
  const close = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  const endpoint = `http://127.0.0.1:${port}`;
  const env = { AWS_ACCESS_KEY_ID: access.accessKeyId, AWS_SECRET_ACCESS_KEY: access.secretAccessKey };
  const url = (prefix = '') => `s3://${BUCKET}/${prefix}?endpoint=${encodeURIComponent(endpoint)}&pathStyle=true`;
  for (const endMs = Date.now() + START_MAX_MS; Date.now() < endMs && child.exitCode === null; await sleep(POLL_MS)) {
    const isUp = await fetch(endpoint).then(
      () => true,
      () => false,
    );
    if (isUp) return { endpoint, access, env, url, close };
  }
  await close();
  throw new Error(`cannot start the S3 server: ${said}`);
}
