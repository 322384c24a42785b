/** Virtual environments for tests, made once per list of requirements and shared. Knows uv and pip. */
import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const INSTALL_TIMEOUT_MS = 600_000;

/** A virtual environment's interpreter. */
export interface TestVenv {
  readonly python: string;
}

/**
 * The environment with these requirements, made when missing. Whoever asks first, in whichever process, makes it beside
 * its place and renames it there; who comes second throws its own away.
 */
export async function ensureVenv(requirements: readonly string[]): Promise<TestVenv> {
  const key = createHash('sha256').update(JSON.stringify(requirements.toSorted())).digest('hex').slice(0, 16);
  const parent = join(process.env['ATHANOR_TEST_CACHE'] ?? join(homedir(), '.cache', 'athanor'), 'test-venvs');
  const folder = join(parent, key);
  const python = join(folder, 'bin', 'python');
  if (existsSync(python)) return { python };
  await mkdir(parent, { recursive: true });
  const arriving = join(parent, `.arriving-${randomUUID()}`);
  try {
    await make(arriving, requirements);
    await rename(arriving, folder);
  } catch (error) {
    // Another test was quicker; only then is the place taken.
    if (!existsSync(python)) throw error;
  } finally {
    await rm(arriving, { recursive: true, force: true });
  }
  return { python };
}

async function make(folder: string, requirements: readonly string[]): Promise<void> {
  const timeout = INSTALL_TIMEOUT_MS;
  // bin/python is a link to the interpreter, so that it works after the folder is renamed; scripts would not.
  if (await hasUv()) {
    await run('uv', ['venv', '--quiet', folder], { timeout });
    const python = join(folder, 'bin', 'python');
    await run('uv', ['pip', 'install', '--quiet', '--python', python, ...requirements], { timeout });
    return;
  }
  await run('python3', ['-m', 'venv', folder], { timeout }).catch((cause: unknown) => {
    throw new Error('cannot make a virtual environment: run `apt-get install python3-venv`', { cause });
  });
  const flags = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...requirements];
  await run(join(folder, 'bin', 'python'), flags, { timeout });
}

async function hasUv(): Promise<boolean> {
  return run('uv', ['--version']).then(
    () => true,
    () => false,
  );
}
