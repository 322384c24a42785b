/**
 * Debian's PyTorch for tests: a build for the CPU, without the gigabytes of GPU libraries that the usual wheel needs.
 * Unpacked without root into the cache. Knows apt, dpkg and pip.
 */
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensureCachedFolder, runApt } from './cached-folder.ts';

const run = promisify(execFile);
const PACKAGE = 'python3-torch';
const INSTALL_MAX_MS = 600_000;
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
  const folder = await ensureCachedFolder('debian-torch-1', async (arriving) => {
    await unpackPackages(arriving);
    await linkModules(arriving);
    const words = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--target'];
    await run(python, [...words, join(arriving, 'python'), ...BESIDE], { timeout: INSTALL_MAX_MS });
  });
  const root = join(folder, 'root');
  const machine = (await readdir(join(root, 'usr', 'lib'))).find((name) => name.endsWith('-linux-gnu')) ?? '';
  const own = join(root, 'usr', 'lib', machine);
  const libraries = [join(root, 'usr', 'lib'), own, join(own, 'blas'), join(own, 'lapack'), join(root, 'lib', machine)];
  return { PYTHONPATH: join(folder, 'python'), LD_LIBRARY_PATH: libraries.join(':') };
}

/** The package and what it needs that this machine lacks. */
async function unpackPackages(folder: string): Promise<void> {
  const archives = join(folder, 'archives');
  await mkdir(join(archives, 'partial'), { recursive: true });
  const options = ['-o', 'Debug::NoLocking=1', '-o', `Dir::Cache::archives=${archives}`, '--no-install-recommends'];
  await runApt(['install', '--yes', '--download-only', ...options, PACKAGE]);
  for (const name of await readdir(archives)) {
    if (name.endsWith('.deb')) await run('dpkg', ['-x', join(archives, name), join(folder, 'root')]);
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
