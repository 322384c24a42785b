/**
 * Makes sure that python3 can build virtual environments; installs Debian's packages where it may, says what to do
 * where not.
 */
import { spawnSync } from 'node:child_process';

/** Prints what it finds. Exits the process with 1 when Python cannot be had. */
export function ensurePython(): void {
  const version = spawnSync('python3', ['-c', 'import sys, venv, ensurepip; print(sys.version.split()[0])'], {
    encoding: 'utf8',
  });
  if (version.status === 0) {
    process.stdout.write(`python3 ${version.stdout.trim()}\n`);
    return;
  }
  const wanted = ['python3', 'python3-venv'];
  if (process.getuid?.() === 0 && installPackages(wanted)) return;
  process.stderr.write(
    `error: python3 with its venv module is missing, install it: apt-get install ${wanted.join(' ')}\n`,
  );
  process.exit(1);
}

/** apt-get, without questions; false when there is none or it fails. */
export function installPackages(names: readonly string[]): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { stdio: 'inherit' as const, env };
  if (spawnSync('apt-get', ['--version']).status !== 0) return false;
  process.stdout.write(`installing ${names.join(' ')}\n`);
  spawnSync('apt-get', ['update', '-q'], options);
  return spawnSync('apt-get', ['install', '-qy', '--no-install-recommends', ...names], options).status === 0;
}
