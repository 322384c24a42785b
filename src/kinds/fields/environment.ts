/** The `environment` field: which Python and packages user code needs, and how a pod gets them on any node. */
import { z } from 'zod';
import { hashJson } from '../../base/json.ts';
import type { Settings } from '../../kube/kind.ts';
import type { Container, Volume, VolumeMount } from '../../kube/pod.ts';

export const Environment = z.object({
  python: z
    .string()
    .regex(/^3(\.\d+)?$/)
    .default('3')
    .describe('Python version, such as 3 or 3.12. The node must have it.'),
  packages: z
    .array(z.string().min(1).max(512))
    .max(1000)
    .default([])
    .describe('Requirements as pip takes them, such as numpy==2.1 or git+https URLs.'),
});

export type Environment = z.infer<typeof Environment>;

/** Image of this program: Node, Python and Athanor itself. */
export const ATHANOR_IMAGE = 'athanor';

const MOUNT_PATH = '/athanor/environments';
const VOLUME = 'environments';

/** What a pod must have so that its containers find the environment at `path`. */
export interface EnvironmentParts {
  readonly initContainers: readonly Container[];
  readonly volumes: readonly Volume[];
  readonly volumeMounts: readonly VolumeMount[];
  /** Folder of the virtual environment inside the container; its `bin` belongs on PATH. */
  readonly path: string;
}

/** Builds the virtual environment once per node and request, in the node's cache. */
export function planEnvironment(environment: Environment, settings: Settings): EnvironmentParts {
  const { python } = environment;
  const request = { python, packages: [...environment.packages].sort() };
  const path = `${MOUNT_PATH}/${hashJson(request)}`;
  const mount = { name: VOLUME, mountPath: MOUNT_PATH };
  return {
    path,
    volumes: [
      { name: VOLUME, hostPath: { path: `${settings.nodeCachePath}/environments`, type: 'DirectoryOrCreate' } },
    ],
    volumeMounts: [{ ...mount, readOnly: true }],
    initContainers: [
      {
        name: 'environment',
        image: ATHANOR_IMAGE,
        terminationMessagePolicy: 'FallbackToLogsOnError',
        volumeMounts: [mount],
        args: ['environment', 'prepare', '--target', path, '--request', JSON.stringify(request)],
      },
    ],
  };
}
