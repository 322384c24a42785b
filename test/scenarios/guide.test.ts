/** The guides are executed, line by line, as they stand. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TestAthanor } from '../athanor.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const COMMAND_MAX_MS = 300_000;
const athanor = new TestAthanor();
after(async () => {
  await athanor.run('down');
  await athanor.close();
});

function listCommands(path: string): readonly string[] {
  const blocks = readFileSync(join(ROOT, path), 'utf8').matchAll(/```sh\n([\s\S]*?)```/g);
  return [...blocks].flatMap(([, block = '']) => block.split('\n').filter((line) => line.trim() !== ''));
}

test('docs/guides/first-job.md runs as it stands', () => {
  const commands = listCommands('docs/guides/first-job.md');
  assert.ok(commands.length >= 10);
  const printed = commands.map((command) => {
    const { status, stdout, stderr } = spawnSync('sh', ['-c', command], {
      cwd: ROOT,
      env: athanor.env,
      encoding: 'utf8',
      timeout: COMMAND_MAX_MS,
    });
    assert.equal(status, 0, `${command}\n${stdout}${stderr}`);
    return stdout;
  });
  assert.match(printed.join(''), /hello from rank 1 of 2/);
  assert.match(printed.join(''), /"files": 1/);
});
