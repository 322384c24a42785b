/** What a data set wants in each state of the world. The cases are data; `check` alone touches the code under test. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashJson } from '../../base/json.ts';
import type { World } from '../../kube/kind.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { ContainerState, Pod, PodPhase } from '../../kube/pod.ts';
import { DatasetSpec, type DatasetStatus } from './kind.ts';
import { reconcile } from './reconcile.ts';

const NOW = Date.parse('2026-01-01T12:00:00Z');
const folder = { folder: { path: '/srv/data' } };
const url = { url: { url: 'https://example.com/d.csv', sha256: 'a'.repeat(64) } };
const hashOf = (source: object) => hashJson(source).slice(0, 10);

function pod(source: object, phase: PodPhase, main: ContainerState = {}): Pod {
  const status = { name: 'main', state: main, ready: true, restartCount: 0, image: '', imageID: '' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `d-import-${hashOf(source)}` },
    spec: { containers: [] },
    status: { phase, containerStatuses: [status] },
  };
}

const imported = (digest: string): ContainerState => ({
  terminated: { exitCode: 0, message: JSON.stringify({ digest, files: 3, sizeBytes: 9 }) },
});
const version = (digest: string, source: object) => ({
  digest,
  files: 3,
  sizeBytes: 9,
  importedAt: '2026-01-01T11:00:00Z',
  source: hashOf(source),
});

interface Case {
  readonly source?: object;
  readonly status?: DatasetStatus;
  readonly pods?: readonly Pod[];
  readonly wantPods: readonly string[];
  readonly wantPhase: DatasetStatus['phase'];
  readonly wantDigest?: string;
  readonly wantVersions?: readonly string[];
  readonly wantMessage: RegExp;
  readonly wantText?: readonly string[];
}

const importOf = (source: object) => [`d-import-${hashOf(source)}`];
const cases: Record<string, Case> = {
  'imports a folder': {
    wantPods: importOf(folder),
    wantPhase: 'Pending',
    wantMessage: /waits for its pod/,
    wantText: ['"hostPath":{"path":"/srv/data","type":"Directory"}', '"--folder"'],
  },
  'imports a file by its URL, and checks its sum': {
    source: url,
    wantPods: importOf(url),
    wantPhase: 'Pending',
    wantMessage: /waits/,
    wantText: ['"--url","https://example.com/d.csv","--sha256"'],
  },
  'imports what a program writes': {
    source: { pod: { command: ['python', 'prepare.py'] } },
    wantPods: importOf(DatasetSpec.parse({ source: { pod: { command: ['python', 'prepare.py'] } } }).source),
    wantPhase: 'Pending',
    wantMessage: /waits/,
    wantText: ['"--outputs","/outputs","--","python","prepare.py"'],
  },
  'is importing while its pod runs': {
    pods: [pod(folder, 'Running')],
    wantPods: importOf(folder),
    wantPhase: 'Importing',
    wantMessage: /imports/,
  },
  'is ready with what its pod stored': {
    pods: [pod(folder, 'Succeeded', imported('sha256:a'))],
    wantPods: importOf(folder),
    wantPhase: 'Ready',
    wantDigest: 'sha256:a',
    wantVersions: ['sha256:a'],
    wantMessage: /^3 files, 9 bytes$/,
  },
  'needs no pod once its version is recorded': {
    status: { versions: [version('sha256:a', folder)] },
    wantPods: [],
    wantPhase: 'Ready',
    wantDigest: 'sha256:a',
    wantVersions: ['sha256:a'],
    wantMessage: /3 files/,
  },
  'fails with what its pod said last, and how to try again': {
    pods: [pod(folder, 'Failed', { terminated: { exitCode: 2, message: 'no such folder\n' } })],
    wantPods: importOf(folder),
    wantPhase: 'Failed',
    wantMessage: /^no such folder \(exit code 2\)\. Mend the source, or delete pod d-import-\w+ to try again$/,
  },
  'fails when its pod cannot start': {
    pods: [pod(folder, 'Pending', { waiting: { reason: 'CreateContainerConfigError', message: 'no folder' } })],
    wantPods: importOf(folder),
    wantPhase: 'Failed',
    wantMessage: /^no folder$/,
  },
  'imports a changed source anew, and keeps the version it had': {
    source: url,
    status: { versions: [version('sha256:a', folder)] },
    pods: [pod(folder, 'Succeeded', imported('sha256:a'))],
    wantPods: importOf(url),
    wantPhase: 'Pending',
    wantDigest: 'sha256:a',
    wantVersions: ['sha256:a'],
    wantMessage: /waits/,
  },
  'adds the new version after the old one': {
    source: url,
    status: { versions: [version('sha256:a', folder)] },
    pods: [pod(url, 'Succeeded', imported('sha256:b'))],
    wantPods: importOf(url),
    wantPhase: 'Ready',
    wantDigest: 'sha256:b',
    wantVersions: ['sha256:a', 'sha256:b'],
    wantMessage: /3 files/,
  },
  'goes back to the version of a source it had before': {
    status: { versions: [version('sha256:a', folder), version('sha256:b', url)] },
    wantPods: [],
    wantPhase: 'Ready',
    wantDigest: 'sha256:a',
    wantVersions: ['sha256:a', 'sha256:b'],
    wantMessage: /3 files/,
  },
};

for (const [sentence, want] of Object.entries(cases)) test(`reconcile() ${sentence}`, () => check(want));

function check({ source = folder, status, pods = [], ...want }: Case): void {
  const world: World = {
    nowMs: NOW,
    settings: { trackingUrl: 'http://tracking', blobsUrl: 's3://bucket', nodeCachePath: '/cache' },
    owned: <T extends KubeObject>() => pods as unknown as T[],
    find: () => undefined,
  };
  const dataset = {
    apiVersion: 'athanor.dev/v1alpha1',
    kind: 'Dataset',
    metadata: { name: 'd', namespace: 'team' },
    spec: DatasetSpec.parse({ source }),
    ...(status && { status }),
  };
  const outcome = reconcile(dataset, world);
  assert.deepEqual(
    outcome.children.map(({ metadata }) => metadata.name),
    want.wantPods,
  );
  assert.equal(outcome.status.phase, want.wantPhase);
  assert.equal(outcome.status.digest, want.wantDigest);
  assert.deepEqual(
    outcome.status.versions?.map(({ digest }) => digest),
    want.wantVersions ?? [],
  );
  const ready = outcome.status.conditions?.find(({ type }) => type === 'Ready');
  assert.equal(ready?.status, want.wantPhase === 'Ready' ? 'True' : 'False');
  assert.match(ready?.message ?? '', want.wantMessage);
  for (const text of want.wantText ?? []) assert.ok(JSON.stringify(outcome.children).includes(text), text);
}
