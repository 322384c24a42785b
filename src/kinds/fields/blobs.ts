/**
 * How a pod reaches the blob store: by its URL; where that is a folder of the node, by a mount of it; where it is a
 * store that asks who comes, by a Secret, of which the spec holds only the name.
 */
import type { Settings } from '../../kube/kind.ts';
import type { EnvVar, Volume, VolumeMount } from '../../kube/pod.ts';

const MOUNT_PATH = '/athanor/blobs';
const VOLUME = 'blobs';
const FILE_URL = 'file://';

/** AWS's usual variables, and what they are called in a pod and in the Secret: a user's own keep their names. */
export const BLOB_ACCESS_VARIABLES = {
  AWS_ACCESS_KEY_ID: 'ATHANOR_BLOBS_ACCESS_KEY_ID',
  AWS_SECRET_ACCESS_KEY: 'ATHANOR_BLOBS_SECRET_ACCESS_KEY',
  AWS_SESSION_TOKEN: 'ATHANOR_BLOBS_SESSION_TOKEN',
} as const;

export interface BlobParts {
  readonly env: readonly EnvVar[];
  readonly volumes: readonly Volume[];
  readonly volumeMounts: readonly VolumeMount[];
}

/** For every container that reads or writes blobs. */
export function planBlobs({ blobsUrl, blobsSecret }: Settings): BlobParts {
  if (!blobsUrl.startsWith(FILE_URL)) {
    const env = [{ name: 'ATHANOR_BLOBS_URL', value: blobsUrl }, ...planAccess(blobsSecret)];
    return { env, volumes: [], volumeMounts: [] };
  }
  return {
    env: [{ name: 'ATHANOR_BLOBS_URL', value: `${FILE_URL}${MOUNT_PATH}` }],
    volumes: [
      {
        name: VOLUME,
        hostPath: { path: decodeURIComponent(blobsUrl.slice(FILE_URL.length)), type: 'DirectoryOrCreate' },
      },
    ],
    volumeMounts: [{ name: VOLUME, mountPath: MOUNT_PATH }],
  };
}

/** A pod waits for the Secret; only credentials that end have a session token. */
function planAccess(secret: string | undefined): readonly EnvVar[] {
  if (secret === undefined) return [];
  return Object.values(BLOB_ACCESS_VARIABLES).map((name) => {
    const isOptional = name === BLOB_ACCESS_VARIABLES.AWS_SESSION_TOKEN;
    return { name, valueFrom: { secretKeyRef: { name: secret, key: name, ...(isOptional && { optional: true }) } } };
  });
}
