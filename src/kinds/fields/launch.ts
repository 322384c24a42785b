/**
 * How user code runs in a pod: the launcher wraps its command, with code, data and environment laid out by init
 * containers.
 */
import type { Settings } from '../../kube/kind.ts';
import type { Container, EnvVar, Volume, VolumeMount } from '../../kube/pod.ts';
import { type BlobParts, planBlobs } from './blobs.ts';
import { ATHANOR_IMAGE, type Environment, planEnvironment } from './environment.ts';

/** Name of the container that runs the user's command. */
export const MAIN_CONTAINER = 'main';
/** Working directory of user code. */
export const CODE_PATH = '/workspace';

export interface LaunchRequest {
  readonly settings: Settings;
  readonly environment: Environment;
  readonly command: readonly string[];
  readonly env: readonly EnvVar[];
  /** Digest of the code folder in the blob store; undefined runs in an empty one. */
  readonly codeDigest?: string | undefined;
  readonly datasets?: readonly { readonly name: string; readonly digest: string; readonly mountPath: string }[];
  /** Folder whose content is kept in the blob store when the command ends well. */
  readonly outputsPath?: string | undefined;
  readonly resources?: Container['resources'];
}

export interface LaunchParts {
  readonly initContainers: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
}

/** The containers and volumes of one pod that runs user code. */
export function planLaunch(request: LaunchRequest): LaunchParts {
  const { settings, command, env, codeDigest, datasets = [], outputsPath, resources } = request;
  const environment = planEnvironment(request.environment, settings);
  const blobs = planBlobs(settings);
  const code = { name: 'code', mountPath: CODE_PATH };
  const dataMounts = datasets.map(({ mountPath }, index) => ({ name: `data-${index}`, mountPath }));
  const outputs = outputsPath === undefined ? [] : [{ name: 'outputs', mountPath: outputsPath }];
  const fetches = [
    ...(codeDigest === undefined
      ? []
      : [planFetch({ name: 'code', verb: 'code', digest: codeDigest, mount: code, blobs })]),
    ...datasets.map(({ digest }, index) =>
      planFetch({ name: `data-${index}`, verb: 'dataset', digest, mount: dataMounts[index] ?? code, blobs }),
    ),
  ];
  const args = [
    'launch',
    '--environment',
    environment.path,
    ...(outputsPath ? ['--outputs', outputsPath] : []),
    '--',
    ...command,
  ];
  const main: Container = {
    name: MAIN_CONTAINER,
    image: ATHANOR_IMAGE,
    args,
    workingDir: CODE_PATH,
    terminationMessagePolicy: 'FallbackToLogsOnError',
    env: [
      { name: 'PYTHONUNBUFFERED', value: '1' },
      { name: 'MLFLOW_TRACKING_URI', value: settings.trackingUrl },
      ...blobs.env,
      { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'POD_NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } },
      { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
      ...env,
    ],
    volumeMounts: [
      code,
      ...dataMounts.map((mount) => ({ ...mount, readOnly: true })),
      ...outputs,
      ...blobs.volumeMounts,
      ...environment.volumeMounts,
    ],
    ...(resources && { resources }),
  };
  return {
    initContainers: [...environment.initContainers, ...fetches],
    containers: [main],
    volumes: [
      ...[code, ...dataMounts, ...outputs].map(({ name }) => ({ name, emptyDir: {} })),
      ...blobs.volumes,
      ...environment.volumes,
    ],
  };
}

interface Fetch {
  readonly name: string;
  readonly verb: 'code' | 'dataset';
  readonly digest: string;
  readonly mount: VolumeMount;
  readonly blobs: BlobParts;
}

function planFetch({ name, verb, digest, mount, blobs }: Fetch): Container {
  return {
    name: `fetch-${name}`,
    image: ATHANOR_IMAGE,
    args: [verb, 'fetch', '--digest', digest, '--target', mount.mountPath],
    env: blobs.env,
    volumeMounts: [mount, ...blobs.volumeMounts],
    terminationMessagePolicy: 'FallbackToLogsOnError',
  };
}
