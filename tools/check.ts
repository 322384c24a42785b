/** `npm run check`: the only gate for a commit. Types, formatting, lint, house rules, fresh files, unit tests; about a minute. */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const bin = (name: string) => join(ROOT, 'node_modules', '.bin', name);

const STEPS: readonly (readonly [title: string, program: string, ...args: string[]])[] = [
  ['types', bin('tsc'), '-p', 'tsconfig.json'],
  ['types of the pure floors', bin('tsc'), '-p', 'tsconfig.pure.json'],
  ['format', bin('biome'), 'format', '--error-on-warnings'],
  ['lint', bin('oxlint')],
  ['generated files', process.execPath, 'tools/generate.ts', '--check'],
  ['house rules', process.execPath, '--test', '--test-reporter=dot', 'tools/tidy.test.ts'],
  ['unit tests', process.execPath, '--test', '--test-reporter=dot', '--test-concurrency=2', ...unitTests()],
];

/** Tests that need no package from a registry and no database. */
function unitTests(): readonly string[] {
  const isSlow = (path: string) => /^src\/(tracking|sql)\/|client\.test\.ts$|^src\/launcher\//.test(path);
  return globSync('src/**/*.test.ts', { cwd: ROOT })
    .filter((path) => !isSlow(path))
    .sort();
}

for (const [title, program, ...args] of STEPS) {
  const startedMs = Date.now();
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, NODE_NO_WARNINGS: '1' },
  });
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
  process.stdout.write(`${status === 0 ? 'ok  ' : 'FAIL'} ${title} (${seconds} s)\n`);
  if (status === 0) continue;
  process.stdout.write(`${stdout}${stderr}`);
  process.exit(1);
}
