/** Real programs, launched: their exit codes, signals, environment, progress and outputs. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BlobStore } from '../blobs/blob-store.ts';
import { openFolderStore } from '../blobs/folder-store.ts';
import { getTree } from '../blobs/tree.ts';
import { launch, type LaunchOptions } from './launch.ts';

const home = mkdtempSync(join(tmpdir(), 'athanor-launch-'));
let store: BlobStore;
before(async () => {
  store = await openFolderStore(join(home, 'blobs'));
});
after(() => rmSync(home, { recursive: true }));

interface Launched {
  readonly code: number;
  readonly said: readonly string[];
  readonly results: readonly unknown[];
  readonly reports: readonly unknown[];
}

async function run(command: readonly string[], more: Partial<LaunchOptions> = {}): Promise<Launched> {
  const said: string[] = [];
  const results: unknown[] = [];
  const reports: unknown[] = [];
  const code = await launch({
    command,
    environment: join(home, 'venv'),
    env: { PATH: process.env['PATH'] },
    token: undefined,
    onProgress: async (report) => void reports.push(report),
    say: (line) => said.push(line),
    writeResult: async (result) => void results.push(result),
    ...more,
  });
  return { code, said, results, reports };
}

const sh = (script: string): readonly string[] => ['sh', '-c', script];
const folder = (name: string): string => {
  mkdirSync(join(home, name), { recursive: true });
  return join(home, name);
};

const CODES: Record<string, { readonly command: readonly string[]; readonly code: number; readonly says?: RegExp }> = {
  'a program that ends well': { command: sh('exit 0'), code: 0 },
  'a program that fails': { command: sh('exit 7'), code: 7 },
  'a program that is killed': { command: sh('kill -KILL $$'), code: 137 },
  'a program that aborts': { command: sh('kill -ABRT $$'), code: 134 },
  'a program that is not there': { command: ['athanor-nothing'], code: 127, says: /^cannot start athanor-nothing: / },
  'a program that cannot be run': { command: [home], code: 126, says: /^cannot start .*EACCES/ },
};

for (const [sentence, { command, code, says }] of Object.entries(CODES)) {
  test(`launch() gives the exit code of ${sentence}`, async () => {
    const launched = await run(command);
    assert.equal(launched.code, code);
    if (says !== undefined) assert.match(launched.said.join('\n'), says);
  });
}

test('launch() puts the environment first on PATH, and gives token and progress server', async () => {
  const out = join(folder('seen'), 'env');
  mkdirSync(join(home, 'venv', 'bin'), { recursive: true });
  writeFileSync(join(home, 'venv', 'bin', 'show'), `#!/bin/sh\nenv > ${out}\n`);
  chmodSync(join(home, 'venv', 'bin', 'show'), 0o755);
  const { code } = await run(['show'], { token: 'secret' });
  assert.equal(code, 0);
  const env = readFileSync(out, 'utf8');
  assert.match(env, new RegExp(`^PATH=${join(home, 'venv', 'bin')}:`, 'm'));
  assert.match(env, new RegExp(`^VIRTUAL_ENV=${join(home, 'venv')}$`, 'm'));
  assert.match(env, /^MLFLOW_TRACKING_TOKEN=secret$/m);
  assert.match(env, /^KUBEFLOW_TRAINER_SERVER_URL=http:\/\/127\.0\.0\.1:\d+\/status$/m);
});

test('launch() passes on what the program reports', async () => {
  const script = `
    const { KUBEFLOW_TRAINER_SERVER_URL: url, KUBEFLOW_TRAINER_SERVER_TOKEN: path } = process.env;
    const authorization = 'Bearer ' + require('fs').readFileSync(path, 'utf8');
    fetch(url, { method: 'POST', headers: { authorization }, body: '{"trainerStatus":{"progressPercentage":5}}' })
      .then(({ status }) => process.exit(status === 200 ? 0 : 1));
  `;
  const { code, reports } = await run([process.execPath, '-e', script]);
  assert.deepEqual([code, reports], [0, [{ progressPercentage: 5 }]]);
});

test('launch() keeps the outputs of a program that ended well', async () => {
  const path = folder('good');
  const { code, results, said } = await run(sh(`mkdir ${path}/deep && printf model > ${path}/deep/m.onnx`), {
    outputs: { path, store },
  });
  assert.equal(code, 0);
  const [result] = results as { digest: string; files: number; sizeBytes: number }[];
  assert.deepEqual([result?.files, result?.sizeBytes], [1, 5]);
  assert.deepEqual(
    (await getTree(store, result?.digest ?? '')).files.map((file) => file.path),
    ['deep/m.onnx'],
  );
  assert.match(said.join('\n'), /^kept 1 files of .* as sha256:/);
});

test('launch() keeps nothing of a program that failed', async () => {
  const path = folder('bad');
  const { code, results } = await run(sh(`printf half > ${path}/m; exit 3`), { outputs: { path, store } });
  assert.deepEqual([code, results], [3, []]);
});

const EMPTY: Record<string, (path: string) => string> = {
  'wrote nothing': () => 'exit 0',
  'made folders only': (path) => `mkdir -p ${path}/logs/a`,
  'removed the folder': (path) => `rmdir ${path}`,
};

for (const [sentence, script] of Object.entries(EMPTY)) {
  test(`launch() does not fail a program that ${sentence}`, async () => {
    const path = folder(`empty-${sentence.replaceAll(' ', '-')}`);
    const { code, results, said } = await run(sh(script(path)), { outputs: { path, store } });
    assert.deepEqual([code, results], [0, []]);
    assert.match(said.join('\n'), /^nothing was written to .*: there are no outputs to keep$/);
  });
}

test('launch() fails when the outputs cannot be kept', async () => {
  const path = folder('link');
  await assert.rejects(run(sh(`ln -s /etc/passwd ${path}/x`), { outputs: { path, store } }), { reason: 'Invalid' });
});

test('launch() leaves no signal handler behind', async () => {
  const before = process.listenerCount('SIGTERM');
  await run(sh('exit 0'));
  assert.equal(process.listenerCount('SIGTERM'), before);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`launch() forwards ${signal}, and ends as the program does`, async () => {
    const program = `trap 'exit 42' ${signal.slice(3)}; echo ready; while kill -0 $PPID; do sleep 0.05; done`;
    const script = `
      import { launch } from ${JSON.stringify(join(import.meta.dirname, 'launch.ts'))};
      const nothing = async () => {};
      process.exitCode = await launch({ command: ['sh', '-c', ${JSON.stringify(program)}], environment: '/none',
        env: process.env, token: undefined, onProgress: nothing, say: nothing, writeResult: nothing });
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await once(child.stdout, 'data');
    const ended = once(child, 'exit');
    child.kill(signal);
    assert.deepEqual(await ended, [42, null]);
  });
}
