/**
 * The volume with a pod's service-account token, which a cluster's admission adds and the embedded one leaves to
 * the agent. Pure.
 */
import type { Container, Pod, Volume } from '../kube/pod.ts';
import { TOKEN_SECONDS_DEFAULT } from './limits.ts';

const MOUNT_PATH = '/var/run/secrets/kubernetes.io/serviceaccount';
const VOLUME_NAME = 'kube-api-access';

const TOKEN_VOLUME: Volume = {
  name: VOLUME_NAME,
  projected: {
    defaultMode: 0o644,
    sources: [
      { serviceAccountToken: { path: 'token', expirationSeconds: TOKEN_SECONDS_DEFAULT } },
      { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
      { downwardAPI: { items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
    ],
  },
};

/** The pod with a token mount in every container that has nothing there; the same pod when it asks for none. */
export function withTokenVolume(pod: Pod): Pod {
  const { spec } = pod;
  if (spec.automountServiceAccountToken === false) return pod;
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  if (containers.every(hasMount)) return pod;
  return {
    ...pod,
    spec: {
      ...spec,
      ...(spec.initContainers && { initContainers: spec.initContainers.map(addMount) }),
      containers: spec.containers.map(addMount),
      volumes: [...(spec.volumes ?? []), TOKEN_VOLUME],
    },
  };
}

function hasMount({ volumeMounts = [] }: Container): boolean {
  return volumeMounts.some(({ mountPath }) => mountPath.replace(/\/$/, '') === MOUNT_PATH);
}

function addMount(container: Container): Container {
  if (hasMount(container)) return container;
  const mount = { name: VOLUME_NAME, mountPath: MOUNT_PATH, readOnly: true };
  return { ...container, volumeMounts: [...(container.volumeMounts ?? []), mount] };
}
