/** Debian's kubectl for tests, unpacked without root into the cache. Knows apt and dpkg. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PACKAGE = 'kubernetes-client';
const TIMEOUT_MS = 300_000;

/** Path of kubectl 1.20; fetched when missing. Who comes second throws its own copy away. */
export async function ensureKubectl(): Promise<string> {
  const cache = process.env['ATHANOR_TEST_CACHE'] ?? join(homedir(), '.cache', 'athanor');
  const folder = join(cache, 'kubectl-1.20');
  const kubectl = join(folder, 'usr', 'bin', 'kubectl');
  if (existsSync(kubectl)) return kubectl;
  const arriving = join(cache, `.arriving-${randomUUID()}`);
  await mkdir(arriving, { recursive: true });
  try {
    await download(arriving);
    const archive = (await readdir(arriving)).find((name) => name.endsWith('.deb'));
    if (archive === undefined) throw new Error(`cannot find kubectl: apt-get downloaded no ${PACKAGE}`);
    await run('dpkg', ['-x', join(arriving, archive), arriving], { timeout: TIMEOUT_MS });
    await rename(arriving, folder);
  } catch (error) {
    // Another test was quicker; only then is the place taken.
    if (!existsSync(kubectl)) throw error;
  } finally {
    await rm(arriving, { recursive: true, force: true });
  }
  return kubectl;
}

async function download(cwd: string): Promise<void> {
  const fetch = () => run('apt-get', ['download', PACKAGE], { cwd, timeout: TIMEOUT_MS });
  try {
    await fetch();
  } catch (error) {
    // The lists of packages may be missing or old; only root may renew them.
    if (process.getuid?.() !== 0) throw error;
    await run('apt-get', ['update'], { timeout: TIMEOUT_MS });
    await fetch();
  }
}
