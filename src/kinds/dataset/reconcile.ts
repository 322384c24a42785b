/**
 * Decides whether a data set must be imported: one pod per source, whose last words are the digest of what it stored.
 */
import { hashJson } from '../../base/json.ts';
import { formatTime, mergeConditions } from '../../kube/condition.ts';
import type { Outcome, World } from '../../kube/kind.ts';
import type { ObjectOf } from '../../kube/object.ts';
import type { Container, Pod, Volume } from '../../kube/pod.ts';
import { planBlobs } from '../fields/blobs.ts';
import { ATHANOR_IMAGE } from '../fields/environment.ts';
import { MAIN_CONTAINER, planLaunch } from '../fields/launch.ts';
import { findBlock, findFailure, readResult } from '../fields/status.ts';
import type { DatasetSpec, DatasetStatus } from './kind.ts';

type Dataset = ObjectOf<DatasetSpec, DatasetStatus>;
type Version = NonNullable<DatasetStatus['versions']>[number];

const SOURCE_PATH = '/athanor/source';

/** The import pod stays while its source is the current one, for its logs; a version once recorded is never lost. */
export function reconcile(dataset: Dataset, world: World): Outcome<DatasetStatus> {
  const source = hashJson(dataset.spec.source).slice(0, 10);
  const name = `${dataset.metadata.name}-import-${source}`;
  const known = dataset.status?.versions?.findLast((version) => version.source === source);
  const pod = world.owned<Pod>(dataset, 'Pod').find(({ metadata }) => metadata.name === name);
  const imported = known ?? (pod && readVersion(pod, source, world.nowMs));
  const children = known !== undefined && pod === undefined ? [] : [planImport(dataset, name, world)];
  return { children, status: planStatus(dataset, { imported, pod, nowMs: world.nowMs }) };
}

function readVersion(pod: Pod, source: string, nowMs: number): Version | undefined {
  const result = readResult(pod, MAIN_CONTAINER);
  if (typeof result?.['digest'] !== 'string') return undefined;
  const { digest, files, sizeBytes } = result;
  return { digest, files: Number(files), sizeBytes: Number(sizeBytes), importedAt: formatTime(nowMs), source };
}

interface Observed {
  readonly imported: Version | undefined;
  readonly pod: Pod | undefined;
  readonly nowMs: number;
}

function planStatus({ status }: Dataset, { imported, pod, nowMs }: Observed): DatasetStatus {
  const before = status?.versions ?? [];
  const isNew = imported !== undefined && !before.includes(imported);
  const versions = isNew ? [...before, imported] : before;
  const newest = imported ?? versions.at(-1);
  const seen = observe(pod, imported);
  const condition = {
    type: 'Ready',
    status: imported ? ('True' as const) : ('False' as const),
    reason: seen.reason,
    message: seen.message,
  };
  return {
    phase: seen.phase,
    versions,
    conditions: [...mergeConditions(status?.conditions, [condition], nowMs)],
    ...(newest && { digest: newest.digest, files: newest.files, sizeBytes: newest.sizeBytes }),
  };
}

interface Observation {
  readonly phase: NonNullable<DatasetStatus['phase']>;
  readonly reason: string;
  readonly message: string;
}

function observe(pod: Pod | undefined, imported: Version | undefined): Observation {
  if (imported !== undefined) {
    return { phase: 'Ready', reason: 'Imported', message: `${imported.files} files, ${imported.sizeBytes} bytes` };
  }
  const failure = pod && findFailure(pod);
  if (failure !== undefined) {
    const message = `${failure.message.trim()} (exit code ${failure.exitCode}). Mend the source, or delete pod ${pod?.metadata.name} to try again`;
    return { phase: 'Failed', reason: 'ImportFailed', message };
  }
  const block = pod && findBlock(pod);
  if (block !== undefined) return { phase: 'Failed', ...block };
  if (pod?.status?.phase === 'Running')
    return { phase: 'Importing', reason: 'Importing', message: `pod ${pod.metadata.name} imports` };
  return { phase: 'Pending', reason: 'Waiting', message: 'the import waits for its pod to start' };
}

function planImport(dataset: Dataset, name: string, world: World): Pod {
  const parts = planParts(dataset, world);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { 'athanor.dev/dataset': dataset.metadata.name } },
    spec: { schedulerName: 'athanor', restartPolicy: 'Never', ...parts },
  };
}

interface Parts {
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes?: readonly Volume[];
}

function planParts({ spec }: Dataset, { settings }: World): Parts {
  const { folder, url, pod } = spec.source;
  if (pod !== undefined) {
    const { command, environment, code, env, path } = pod;
    return planLaunch({ settings, environment, command, env, codeDigest: code, outputsPath: path });
  }
  const { env: blobsEnv, volumes, volumeMounts } = planBlobs(settings);
  const main = {
    name: MAIN_CONTAINER,
    image: ATHANOR_IMAGE,
    terminationMessagePolicy: 'FallbackToLogsOnError' as const,
    env: blobsEnv,
    volumeMounts,
  };
  if (folder !== undefined) {
    const mount = { name: 'source', mountPath: SOURCE_PATH, readOnly: true };
    return {
      containers: [
        { ...main, args: ['dataset', 'import', '--folder', SOURCE_PATH], volumeMounts: [mount, ...volumeMounts] },
      ],
      volumes: [...volumes, { name: 'source', hostPath: { path: folder.path, type: 'Directory' } }],
    };
  }
  const checksum = url?.sha256 === undefined ? [] : ['--sha256', url.sha256];
  return { containers: [{ ...main, args: ['dataset', 'import', '--url', url?.url ?? '', ...checksum] }], volumes };
}
