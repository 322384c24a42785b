/** Debian's kubectl for tests, unpacked without root into the cache. Knows apt and dpkg. */
import { execFile } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensureCachedFolder, runApt } from './cached-folder.ts';

const PACKAGE = 'kubernetes-client';

/** Path of kubectl 1.20; fetched when missing. */
export async function ensureKubectl(): Promise<string> {
  const folder = await ensureCachedFolder('kubectl-1.20', unpackKubectl);
  return join(folder, 'usr', 'bin', 'kubectl');
}

async function unpackKubectl(folder: string): Promise<void> {
  await mkdir(folder);
  await runApt(['download', PACKAGE], folder);
  const archive = (await readdir(folder)).find((name) => name.endsWith('.deb'));
  if (archive === undefined) throw new Error(`cannot find kubectl: apt-get downloaded no ${PACKAGE}`);
  await promisify(execFile)('dpkg', ['-x', join(folder, archive), folder]);
}
