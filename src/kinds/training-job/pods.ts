/** The objects of one attempt of a training job: its gang, its pods, and the account they report under. */

import type { World } from '../../kube/kind.ts';
import { apiVersionOf, type KubeObject, type ObjectOf, type StoredObject } from '../../kube/object.ts';
import { type EnvVar, POD_GROUP_LABEL, type Pod } from '../../kube/pod.ts';
import { WELL_KNOWN } from '../../kube/well-known.ts';
import { planBlobs } from '../fields/blobs.ts';
import { ATHANOR_IMAGE } from '../fields/environment.ts';
import { CODE_PATH, MAIN_CONTAINER, planLaunch } from '../fields/launch.ts';
import { containerResources, deviceAnnotations, type Resources } from '../fields/resources.ts';
import { type PodGroupSpec, podGroup, QUEUED_AT_ANNOTATION } from '../pod-group/kind.ts';
import { ATTEMPT_LABEL, JOB_LABEL, RANK_LABEL, type TrainingJobSpec, type TrainingJobStatus } from './kind.ts';

export type TrainingJob = ObjectOf<TrainingJobSpec, TrainingJobStatus>;

/** The port at which rank 0 may be met: torch's own default. */
const RENDEZVOUS_PORT = 29500;

export interface Attempt {
  readonly number: number;
  readonly codeDigest: string | undefined;
  readonly datasets: readonly { readonly name: string; readonly digest: string; readonly mountPath: string }[];
}

/** Name of the pod of a rank in an attempt. */
export function podName({ metadata }: TrainingJob, attempt: number, rank: number): string {
  return attempt === 0 ? `${metadata.name}-${rank}` : `${metadata.name}-${rank}-r${attempt}`;
}

/** Everything the attempt needs. */
export function planAttempt(job: TrainingJob, attempt: Attempt, world: World): readonly KubeObject[] {
  const ranks = Array.from({ length: job.spec.replicas }, (_, rank) => rank);
  const pods = ranks.map((rank) => planPod(job, { ...attempt, rank }, world));
  return [...planAccount(job, pods), planGroup(job, attempt.number), ...pods];
}

function groupName({ metadata }: TrainingJob, attempt: number): string {
  return `${metadata.name}-${attempt}`;
}

function planGroup(job: TrainingJob, attempt: number): KubeObject {
  const group: ObjectOf<Partial<PodGroupSpec>> = {
    apiVersion: apiVersionOf(podGroup),
    kind: 'PodGroup',
    metadata: {
      name: groupName(job, attempt),
      // why: who was stopped for others has waited since the job came, not since its last attempt
      annotations: { [QUEUED_AT_ANNOTATION]: job.metadata.creationTimestamp ?? '' },
    },
    spec: { minMember: job.spec.replicas, ...job.spec.scheduling },
  };
  return group;
}

/** The pods may say how far they are, of themselves alone. */
function planAccount({ metadata }: TrainingJob, pods: readonly Pod[]): readonly KubeObject[] {
  const { name } = metadata;
  const rbac = apiVersionOf(WELL_KNOWN.Role);
  const account: KubeObject = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } };
  const role: StoredObject = {
    apiVersion: rbac,
    kind: 'Role',
    metadata: { name },
    rules: [
      {
        apiGroups: [''],
        resources: ['pods'],
        verbs: ['get', 'patch'],
        resourceNames: pods.map((pod) => pod.metadata.name),
      },
    ],
  };
  const binding: StoredObject = {
    apiVersion: rbac,
    kind: 'RoleBinding',
    metadata: { name },
    roleRef: { apiGroup: WELL_KNOWN.Role.group, kind: 'Role', name },
    subjects: [{ kind: 'ServiceAccount', name, namespace: metadata.namespace }],
  };
  return [account, role, binding];
}

function planPod(job: TrainingJob, attempt: Attempt & { readonly rank: number }, world: World): Pod {
  const { metadata, spec } = job;
  const { rank, number, codeDigest, datasets } = attempt;
  const env = [...planRendezvous(job, rank), ...spec.env];
  const outputsPath = rank === 0 ? spec.outputs?.path : undefined;
  const { settings } = world;
  const parts =
    spec.image === undefined
      ? planLaunch({
          settings,
          environment: spec.environment,
          command: spec.command,
          env,
          codeDigest,
          datasets,
          outputsPath,
          resources: containerResources(spec.resources),
        })
      : {
          containers: [
            {
              name: MAIN_CONTAINER,
              image: spec.image,
              command: spec.command,
              env,
              resources: containerResources(spec.resources),
            },
          ],
        };
  const labels = {
    [JOB_LABEL]: metadata.name,
    [RANK_LABEL]: String(rank),
    [ATTEMPT_LABEL]: String(number),
    [POD_GROUP_LABEL]: groupName(job, number),
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: podName(job, number, rank), labels, ...annotationsOf(spec.resources) },
    spec: {
      schedulerName: 'athanor',
      restartPolicy: 'Never',
      serviceAccountName: metadata.name,
      nodeSelector: spec.nodeSelector,
      hostname: `${metadata.name}-${rank}`,
      subdomain: metadata.name,
      ...parts,
    },
  };
}

function annotationsOf(resources: Resources): { readonly annotations?: Readonly<Record<string, string>> } {
  return resources.devices === undefined ? {} : { annotations: deviceAnnotations(resources) };
}

/** What torchrun and plain torch read, and the job's own name for everything else. */
function planRendezvous({ metadata, spec }: TrainingJob, rank: number): readonly EnvVar[] {
  const master = `${metadata.name}-0.${metadata.name}`;
  const values = {
    ATHANOR_JOB_NAME: metadata.name,
    ATHANOR_JOB_UID: metadata.uid ?? '',
    RANK: rank,
    WORLD_SIZE: spec.replicas,
    MASTER_ADDR: master,
    MASTER_PORT: RENDEZVOUS_PORT,
    PET_NNODES: spec.replicas,
    PET_NODE_RANK: rank,
    PET_MASTER_ADDR: master,
    PET_MASTER_PORT: RENDEZVOUS_PORT,
  };
  return Object.entries(values).map(([name, value]) => ({ name, value: String(value) }));
}

/** The pod that packs a git repository into the blob store; its last words are the digest and the commit. */
export function planPack({ metadata, spec }: TrainingJob, { settings }: World): Pod {
  const { url = '', ref = 'HEAD', path = '.' } = spec.code?.git ?? {};
  const code = { name: 'code', mountPath: CODE_PATH };
  const blobs = planBlobs(settings);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `${metadata.name}-code`, labels: { [JOB_LABEL]: metadata.name } },
    spec: {
      schedulerName: 'athanor',
      restartPolicy: 'Never',
      containers: [
        {
          name: MAIN_CONTAINER,
          image: ATHANOR_IMAGE,
          args: ['code', 'pack', '--git', url, '--ref', ref, '--path', path, '--work', CODE_PATH],
          env: blobs.env,
          volumeMounts: [code, ...blobs.volumeMounts],
          terminationMessagePolicy: 'FallbackToLogsOnError',
        },
      ],
      volumes: [{ name: 'code', emptyDir: {} }, ...blobs.volumes],
    },
  };
}
