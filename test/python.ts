/** Virtual environments for tests, made once per list of requirements and shared. Knows uv and pip. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensureCachedFolder } from './cached-folder.ts';

const run = promisify(execFile);
const INSTALL_TIMEOUT_MS = 600_000;

/** A virtual environment's interpreter. */
export interface TestVenv {
  readonly python: string;
}

/** The environment with these requirements, made when missing. */
export async function ensureVenv(requirements: readonly string[]): Promise<TestVenv> {
  const key = createHash('sha256').update(JSON.stringify(requirements.toSorted())).digest('hex').slice(0, 16);
  const folder = await ensureCachedFolder(join('test-venvs', key), (arriving) => make(arriving, requirements));
  return { python: join(folder, 'bin', 'python') };
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
