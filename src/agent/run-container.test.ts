/** Real processes through the real runner, in each isolation this machine offers. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, test } from 'node:test';
import { until } from '../../test/until.ts';
import type { Clock } from '../base/clock.ts';
import { type Isolation, probeIsolation, TOOLS_PATH } from './isolation.ts';
import { LogWriter } from './log-writer.ts';
import { MemoryWatch } from './memory-watch.ts';
import type { Mount } from './plan-mounts.ts';
import { type RunRequest, runContainer } from './run-container.ts';

const root = mkdtempSync(`${tmpdir()}/athanor-run-`);
after(() => rmSync(root, { recursive: true, force: true }));

const clock: Clock = {
  nowMs: () => Date.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

let count = 0;

function prepare(command: readonly string[], more: Partial<RunRequest> = {}) {
  const folder = `${root}/c${++count}`;
  const path = `${folder}/0.log`;
  for (const name of ['tmp', 'data', 'secret']) mkdirSync(`${folder}/${name}`, { recursive: true });
  writeFileSync(`${folder}/secret/key`, 'hidden');
  writeFileSync(`${folder}/message`, '');
  const mounts: Mount[] = [
    { target: '/tmp', source: `${folder}/tmp`, type: 'folder', readOnly: false },
    { target: '/workspace/data', source: `${folder}/data`, type: 'folder', readOnly: false },
    { target: '/var/run/secrets/it', source: `${folder}/secret`, type: 'folder', readOnly: true },
    { target: '/dev/termination-log', source: `${folder}/message`, type: 'file', readOnly: false },
  ];
  const log = new LogWriter({ path, fileMaxBytes: 1e6, filesMax: 2, clock, onWritten() {}, onError: assert.ifError });
  const request: RunRequest = {
    folder,
    id: `test-${process.pid}-${count}`,
    mounts,
    hostName: 'pod-a',
    workingDir: '/tmp',
    env: new Map([['PATH', TOOLS_PATH]]),
    command,
    limits: {},
    log,
    ...more,
  };
  return { folder, path, request };
}

function launcherOf(isolation: Isolation) {
  return { isolation, cgroups: { version: 2 } as const, memoryWatch: new MemoryWatch(clock), hidden: [] };
}

const isolations: readonly Isolation[] = [await probeIsolation(root), { type: 'groups', hasDeathSignal: true }];

const CASES: Record<string, { script: string; exitCode: number; output: string }> = {
  'exits with the code of the command': { script: 'echo out; echo err >&2; exit 7', exitCode: 7, output: 'out,err' },
  'tells the signal as 128 + n': { script: 'kill -SEGV $$', exitCode: 139, output: '' },
  'makes the mounts visible': {
    script: 'cat /var/run/secrets/it/key; echo; echo x > /workspace/data/y; ls /workspace/data',
    exitCode: 0,
    output: 'hidden,y',
  },
  'gives it a private /tmp': { script: 'echo a > /tmp/own; ls /tmp', exitCode: 0, output: 'own' },
};

for (const isolation of isolations) {
  for (const [name, { script, exitCode, output }] of Object.entries(CASES)) {
    test(`runContainer() in ${isolation.type} ${name}`, async () => {
      const { path, request } = prepare(['sh', '-c', script]);
      const running = await runContainer(launcherOf(isolation), request);
      assert.equal((await running.exited).exitCode, exitCode);
      assert.deepEqual(readText(path).sort(), output.split(',').filter(Boolean).sort());
    });
  }

  test(`runContainer() in ${isolation.type} writes the termination message`, async () => {
    const { folder, request } = prepare(['sh', '-c', 'echo the end > /dev/termination-log']);
    await (await runContainer(launcherOf(isolation), request)).exited;
    assert.equal(readFileSync(`${folder}/message`, 'utf8'), 'the end\n');
  });

  test(`runContainer() in ${isolation.type} refuses a command that is not there`, async () => {
    const { request } = prepare(['no-such-command']);
    await assert.rejects(runContainer(launcherOf(isolation), request), /"no-such-command": executable file not found/);
  });

  test(`runContainer() in ${isolation.type} asks on SIGTERM and kills on demand`, async () => {
    const graceful = prepare(['sh', '-c', 'trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.1; done']);
    const first = await runContainer(launcherOf(isolation), graceful.request);
    await until('the graceful one is ready', () => readText(graceful.path).includes('ready'));
    first.terminate();
    assert.equal((await first.exited).exitCode, 3);
    const stubborn = prepare(['sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 0.1; done']);
    const second = await runContainer(launcherOf(isolation), stubborn.request);
    await until('the stubborn one is ready', () => readText(stubborn.path).includes('ready'));
    second.terminate();
    second.kill();
    assert.equal((await second.exited).exitCode, 137);
  });

  test(`runContainer() in ${isolation.type} kills a process tree that is over its memory limit`, async () => {
    const script = 'x=$(head -c 60000000 /dev/zero | tr "\\0" x); echo full; while :; do sleep 0.1; done';
    const { request } = prepare(['sh', '-c', script], { limits: { memoryBytes: 30_000_000 } });
    const exit = await (await runContainer(launcherOf(isolation), request)).exited;
    assert.deepEqual(exit, { exitCode: 137, isOutOfMemory: true });
  });
}

test('runContainer() in namespaces seals read-only mounts, has its own processes and name', async () => {
  const [isolation] = isolations;
  assert.equal(isolation?.type, 'namespaces', 'the machine that runs the tests gives namespaces');
  const { path, request } = prepare([
    'sh',
    '-c',
    'echo x > /var/run/secrets/it/new || echo refused; echo $PPID; hostname',
  ]);
  await (await runContainer(launcherOf(isolation), request)).exited;
  assert.deepEqual(
    readText(path).filter((line) => !line.includes('Read-only')),
    ['refused', '1', 'pod-a'],
  );
});

function readText(path: string): string[] {
  try {
    const lines = readFileSync(path, 'utf8').trim().split('\n');
    return lines.map((line) => line.split(' ').slice(3).join(' ')).filter(Boolean);
  } catch {
    return []; // not written yet
  }
}
