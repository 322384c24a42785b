/** `npm test`: everything. Installs what the tests need by itself, then runs the check, all tests with coverage, and the quickstart. */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { ensurePython, installPackages } from './ensure-python.ts';

const ROOT = join(import.meta.dirname, '..');

function hasPostgres(): boolean {
  return globSync('/usr/lib/postgresql/*/bin/initdb').length > 0 || spawnSync('initdb', ['--version']).status === 0;
}

function hasProgram(name: string, ...args: string[]): boolean {
  return spawnSync(name, args).status === 0;
}

/** apt only for what is missing; says what to do where it may not install. */
function ensureSystem(): void {
  ensurePython();
  const missing = [
    ...(hasPostgres() ? [] : ['postgresql']),
    ...(hasProgram('git', '--version') ? [] : ['git']),
    ...(hasProgram('openssl', 'version') ? [] : ['openssl']),
    ...(hasProgram('unshare', '--version') ? [] : ['util-linux']),
  ];
  if (missing.length === 0) return;
  if (process.getuid?.() === 0 && installPackages(missing)) return;
  process.stderr.write(
    `error: the tests need ${missing.join(', ')}, install them: apt-get install ${missing.join(' ')}\n`,
  );
  process.exit(1);
}

function run(title: string, args: readonly string[]): void {
  process.stdout.write(`\n==> ${title}\n`);
  const { status } = spawnSync(process.execPath, args, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, NODE_NO_WARNINGS: '1' },
  });
  if (status !== 0) process.exit(status ?? 1);
}

ensureSystem();
run('check', ['tools/check.ts']);
const tests = [...globSync('src/**/*.test.ts', { cwd: ROOT }), ...globSync('test/**/*.test.ts', { cwd: ROOT })].sort();
run('all tests', [
  '--test',
  '--test-concurrency=2',
  '--test-timeout=900000',
  '--experimental-test-coverage',
  '--test-coverage-include=src/**/*.ts',
  '--test-coverage-exclude=src/**/*.test.ts',
  '--test-reporter=./tools/quiet-reporter.ts',
  ...tests,
]);
