/** How a pod reaches the blob store: by its URL, and where that is a folder of the node, by a mount of it. */
import type { Settings } from '../../kube/kind.ts';
import type { EnvVar, Volume, VolumeMount } from '../../kube/pod.ts';

const MOUNT_PATH = '/athanor/blobs';
const VOLUME = 'blobs';
const FILE_URL = 'file://';

export interface BlobParts {
  readonly env: EnvVar;
  readonly volumes: readonly Volume[];
  readonly volumeMounts: readonly VolumeMount[];
}

/** For every container that reads or writes blobs. */
export function planBlobs({ blobsUrl }: Settings): BlobParts {
  if (!blobsUrl.startsWith(FILE_URL))
    return { env: { name: 'ATHANOR_BLOBS_URL', value: blobsUrl }, volumes: [], volumeMounts: [] };
  return {
    env: { name: 'ATHANOR_BLOBS_URL', value: `${FILE_URL}${MOUNT_PATH}` },
    volumes: [
      {
        name: VOLUME,
        hostPath: { path: decodeURIComponent(blobsUrl.slice(FILE_URL.length)), type: 'DirectoryOrCreate' },
      },
    ],
    volumeMounts: [{ name: VOLUME, mountPath: MOUNT_PATH }],
  };
}
