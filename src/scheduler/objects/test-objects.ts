/** Nodes and pods for the tests of what is read from them. */
import { type Node, POD_GROUP_LABEL, type Pod, type PodSpec, type Taint } from '../../kube/pod.ts';

/** Quantities by resource, or texts by key. */
export type Quantities = Readonly<Record<string, string>>;

/** A node that is ready. */
export function node(
  name: string,
  allocatable: Quantities,
  more: { taints?: Taint[]; labels?: Quantities } = {},
): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: more.labels ?? {} },
    spec: { taints: more.taints ?? [] },
    status: { allocatable, conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

/** A pod of one container. */
export function pod(
  name: string,
  requests: Quantities,
  { group, ...spec }: Partial<PodSpec> & { group?: string } = {},
): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'x',
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(group !== undefined && { labels: { [POD_GROUP_LABEL]: group } }),
    },
    spec: { schedulerName: 'athanor', containers: [{ name: 'main', image: 'a', resources: { requests } }], ...spec },
  };
}
