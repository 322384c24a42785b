/** Teaches an API server our kinds, and brings the serving runtimes that ship with the program. */
import { hostClock, pause } from '../base/clock.ts';
import type { ApiClient } from '../client/types.ts';
import { KINDS } from '../kinds/list.ts';
import { servingRuntime } from '../kinds/serving-runtime/kind.ts';
import { toCrd } from '../kube/crd.ts';
import { apiVersionOf, type KubeObject } from '../kube/object.ts';
import { isStatusError } from '../kube/status-error.ts';
import { WELL_KNOWN } from '../kube/well-known.ts';

const FIELD_MANAGER = 'athanor';
const SERVED_TRIES_MAX = 50;
const SERVED_EVERY_MS = 20;

const ONNX_RUNTIME = {
  apiVersion: apiVersionOf(servingRuntime),
  kind: 'ServingRuntime',
  metadata: { name: 'onnx' },
  spec: {
    formats: ['onnx'],
    image: 'athanor',
    port: 8080,
    readyPath: '/v2/health/ready',
    args: [
      'model',
      'serve',
      '--model',
      '$(MODEL_PATH)',
      '--name',
      '$(MODEL_NAME)',
      '--host',
      '$(POD_IP)',
      '--port',
      '$(PORT)',
    ],
  },
};

/** Server-side apply of every CRD, then of the runtimes; doing it again changes nothing. */
export async function installKinds(client: ApiClient): Promise<void> {
  const crds = KINDS.map(({ kind }) => toCrd(kind));
  await Promise.all(crds.map((crd) => apply(client, crd)));
  const patch = {
    name: ONNX_RUNTIME.metadata.name,
    type: 'apply' as const,
    body: ONNX_RUNTIME,
    fieldManager: FIELD_MANAGER,
    force: true,
  };
  for (let tries = 1; ; tries++) {
    try {
      await client.patch(servingRuntime, patch);
      return;
    } catch (error) {
      if (!isStatusError(error, 'NotFound') || tries === SERVED_TRIES_MAX) throw error;
      await pause(hostClock(globalThis), SERVED_EVERY_MS);
    }
  }
}

async function apply(client: ApiClient, object: KubeObject): Promise<void> {
  const { name } = object.metadata;
  await client.patch(WELL_KNOWN.CustomResourceDefinition, {
    name,
    type: 'apply',
    body: object,
    fieldManager: FIELD_MANAGER,
    force: true,
  });
}
