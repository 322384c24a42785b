/** The guides are executed, line by line, as they stand. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TestAthanor } from '../athanor.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const COMMAND_MAX_MS = 300_000;
/** Guide to what some of its commands print. */
const GUIDES: Readonly<Record<string, readonly RegExp[]>> = {
  'docs/guides/first-job.md': [/hello from rank 1 of 2/, /"files": 1/],
  'docs/guides/tracking.md': [
    /version 2 of model line/,
    /fast\s+line\s+FINISHED/,
    /\*\s+param\s+rate\s+0\.02\s+0\.2/,
    /loss\s+\S+\s+199\s+█/,
    /model\/line\.json/,
    /line@champion is version 2 now, nothing before/,
    /copies\/line:v2/,
    /signed models:\/line\/2: \d+ files, key [0-9a-f]{16}/,
    /pulled \S+ as copy\/1: 0 of .*, 1 signature\n/,
    /verified models:\/copy\/1: \d+ files, key [0-9a-f]{16}/,
    /made of\n {2}model\/line \(1, 2\)\n {4}training-job\/track-/,
  ],
  'docs/guides/sharing.md': [
    /simulated-0-3\s+nvidia\s+A100-SXM4-80GB\s+yes\s+100 %/,
    /speech\s+1 devices\s+-\s+4 devices\s+4 devices\s+1\s+0/,
    /rank 1 sees simulated-0-\d, 50 % of it/,
    /queue research would hold 5 of 4 devices/,
    /it will likely start in about/,
    /trainingjob\/default\/eager\s+speech\s+\d+ min\s+at once/,
    /"allocationRatio": 0\.\d+/,
    /demo\s+Active\s+vision/,
  ],
};
const homes: TestAthanor[] = [];
after(async () => {
  for (const athanor of homes) {
    await athanor.run('down');
    await athanor.close();
  }
});

function listCommands(path: string): readonly string[] {
  const blocks = readFileSync(join(ROOT, path), 'utf8').matchAll(/```sh\n([\s\S]*?)```/g);
  return [...blocks].flatMap(([, block = '']) => block.split('\n').filter((line) => line.trim() !== ''));
}

for (const [guide, wanted] of Object.entries(GUIDES)) {
  test(`${guide} runs as it stands`, () => {
    const athanor = new TestAthanor();
    homes.push(athanor);
    const commands = listCommands(guide);
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
    for (const text of wanted) assert.match(printed.join(''), text);
  });
}
