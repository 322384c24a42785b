/** Folders of downloaded things that tests share, outside the repository. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const APT_MAX_MS = 300_000;

/**
 * The folder of that name (with its version) in the cache, made when missing. Whoever asks first, in whichever process,
 * makes it beside its place and renames it there; who comes second throws its own away.
 */
export async function ensureCachedFolder(name: string, make: (folder: string) => Promise<void>): Promise<string> {
  const cache = process.env['ATHANOR_TEST_CACHE'] ?? join(homedir(), '.cache', 'athanor');
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  const parent = dirname(folder);
  await mkdir(parent, { recursive: true });
  const arriving = join(parent, `.arriving-${randomUUID()}`);
  try {
    await make(arriving);
    await rename(arriving, folder);
  } catch (error) {
    // Another test was quicker; only then is the place taken.
    if (!existsSync(folder)) throw error;
  } finally {
    await rm(arriving, { recursive: true, force: true });
  }
  return folder;
}

/** Runs apt-get. */
export async function runApt(words: readonly string[], cwd?: string): Promise<void> {
  const apt = (given: readonly string[]) => run('apt-get', [...given], { timeout: APT_MAX_MS, ...(cwd && { cwd }) });
  try {
    await apt(words);
  } catch (error) {
    // The lists of packages may be missing or old; only root may renew them.
    if (process.getuid?.() !== 0) throw error;
    await apt(['update']);
    await apt(words);
  }
}
