/** What a training job wants in each state of the world. The cases are data; `check` alone touches the code under test. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { World } from '../../kube/kind.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { ContainerState, Pod, PodPhase } from '../../kube/pod.ts';
import { ATTEMPT_LABEL, PROGRESS_ANNOTATION, RANK_LABEL, TrainingJobSpec, type TrainingJobStatus } from './kind.ts';
import { reconcile } from './reconcile.ts';

const NOW = Date.parse('2026-01-01T12:00:00Z');
const DIGEST = `sha256:${'a'.repeat(64)}`;

interface PodCase {
  readonly rank: number;
  readonly phase: PodPhase;
  readonly attempt?: number;
  readonly ended?: NonNullable<ContainerState['terminated']>;
  readonly progress?: object;
}

interface Case {
  readonly spec?: object;
  readonly status?: TrainingJobStatus;
  readonly pods?: readonly PodCase[];
  readonly codePod?: Pod;
  readonly dataset?: object;
  readonly want: Partial<TrainingJobStatus>;
  readonly wantPods: readonly string[];
  readonly wantDone?: boolean;
}

const failed = { exitCode: 3, reason: 'Error', message: 'ValueError: no' };
const over: TrainingJobStatus = {
  phase: 'Complete',
  completionTime: '2026-01-01T11:00:00Z',
  conditions: [{ type: 'Complete', status: 'True' }],
};

const cases: Record<string, Case> = {
  'makes one pod per rank': {
    spec: { replicas: 2 },
    want: { phase: 'Pending', attempt: 0, active: 0 },
    wantPods: ['job-0', 'job-1'],
  },
  'runs when every pod runs': {
    spec: { replicas: 2 },
    pods: [
      { rank: 0, phase: 'Running' },
      { rank: 1, phase: 'Running' },
    ],
    want: { phase: 'Running', active: 2 },
    wantPods: ['job-0', 'job-1'],
  },
  'reports the progress of rank 0': {
    pods: [{ rank: 0, phase: 'Running', progress: { progressPercentage: 40 } }],
    want: { progress: { progressPercentage: 40 } },
    wantPods: ['job-0'],
  },
  'takes no progress that is none': {
    pods: [{ rank: 0, phase: 'Running', progress: { progressPercentage: 4000 } }],
    want: { progress: undefined } as never, // why: the field must be absent
    wantPods: ['job-0'],
  },
  'waits for its data and says so': {
    spec: { datasets: [{ name: 'digits', mountPath: '/data' }] },
    want: { phase: 'Pending', message: 'dataset digits: does not exist' },
    wantPods: [],
  },
  'fixes the version of its data when it starts': {
    spec: { datasets: [{ name: 'digits', mountPath: '/data' }] },
    dataset: { status: { digest: DIGEST } },
    want: { datasets: [{ name: 'digits', digest: DIGEST }] },
    wantPods: ['job-0'],
  },
  'keeps the fixed version when the data moves on': {
    spec: { datasets: [{ name: 'digits', mountPath: '/data' }] },
    status: { datasets: [{ name: 'digits', digest: 'sha256:old' }] },
    dataset: { status: { digest: DIGEST } },
    want: { datasets: [{ name: 'digits', digest: 'sha256:old' }] },
    wantPods: ['job-0'],
  },
  'packs a repository before anything else': {
    spec: { code: { git: { url: 'https://host/x.git' } } },
    want: { phase: 'Pending', message: 'the code of https://host/x.git is being packed' },
    wantPods: ['job-code'],
  },
  'fails with exit code and last lines': {
    pods: [{ rank: 0, phase: 'Failed', ended: failed }],
    want: { phase: 'Failed', exitCode: 3, message: 'Error, exit code 3: ValueError: no' },
    wantPods: ['job-0'],
  },
  'starts the whole gang again within the limit': {
    spec: { replicas: 2, restartLimit: 1 },
    pods: [
      { rank: 0, phase: 'Running' },
      { rank: 1, phase: 'Failed', ended: failed },
    ],
    want: { phase: 'Restarting', attempt: 1, restarts: 1 },
    wantPods: ['job-1'],
  },
  'gives the second attempt new pods and keeps finished ones': {
    spec: { restartLimit: 1 },
    status: { attempt: 1, restarts: 1 },
    pods: [{ rank: 0, phase: 'Failed', ended: failed }],
    want: { phase: 'Pending', attempt: 1, restarts: 1 },
    wantPods: ['job-0', 'job-0-r1'],
  },
  'does not hold a lost agent against the limit': {
    pods: [{ rank: 0, phase: 'Failed', ended: { exitCode: 137, reason: 'AgentRestarted' } }],
    want: { phase: 'Restarting', attempt: 1, restarts: 0 },
    wantPods: ['job-0'],
  },
  'completes with the outputs of rank 0': {
    spec: { outputs: {} },
    pods: [
      {
        rank: 0,
        phase: 'Succeeded',
        ended: { exitCode: 0, message: JSON.stringify({ digest: DIGEST, files: 2, sizeBytes: 9 }) },
      },
    ],
    want: { phase: 'Complete', exitCode: 0, outputs: { digest: DIGEST, files: 2, sizeBytes: 9 } },
    wantPods: ['job-0'],
  },
  'is not complete before every rank is': {
    spec: { replicas: 2 },
    pods: [
      { rank: 0, phase: 'Succeeded', ended: { exitCode: 0 } },
      { rank: 1, phase: 'Running' },
    ],
    want: { phase: 'Running', succeeded: 1 },
    wantPods: ['job-0', 'job-1'],
  },
  'stays until its time is over': {
    spec: { ttlSecondsAfterFinished: 7200 },
    status: over,
    want: { phase: 'Complete' },
    wantPods: [],
  },
  'asks to be deleted when its time is over': {
    spec: { ttlSecondsAfterFinished: 60 },
    status: over,
    want: { phase: 'Complete' },
    wantPods: [],
    wantDone: true,
  },
};

for (const [sentence, want] of Object.entries(cases)) test(`reconcile() ${sentence}`, () => check(want));

function check({ spec = {}, status, pods = [], dataset, want, wantPods, wantDone }: Case): void {
  const owned = pods.map(makePod).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const settings = { trackingUrl: 'http://127.0.0.1:1', blobsUrl: 'file:///blobs', nodeCachePath: '/cache' };
  const found = dataset && { apiVersion: 'v', kind: 'Dataset', metadata: { name: 'digits' }, ...dataset };
  const world: World = {
    nowMs: NOW,
    settings,
    owned: (_owner, kind) => (kind === 'Pod' ? owned : []) as never,
    find: () => found as never,
  };
  const job = {
    apiVersion: 'athanor.dev/v1alpha1',
    kind: 'TrainingJob',
    metadata: { name: 'job', namespace: 'team', uid: 'u' },
    spec: TrainingJobSpec.parse({ command: ['python', 'main.py'], ...spec }),
    ...(status && { status }),
  };
  const outcome = reconcile(job, world);
  for (const [field, value] of Object.entries(want))
    assert.deepEqual(outcome.status[field as keyof TrainingJobStatus], value, field);
  assert.deepEqual(
    outcome.children
      .filter(({ kind }) => kind === 'Pod')
      .map(({ metadata }) => metadata.name)
      .sort(),
    wantPods,
  );
  assert.equal(outcome.done, wantDone);
}

function makePod({ rank, phase, attempt = 0, ended, progress }: PodCase): Pod {
  const name = attempt === 0 ? `job-${rank}` : `job-${rank}-r${attempt}`;
  const state: ContainerState = ended === undefined ? { running: {} } : { terminated: ended };
  const metadata: KubeObject['metadata'] = {
    name,
    labels: { [RANK_LABEL]: String(rank), [ATTEMPT_LABEL]: String(attempt) },
    ...(progress && { annotations: { [PROGRESS_ANNOTATION]: JSON.stringify(progress) } }),
  };
  const container = { name: 'main', state, ready: false, restartCount: 0, image: 'athanor', imageID: '' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
    spec: { containers: [], nodeName: 'n' },
    status: { phase, containerStatuses: [container] },
  };
}
