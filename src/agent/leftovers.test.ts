/** A real process runs a real container and is killed: what it leaves, and how the next start tells of it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, test } from 'node:test';
import { until } from '../../test/until.ts';
import { VirtualClock } from '../base/clock.ts';
import type { ApiClient } from '../client/types.ts';
import { writeJsonFile } from './container-record.ts';
import { ContainerSlot } from './container-slot.ts';
import type { Isolation } from './isolation.ts';
import { killPodLeftovers } from './leftovers.ts';
import { MemoryWatch } from './memory-watch.ts';
import { RESTART_BACKOFF } from './options.ts';
import { PodFolder } from './pod-folder.ts';
import { findProcess, listProcesses } from './process-table.ts';

const root = mkdtempSync(`${tmpdir()}/athanor-left-`);
after(() => rmSync(root, { recursive: true, force: true }));

const namespaces: Isolation = { type: 'namespaces', isRoot: process.getuid?.() === 0 };
const CASES: Record<string, { isolation: Isolation; diesWithAgent: boolean }> = {
  'in namespaces everything dies with the agent': { isolation: namespaces, diesWithAgent: true },
  'in groups with a death signal the command dies with the agent, and the next start kills its children': {
    isolation: { type: 'groups', hasDeathSignal: true },
    diesWithAgent: true,
  },
  'in bare groups the next start kills it': {
    isolation: { type: 'groups', hasDeathSignal: false },
    diesWithAgent: false,
  },
};

/** What stands in for the agent: the runner, in a process of its own. */
const RUNNER = `
import { runContainer } from '${import.meta.dirname}/run-container.ts';
const { folder, isolation } = JSON.parse(process.argv[1]);
const consume = (pipe) => new Promise((resolve) => pipe.resume().once('close', resolve));
const log = { consume, close: async () => undefined };
const env = new Map([['PATH', process.env.PATH]]);
const launcher = { isolation, cgroups: { version: 2 }, hidden: [], memoryWatch: undefined };
const command = ['sh', '-c', 'sleep 600 & sleep 600'];
const request = { folder, id: 'x', mounts: [], hostName: 'h', workingDir: '/', env, command, limits: {}, log };
const running = await runContainer(launcher, request);
console.log(JSON.stringify({ pid: running.pid, startTicks: running.startTicks }));
`;

for (const [name, { isolation, diesWithAgent }] of Object.entries(CASES)) {
  test(`after kill -9 ${name}, and the end is told`, async () => {
    const pod = mkdtempSync(`${root}/pods-`);
    const folder = `${pod}/containers/main`;
    const args = ['--input-type=module', '-e', RUNNER, JSON.stringify({ folder, isolation })];
    const runner = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const told = JSON.parse(await readFirst(runner)) as { pid: number; startTicks: number }; // why: RUNNER prints it
    writeJsonFile(`${folder}/record.json`, { restartCount: 2, failures: 0, run: { id: 'x', startedAtMs: 5, ...told } });
    runner.kill('SIGKILL');
    await new Promise((resolve) => runner.once('exit', resolve));
    if (diesWithAgent) await until('it died with the agent', () => findProcess(told.pid) === undefined);
    else assert.notEqual(findProcess(told.pid), undefined);
    killPodLeftovers(pod);
    await until('nothing of it is left', () =>
      listProcesses().every((row) => row.pid !== told.pid && row.groupId !== told.pid),
    );
  });
}

test('ContainerSlot tells a lost container as ended by the restart, and keeps an end that was recorded', () => {
  const folder = new PodFolder(root, 'uid');
  mkdirSync(folder.container('kept'), { recursive: true });
  const run = { id: 'x', pid: 2 ** 22 + 1, startTicks: 1, startedAtMs: 5 };
  writeJsonFile(`${folder.container('lost')}/record.json`, { restartCount: 2, failures: 0, run });
  const end = { id: 'y', exitCode: 0, reason: 'Completed', startedAtMs: 1, finishedAtMs: 2 };
  writeFileSync(`${folder.container('kept')}/record.json`, JSON.stringify({ restartCount: 0, failures: 1, end }));
  const lost = slotOf(folder, 'lost').view.record;
  assert.deepEqual(
    [lost.run, lost.end?.exitCode, lost.end?.reason, lost.restartCount],
    [undefined, 137, 'AgentRestarted', 2],
  );
  assert.deepEqual(slotOf(folder, 'kept').view.record.end, end);
  assert.match(readFileSync(`${folder.container('lost')}/record.json`, 'utf8'), /AgentRestarted/);
});

function slotOf(folder: PodFolder, name: string): ContainerSlot {
  const clock = new VirtualClock(1000);
  const container = { name, image: 'x' };
  const log = { info() {}, warn() {}, error() {} };
  const client = {} as ApiClient; // why: a slot that is not started asks nothing
  const capacity = { cpuMillis: 1, memoryBytes: 1 };
  const options = { client, clock, log, nodeName: 'n', root, images: {}, capacity, authToken: '', env: {} };
  const isolation = { type: 'groups', hasDeathSignal: false } as const;
  const launcher = { isolation, cgroups: { version: 2 } as const, memoryWatch: new MemoryWatch(clock), hidden: [] };
  const context = { options, launcher, backoff: RESTART_BACKOFF, recordEvent: () => Promise.resolve() };
  const metadata = { name: 'p', namespace: 'd', uid: 'uid' };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [container] } };
  return new ContainerSlot({ context, pod, container, folder, onChange() {} });
}

function readFirst(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.stdout?.once('data', (bytes: Buffer) => resolve(bytes.toString()));
    child.once('exit', (code) => reject(new Error(`the runner ended with ${code} before its container began`)));
  });
}
