/**
 * Debian's PyTorch for tests: a build for the CPU, without the gigabytes of GPU libraries that the usual wheel needs.
 * Unpacked without root into the cache. Knows apt, dpkg and pip.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PACKAGE = 'python3-torch';
const TIMEOUT_MS = 600_000;
/** What would bring a PyTorch of its own: installed beside Debian's, without anything it asks for. */
const BESIDE = ['accelerate<0.31', 'pytorch-lightning<2.1', 'torchmetrics<1.3', 'lightning-utilities<0.16'];
const DIST_PACKAGES = join('usr', 'lib', 'python3', 'dist-packages');
/** PyTorch 1.13 has one default that Python 3.11 refuses; later releases say it the second way. */
const REFUSED = 'field(default=TensorProperties())';
const MENDED = 'field(default_factory=TensorProperties)';

/** The variables by which an interpreter finds PyTorch, PyTorch Lightning and accelerate. */
export interface TorchEnv {
  readonly PYTHONPATH: string;
  readonly LD_LIBRARY_PATH: string;
}

/** Fetched when missing, 150 MB; `python` is an interpreter of Debian's Python version, with pip. */
export async function ensureDebianTorch(python: string): Promise<TorchEnv> {
  const cache = process.env['ATHANOR_TEST_CACHE'] ?? join(homedir(), '.cache', 'athanor');
  const folder = join(cache, 'debian-torch-1');
  if (!existsSync(folder)) await fetchTorch({ cache, folder, python });
  const root = join(folder, 'root');
  const machine = (await readdir(join(root, 'usr', 'lib'))).find((name) => name.endsWith('-linux-gnu')) ?? '';
  const own = join(root, 'usr', 'lib', machine);
  const libraries = [join(root, 'usr', 'lib'), own, join(own, 'blas'), join(own, 'lapack'), join(root, 'lib', machine)];
  return { PYTHONPATH: join(folder, 'python'), LD_LIBRARY_PATH: libraries.join(':') };
}

interface Fetching {
  readonly cache: string;
  readonly folder: string;
  readonly python: string;
}

/** Made beside its place and renamed there; who comes second throws its own copy away. */
async function fetchTorch({ cache, folder, python }: Fetching): Promise<void> {
  const arriving = join(cache, `.arriving-${randomUUID()}`);
  try {
    await unpackPackages(arriving);
    await linkModules(arriving);
    const words = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--target'];
    await run(python, [...words, join(arriving, 'python'), ...BESIDE], { timeout: TIMEOUT_MS });
    await rename(arriving, folder);
  } catch (error) {
    // Another test was quicker; only then is the place taken.
    if (!existsSync(folder)) throw error;
  } finally {
    await rm(arriving, { recursive: true, force: true });
  }
}

/** The package and what it needs that this machine lacks. */
async function unpackPackages(arriving: string): Promise<void> {
  const archives = join(arriving, 'archives');
  await mkdir(join(archives, 'partial'), { recursive: true });
  const options = ['-o', 'Debug::NoLocking=1', '-o', `Dir::Cache::archives=${archives}`, '--no-install-recommends'];
  const download = () =>
    run('apt-get', ['install', '--yes', '--download-only', ...options, PACKAGE], { timeout: TIMEOUT_MS });
  try {
    await download();
  } catch (error) {
    // The lists of packages may be missing or old; only root may renew them.
    if (process.getuid?.() !== 0) throw error;
    await run('apt-get', ['update'], { timeout: TIMEOUT_MS });
    await download();
  }
  for (const name of await readdir(archives)) {
    if (name.endsWith('.deb')) await run('dpkg', ['-x', join(archives, name), join(arriving, 'root')]);
  }
  await rm(archives, { recursive: true });
}

/** PyTorch's modules alone: the other Python packages are the virtual environment's. */
async function linkModules(arriving: string): Promise<void> {
  const modules = join(arriving, 'root', DIST_PACKAGES);
  await mkdir(join(arriving, 'python'));
  for (const name of await readdir(modules)) {
    const target = join('..', 'root', DIST_PACKAGES, name);
    if (/^(torch|functorch)/.test(name)) await symlink(target, join(arriving, 'python', name));
  }
  const metadata = join(modules, 'torch', 'distributed', '_shard', 'sharded_tensor', 'metadata.py');
  await writeFile(metadata, (await readFile(metadata, 'utf8')).replace(REFUSED, MENDED));
}
