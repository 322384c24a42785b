/** The log where it cannot be written, and where it can again. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { LogFile } from './log-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'athanor-log-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('LogFile appends lines in order', async () => {
  const path = join(folder, 'plain.log');
  for (const part of ['a', 'b']) {
    const log = new LogFile(path);
    for (const name of ['1', '2']) log.write(`${part}${name}\n`);
    await log.close();
  }
  assert.equal(readFileSync(path, 'utf8'), 'a1\na2\nb1\nb2\n');
});

test('LogFile loses the lines that cannot be written, counts them, and goes on', async () => {
  const path = join(folder, 'blocked.log');
  mkdirSync(path);
  const log = new LogFile(path);
  for (const name of ['1', '2', '3']) log.write(`${name}\n`);
  await log.close();
  rmdirSync(path);
  log.write('4\n');
  await log.close();
  const [cut, note = '', line] = readFileSync(path, 'utf8').split('\n');
  assert.deepEqual([cut, JSON.parse(note).lost, line], ['', 3, '4']);
});
