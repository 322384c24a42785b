/** The downward API: what a pod may ask about itself. Pure. */
import type { Container, Pod } from '../kube/pod.ts';
import { parseBytes, parseCpuMillis } from '../kube/quantity.ts';
import { StatusError } from '../kube/status-error.ts';

export interface NodeFacts {
  readonly nodeName: string;
  readonly podIp: string;
  readonly hostIp: string;
  readonly cpuMillis: number;
  readonly memoryBytes: number;
}

const KEYED = /^metadata\.(labels|annotations)\['([^']+)'\]$/;

/** The value of a field path that fieldRef allows. @throws Invalid for any other path. */
export function readField(pod: Pod, fieldPath: string, facts: NodeFacts): string {
  const { metadata, spec } = pod;
  const keyed = KEYED.exec(fieldPath);
  if (keyed) return metadata[keyed[1] === 'labels' ? 'labels' : 'annotations']?.[keyed[2] ?? ''] ?? '';
  const fields: Readonly<Record<string, string>> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace ?? 'default',
    'metadata.uid': metadata.uid ?? '',
    'metadata.labels': formatMap(metadata.labels),
    'metadata.annotations': formatMap(metadata.annotations),
    'spec.nodeName': facts.nodeName,
    'spec.serviceAccountName': spec.serviceAccountName ?? 'default',
    'status.podIP': facts.podIp,
    'status.podIPs': facts.podIp,
    'status.hostIP': facts.hostIp,
    'status.hostIPs': facts.hostIp,
  };
  const value = fields[fieldPath];
  if (value === undefined) throw new StatusError('Invalid', `unsupported fieldPath: ${fieldPath}`);
  return value;
}

function formatMap(map: Readonly<Record<string, string>> | undefined): string {
  const entries = Object.entries(map ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join('\n');
}

export interface ResourceFieldRef {
  readonly resource: string;
  readonly containerName?: string;
}

/**
 * Cores or bytes, rounded up; a missing limit is the node's, a missing request 0. @throws Invalid for other
 * resources.
 */
export function readResource(
  { pod, container, facts }: { readonly pod: Pod; readonly container: Container; readonly facts: NodeFacts },
  ref: ResourceFieldRef,
): string {
  const [list, name] = ref.resource.split('.');
  const target = findContainer(pod, ref.containerName) ?? container;
  if ((list !== 'limits' && list !== 'requests') || (name !== 'cpu' && name !== 'memory')) {
    throw new StatusError('Invalid', `unsupported resource: ${ref.resource}`);
  }
  const quantity =
    target.resources?.[list]?.[name] ?? (list === 'requests' ? target.resources?.limits?.[name] : undefined);
  if (name === 'cpu') {
    const fallback = list === 'limits' ? facts.cpuMillis : 0;
    return String(Math.ceil((quantity === undefined ? fallback : parseCpuMillis(quantity)) / 1000));
  }
  const fallback = list === 'limits' ? facts.memoryBytes : 0;
  return String(quantity === undefined ? fallback : parseBytes(quantity));
}

function findContainer(pod: Pod, name: string | undefined): Container | undefined {
  return [...(pod.spec.initContainers ?? []), ...pod.spec.containers].find((container) => container.name === name);
}
