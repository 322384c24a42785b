/** `athanor simulate` on a trace, from the command line: what it prints, and what it says of bad files and flags. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TestAthanor } from './athanor.ts';

const EXAMPLES = join(import.meta.dirname, '..', 'examples', 'sharing');
const NODES = join(EXAMPLES, 'nodes.csv');
const PODS = join(EXAMPLES, 'pods.csv');
const folder = mkdtempSync(join(tmpdir(), 'athanor-simulate-'));
const athanor = new TestAthanor();
after(async () => {
  rmSync(folder, { recursive: true });
  await athanor.close();
});

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

test('simulate prints how much is held, and the same for the same seed', async () => {
  const flags = ['--nodes', NODES, '--pods', PODS, '--inflate', '1.3', '--seed', '7', '-o', 'json'];
  const [first, second] = await Promise.all([athanor.run('simulate', ...flags), athanor.run('simulate', ...flags)]);
  assert.equal(first.code, 0, first.stderr);
  assert.equal(first.stdout, second.stdout);
  const result = JSON.parse(first.stdout) as Record<string, unknown>; // why: it printed JSON
  assert.ok(Number(result['allocationRatio']) > 0.5 && Number(result['allocationRatio']) <= 1);
  assert.equal(result['policy'], 'athanor');
  assert.equal(result['devices'], 20);
  const table = await athanor.run('simulate', '--nodes', NODES, '--pods', PODS, '--policy', 'fgd');
  assert.match(table.stdout, /allocated\s+\d+\.\d\d % of the devices/);
});

const bad: Record<string, { readonly args: () => readonly string[]; readonly code: number; readonly want: RegExp }> = {
  'a file that is not there': {
    args: () => ['--nodes', 'nowhere.csv', '--pods', PODS],
    code: 3,
    want: /cannot read nowhere.csv: there is no such file/,
  },
  'a folder': { args: () => ['--nodes', folder, '--pods', PODS], code: 2, want: /it is a folder, want a CSV file/ },
  'rows that are wrong, all of them by line': {
    args: () => [
      '--nodes',
      NODES,
      '--pods',
      write('p.csv', 'name,cpu_milli,memory_mib,num_gpu,gpu_milli\na,1,1,1,1000\nb,-1,1,1,1000\nc,1,1,1,1500\n'),
    ],
    code: 1,
    want: /p.csv: line 3: cpu_milli is '-1', want .* 0 or more; line 4: gpu_milli is '1500', want .* 0 to 1000/,
  },
  'columns that are missing': {
    args: () => ['--nodes', write('n.csv', 'name,gpus\na,1\n'), '--pods', PODS],
    code: 1,
    want: /line 1: there is no column sn, cpu_milli, memory_mib, gpu, model; the columns are name, gpus/,
  },
  'a policy that nobody knows': {
    args: () => ['--nodes', NODES, '--pods', PODS, '--policy', 'magic'],
    code: 2,
    want: /cannot place by policy 'magic': want one of athanor, fgd, best-fit/,
  },
  'a seed that is no number': {
    args: () => ['--nodes', NODES, '--pods', PODS, '--seed', 'x'],
    code: 2,
    want: /--seed is 'x', want a whole number of 0 or more/,
  },
  'an inflation of nothing': {
    args: () => ['--nodes', NODES, '--pods', PODS, '--inflate', '0'],
    code: 2,
    want: /--inflate is '0', want a number of 0.01 to 100/,
  },
  'half a trace': { args: () => ['--nodes', NODES], code: 2, want: /cannot simulate a trace: --pods is missing/ },
};

for (const [what, { args, code, want }] of Object.entries(bad)) {
  test(`simulate refuses ${what}`, async () => {
    const outcome = await athanor.run('simulate', ...args());
    assert.match(outcome.stderr, want);
    assert.equal(outcome.code, code);
    assert.equal(outcome.stdout, '');
  });
}
