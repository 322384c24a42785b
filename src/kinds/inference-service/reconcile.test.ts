/** What an inference service wants in each state of the world. The cases are data; `check` alone touches the code. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { World } from '../../kube/kind.ts';
import type { KubeObject, ObjectOf } from '../../kube/object.ts';
import type { Pod } from '../../kube/pod.ts';
import { ServingRuntimeSpec } from '../serving-runtime/kind.ts';
import { InferenceServiceSpec, type InferenceServiceStatus } from './kind.ts';
import { reconcile } from './reconcile.ts';

const runtime: ObjectOf<ServingRuntimeSpec> = {
  apiVersion: 'athanor.dev/v1alpha1',
  kind: 'ServingRuntime',
  metadata: { name: 'onnx' },
  spec: ServingRuntimeSpec.parse({ formats: ['onnx'], image: 'athanor' }),
};

type State = 'new' | 'ready' | 'ended' | 'broken';

/** `r0`, `r1` are copies of the wanted revision, `old0` one of another. */
function pod(index: string, state: State): Pod {
  const isOld = index.startsWith('old');
  const name = isOld ? `s-${index}` : `s-${wantedRevision}-${index.slice(1)}`;
  const failed = { terminated: { exitCode: 1, reason: 'Error', message: 'not an ONNX model' } };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { 'athanor.dev/revision': isOld ? 'old' : wantedRevision } },
    spec: { containers: [] },
    status: {
      phase: state === 'ended' ? 'Failed' : 'Running',
      conditions: [{ type: 'Ready', status: state === 'ready' ? 'True' : 'False' }],
      containerStatuses: [
        {
          name: 'server',
          state: state === 'broken' ? failed : {},
          ready: state === 'ready',
          restartCount: 0,
          image: '',
          imageID: '',
        },
      ],
    },
  };
}

interface Case {
  readonly replicas?: number;
  readonly pods?: readonly (readonly [index: string, state: State])[];
  readonly withoutRuntime?: true;
  readonly wantPods: readonly string[];
  readonly wantPhase: InferenceServiceStatus['phase'];
  readonly wantMessage: RegExp;
}

const cases: Record<string, Case> = {
  'makes the copies that are missing': {
    replicas: 2,
    wantPods: ['r0', 'r1'],
    wantPhase: 'Pending',
    wantMessage: /^0 of 2 copies answer$/,
  },
  'loads while none of them answers': {
    pods: [['r0', 'new']],
    wantPods: ['r0'],
    wantPhase: 'Loading',
    wantMessage: /0 of 1/,
  },
  'is ready once one copy answers': {
    replicas: 2,
    pods: [
      ['r0', 'ready'],
      ['r1', 'new'],
    ],
    wantPods: ['r0', 'r1'],
    wantPhase: 'Ready',
    wantMessage: /^1 of 2 copies answer$/,
  },
  'keeps the old revision until the new one is ready': {
    pods: [
      ['old0', 'ready'],
      ['r0', 'new'],
    ],
    wantPods: ['r0', 'old0'],
    wantPhase: 'Loading',
    wantMessage: /0 of 1/,
  },
  'lets the old revision go then': {
    pods: [
      ['old0', 'ready'],
      ['r0', 'ready'],
    ],
    wantPods: ['r0'],
    wantPhase: 'Ready',
    wantMessage: /1 of 1/,
  },
  'keeps the old revision when the new one fails, and says why': {
    pods: [
      ['old0', 'ready'],
      ['r0', 'broken'],
    ],
    wantPods: ['r0', 'old0'],
    wantPhase: 'Failed',
    wantMessage: /not an ONNX model/,
  },
  'clears away a copy that ended, to make it again': {
    pods: [['r0', 'ended']],
    wantPods: [],
    wantPhase: 'Pending',
    wantMessage: /0 of 1/,
  },
  'lets surplus copies go': {
    pods: [
      ['r0', 'ready'],
      ['r1', 'ready'],
    ],
    wantPods: ['r0'],
    wantPhase: 'Ready',
    wantMessage: /copies answer/,
  },
  'says that its runtime is missing, and keeps what runs': {
    withoutRuntime: true,
    pods: [['r0', 'new']],
    wantPods: ['r0'],
    wantPhase: 'Failed',
    wantMessage: /^there is no ServingRuntime onnx: create it, or name another in spec.runtime$/,
  },
  'is stopped at no replicas': {
    replicas: 0,
    pods: [['old0', 'ready']],
    wantPods: [],
    wantPhase: 'Stopped',
    wantMessage: /0 of 0/,
  },
};

const wantedRevision = run([], {}).status.revision ?? '';

for (const [sentence, want] of Object.entries(cases)) test(`reconcile() ${sentence}`, () => check(want));

function run(pods: readonly Pod[], { replicas = 1, withoutRuntime }: Pick<Case, 'replicas' | 'withoutRuntime'>) {
  const world: World = {
    nowMs: 0,
    settings: { trackingUrl: 'http://tracking', blobsUrl: 'file:///blobs', nodeCachePath: '/cache' },
    owned: <T extends KubeObject>() => pods as unknown as T[],
    find: <T extends KubeObject>() => (withoutRuntime === true ? undefined : runtime) as unknown as T | undefined,
  };
  const spec = InferenceServiceSpec.parse({ model: { uri: 'models:/m/1' }, replicas });
  const metadata = { name: 's', namespace: 'team' };
  return reconcile({ apiVersion: 'athanor.dev/v1alpha1', kind: 'InferenceService', metadata, spec }, world);
}

function check({ pods = [], wantPods, wantPhase, wantMessage, ...shape }: Case): void {
  const { children, status } = run(
    pods.map(([index, state]) => pod(index, state)),
    shape,
  );
  const names = children.map(({ metadata }) => metadata.name);
  assert.deepEqual(
    names,
    wantPods.map((index) => pod(index, 'new').metadata.name),
  );
  assert.equal(status.phase, wantPhase);
  assert.match(status.conditions?.[0]?.message ?? '', wantMessage);
  assert.equal(status.url, '/team/s/v2/models/s');
}
