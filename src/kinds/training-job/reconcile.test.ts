/** What a training job wants in each state of the world. The cases are data; `check` alone touches the code. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Condition } from '../../kube/condition.ts';
import type { World } from '../../kube/kind.ts';
import type { KubeObject, ObjectOf } from '../../kube/object.ts';
import type { ContainerState, Pod, PodPhase } from '../../kube/pod.ts';
import type { DatasetStatus } from '../dataset/kind.ts';
import { ATTEMPT_LABEL, PROGRESS_ANNOTATION, RANK_LABEL, TrainingJobSpec, type TrainingJobStatus } from './kind.ts';
import { reconcile } from './reconcile.ts';

const NOW = Date.parse('2026-01-01T12:00:00Z');
const ENDED = '2026-01-01T12:00:00Z';
const OLD = `sha256:${'0'.repeat(64)}`;
const NEW = `sha256:${'1'.repeat(64)}`;

interface Case {
  readonly spec?: object;
  readonly status?: TrainingJobStatus;
  readonly pods?: readonly Pod[];
  readonly dataset?: DatasetStatus;
  /** `Kind name` of every child, in any order. */
  readonly wantChildren: readonly string[];
  readonly wantStatus: Partial<TrainingJobStatus>;
  readonly wantReason?: Readonly<Record<string, string>>;
  readonly wantAgainInMs?: number;
  readonly wantDone?: true;
  /** Texts that must stand somewhere in the children. */
  readonly wantText?: readonly string[];
}

interface PodShape {
  readonly attempt?: number;
  readonly phase?: PodPhase;
  readonly main?: ContainerState;
  readonly init?: ContainerState;
  readonly reason?: string;
  readonly progress?: string;
  /** Why the scheduler stops it. */
  readonly stopped?: string;
}

function pod(
  name: string,
  { attempt = 0, phase = 'Running', main = {}, init, reason, progress, stopped }: PodShape = {},
): Pod {
  const rest = { ready: true, restartCount: 0, image: '', imageID: '' };
  const rank = /-(\d)/.exec(name)?.[1];
  const labels = rank === undefined ? {} : { [ATTEMPT_LABEL]: String(attempt), [RANK_LABEL]: rank };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels, ...(progress !== undefined && { annotations: { [PROGRESS_ANNOTATION]: progress } }) },
    spec: { containers: [], nodeName: 'n' },
    status: {
      phase,
      startTime: ENDED,
      containerStatuses: [{ name: 'main', state: main, ...rest }],
      ...(init && { initContainerStatuses: [{ name: 'environment', state: init, ...rest }] }),
      ...(reason !== undefined && { reason }),
      ...(stopped !== undefined && {
        conditions: [{ type: 'DisruptionTarget', status: 'True' as const, message: stopped }],
      }),
    },
  };
}

const ended = (exitCode: number, message = '', reason = exitCode === 0 ? 'Completed' : 'Error') => ({
  terminated: { exitCode, reason, message },
});
const failed = (name: string, attempt = 0): Pod =>
  pod(name, { attempt, phase: 'Failed', main: ended(3, 'Traceback\nValueError: no\n') });
const done = (name: string, attempt = 0, message = ''): Pod =>
  pod(name, { attempt, phase: 'Succeeded', main: ended(0, message) });

const account = ['ServiceAccount j', 'Role j', 'RoleBinding j'];
const gang = [...account, 'PodGroup j-0', 'Pod j-0', 'Pod j-1'];
const two = { replicas: 2 };
const overSince = (type: string): TrainingJobStatus => ({
  phase: type === 'Complete' ? 'Complete' : 'Failed',
  completionTime: '2026-01-01T11:00:00Z',
  conditions: [{ type, status: 'True' }],
});
const git = { code: { git: { url: 'https://example.com/r.git' } } };
const data = { datasets: [{ name: 'd', mountPath: '/data' }] };

const cases: Record<string, Case> = {
  'creates the gang with its group and its account': {
    spec: two,
    wantChildren: gang,
    wantStatus: { phase: 'Pending', attempt: 0, active: 0 },
    wantText: ['"minMember":2', '"name":"WORLD_SIZE","value":"2"', '"name":"RANK","value":"1"'],
  },
  'runs once every pod runs': {
    spec: two,
    pods: [pod('j-0'), pod('j-1')],
    wantChildren: gang,
    wantStatus: { phase: 'Running', active: 2, startTime: ENDED },
    wantReason: { Running: 'Running' },
  },
  'prepares while only some of them run': {
    spec: two,
    pods: [pod('j-0'), pod('j-1', { phase: 'Pending' })],
    wantChildren: gang,
    wantStatus: { phase: 'Preparing', active: 1, message: '1 of 2 pods run' },
  },
  'makes a pod again that somebody took away': {
    spec: two,
    pods: [pod('j-0')],
    wantChildren: gang,
    wantStatus: { phase: 'Preparing' },
  },
  'says what keeps a pod from starting': {
    pods: [
      pod('j-0', { phase: 'Pending', main: { waiting: { reason: 'ImageNeedsContainerRuntime', message: 'map it' } } }),
    ],
    wantChildren: [...account, 'PodGroup j-0', 'Pod j-0'],
    wantStatus: { message: 'map it' },
    wantReason: { Running: 'ImageNeedsContainerRuntime' },
  },
  'waits for a dataset that does not exist': {
    spec: data,
    wantChildren: [],
    wantStatus: { phase: 'Pending', message: 'dataset d: does not exist' },
    wantReason: { Running: 'DatasetNotReady' },
  },
  'waits for a dataset with its reason': {
    spec: data,
    dataset: { conditions: [{ type: 'Ready', status: 'False', message: 'HTTP 404' }] },
    wantChildren: [],
    wantStatus: { phase: 'Pending', message: 'dataset d: HTTP 404' },
  },
  'fixes the newest version of its dataset': {
    spec: data,
    dataset: { digest: NEW },
    wantChildren: [...account, 'PodGroup j-0', 'Pod j-0'],
    wantStatus: { datasets: [{ name: 'd', digest: NEW }] },
    wantText: [NEW],
  },
  'stays with the version it began with': {
    spec: data,
    status: { datasets: [{ name: 'd', digest: OLD }] },
    dataset: { digest: NEW },
    wantChildren: [...account, 'PodGroup j-0', 'Pod j-0'],
    wantStatus: { datasets: [{ name: 'd', digest: OLD }] },
    wantText: [OLD],
  },
  'keeps apart two versions of one dataset': {
    spec: {
      datasets: [
        { name: 'd', digest: OLD, mountPath: '/old' },
        { name: 'd', digest: NEW, mountPath: '/new' },
      ],
    },
    status: {
      datasets: [
        { name: 'd', digest: OLD },
        { name: 'd', digest: NEW },
      ],
    },
    wantChildren: [...account, 'PodGroup j-0', 'Pod j-0'],
    wantStatus: {
      datasets: [
        { name: 'd', digest: OLD },
        { name: 'd', digest: NEW },
      ],
    },
    wantText: [OLD, NEW],
  },
  'fails with the exit code and the last lines': {
    spec: two,
    pods: [failed('j-0'), pod('j-1')],
    wantChildren: ['Pod j-0'],
    wantStatus: {
      phase: 'Failed',
      exitCode: 3,
      message: 'Error, exit code 3: Traceback\nValueError: no',
      completionTime: ENDED,
    },
    wantReason: { Failed: 'Error', Running: 'Ended' },
  },
  'says which init container failed': {
    pods: [pod('j-0', { phase: 'Failed', init: ended(1, 'No matching distribution') })],
    wantChildren: ['Pod j-0'],
    wantStatus: { phase: 'Failed', message: 'Error in environment, exit code 1: No matching distribution' },
  },
  'starts again within the limit, once the rest of the gang is gone': {
    spec: { ...two, restartLimit: 1 },
    pods: [failed('j-0'), pod('j-1')],
    wantChildren: ['Pod j-0'],
    wantStatus: { phase: 'Restarting', attempt: 1, restarts: 1 },
    wantAgainInMs: 0,
  },
  'makes the next attempt beside the pods that failed': {
    spec: { ...two, restartLimit: 1 },
    status: { phase: 'Restarting', attempt: 1, restarts: 1 },
    pods: [failed('j-0')],
    wantChildren: [...account, 'PodGroup j-1', 'Pod j-0', 'Pod j-0-r1', 'Pod j-1-r1'],
    wantStatus: { phase: 'Pending', attempt: 1, restarts: 1 },
  },
  'gives up at the limit': {
    spec: { restartLimit: 1 },
    status: { attempt: 1, restarts: 1 },
    pods: [failed('j-0'), failed('j-0-r1', 1)],
    wantChildren: ['Pod j-0', 'Pod j-0-r1'],
    wantStatus: { phase: 'Failed', exitCode: 3 },
  },
  'starts again when it was stopped for others, before its pods have ended': {
    spec: { replicas: 2 },
    pods: [pod('j-0', { stopped: 'its share was taken back' }), pod('j-1', { phase: 'Failed', main: ended(143) })],
    wantChildren: ['Pod j-1'],
    wantStatus: { phase: 'Restarting', attempt: 1, restarts: 0 },
    wantReason: { Running: 'Restarting' },
    wantAgainInMs: 0,
  },
  'does not hold a lost agent against the limit': {
    pods: [pod('j-0', { phase: 'Failed', reason: 'AgentRestarted', main: ended(137, '', 'AgentRestarted') })],
    wantChildren: ['Pod j-0'],
    wantStatus: { phase: 'Restarting', attempt: 1, restarts: 0 },
    wantAgainInMs: 0,
  },
  'completes with the outputs of rank 0, and keeps every finished pod': {
    spec: { ...two, restartLimit: 1 },
    status: { attempt: 1, restarts: 1 },
    pods: [failed('j-0'), done('j-0-r1', 1, `{"digest":"${NEW}","files":2,"sizeBytes":7}`), done('j-1-r1', 1)],
    wantChildren: ['Pod j-0', 'Pod j-0-r1', 'Pod j-1-r1'],
    wantStatus: {
      phase: 'Complete',
      exitCode: 0,
      completionTime: ENDED,
      outputs: { digest: NEW, files: 2, sizeBytes: 7 },
    },
    wantReason: { Complete: 'Completed', Running: 'Ended' },
  },
  'completes without outputs when there are none to read': {
    pods: [done('j-0', 0, 'not json')],
    wantChildren: ['Pod j-0'],
    wantStatus: { phase: 'Complete' },
  },
  'keeps finished pods after the end, and no others': {
    spec: two,
    status: overSince('Failed'),
    pods: [failed('j-0'), pod('j-1')],
    wantChildren: ['Pod j-0'],
    wantStatus: { phase: 'Failed' },
  },
  'asks again when its time will be over': {
    spec: { ttlSecondsAfterFinished: 5400 },
    status: overSince('Complete'),
    pods: [done('j-0')],
    wantChildren: ['Pod j-0'],
    wantStatus: { phase: 'Complete' },
    wantAgainInMs: 1_800_000,
  },
  'goes when its time is over': {
    spec: { ttlSecondsAfterFinished: 3600 },
    status: overSince('Complete'),
    wantChildren: [],
    wantStatus: { phase: 'Complete' },
    wantDone: true,
  },
  'packs code from git first': {
    spec: git,
    wantChildren: ['Pod j-code'],
    wantStatus: { phase: 'Pending', message: 'the code of https://example.com/r.git is being packed' },
    wantReason: { Running: 'PackingCode' },
    wantText: ['https://example.com/r.git', 'HEAD'],
  },
  'runs what was packed': {
    spec: git,
    pods: [done('j-code', 0, `{"digest":"${NEW}","commit":"abc"}`)],
    wantChildren: [...account, 'PodGroup j-0', 'Pod j-0', 'Pod j-code'],
    wantStatus: { code: { digest: NEW, commit: 'abc' } },
    wantText: [NEW],
  },
  'fails when the code cannot be packed': {
    spec: git,
    pods: [pod('j-code', { phase: 'Failed', main: ended(128, 'repository not found') })],
    wantChildren: ['Pod j-code'],
    wantStatus: { phase: 'Failed', exitCode: 128, message: 'Error, exit code 128: repository not found' },
  },
  'shows the progress that rank 0 reports': {
    pods: [pod('j-0', { progress: '{"progressPercentage":40,"metrics":[{"name":"loss","value":"0.5"}]}' })],
    wantChildren: [...account, 'PodGroup j-0', 'Pod j-0'],
    wantStatus: { progress: { progressPercentage: 40, metrics: [{ name: 'loss', value: '0.5' }] } },
  },
  'takes no notice of a report that is none': {
    pods: [pod('j-0', { progress: '{"progressPercentage":400}' })],
    wantChildren: [...account, 'PodGroup j-0', 'Pod j-0'],
    wantStatus: { phase: 'Running' },
  },
  'runs an image as it is': {
    spec: { image: 'busybox', command: ['true'] },
    wantChildren: [...account, 'PodGroup j-0', 'Pod j-0'],
    wantStatus: { phase: 'Pending' },
    wantText: ['"image":"busybox","command":["true"]'],
  },
};

for (const [sentence, want] of Object.entries(cases)) test(`reconcile() ${sentence}`, () => check(want));

function check({ spec = {}, status, pods = [], dataset, ...want }: Case): void {
  const found: ObjectOf<object, DatasetStatus> | undefined = dataset && {
    apiVersion: 'athanor.dev/v1alpha1',
    kind: 'Dataset',
    metadata: { name: 'd' },
    spec: {},
    status: dataset,
  };
  const world: World = {
    nowMs: NOW,
    settings: { trackingUrl: 'http://tracking', blobsUrl: 'file:///blobs', nodeCachePath: '/cache' },
    owned: <T extends KubeObject>(_owner: KubeObject, kind: string) => (kind === 'Pod' ? pods : []) as unknown as T[],
    find: <T extends KubeObject>(kind: string) => (kind === 'Dataset' ? found : undefined) as T | undefined,
  };
  const job = {
    apiVersion: 'athanor.dev/v1alpha1',
    kind: 'TrainingJob',
    metadata: { name: 'j', namespace: 'team', uid: 'u' },
    spec: TrainingJobSpec.parse({ command: ['python', 'train.py'], ...spec }),
    ...(status && { status }),
  };
  const outcome = reconcile(job, world);
  const names = outcome.children.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  assert.deepEqual(names.toSorted(), want.wantChildren.toSorted());
  for (const [field, value] of Object.entries(want.wantStatus))
    assert.deepEqual(outcome.status[field as keyof TrainingJobStatus], value, field);
  for (const [type, reason] of Object.entries(want.wantReason ?? {})) {
    const condition = (outcome.status.conditions as readonly Condition[]).find((one) => one.type === type);
    assert.equal(condition?.reason, reason, type);
  }
  assert.equal(outcome.againInMs, want.wantAgainInMs);
  assert.equal(outcome.done, want.wantDone);
  for (const text of want.wantText ?? []) assert.ok(JSON.stringify(outcome.children).includes(text), text);
}
