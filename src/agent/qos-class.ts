/** Kubernetes' quality-of-service class of a pod. */
import type { PodSpec, ResourceRequirements } from '../kube/pod.ts';
import { parseQuantity } from '../kube/quantity.ts';

const COUNTED = ['cpu', 'memory'] as const;

/** Guaranteed when every container's requests equal its limits, BestEffort when there are none, else Burstable. */
export function qosClassOf(spec: PodSpec): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const all = [...(spec.initContainers ?? []), ...spec.containers].map(({ resources = {} }) => resources);
  if (all.every((resources) => COUNTED.every((name) => requestOf(resources, name) === undefined))) return 'BestEffort';
  return all.every(isGuaranteed) ? 'Guaranteed' : 'Burstable';
}

function requestOf({ requests, limits }: ResourceRequirements, name: string): string | number | undefined {
  return requests?.[name] ?? limits?.[name];
}

function isGuaranteed(resources: ResourceRequirements): boolean {
  return COUNTED.every((name) => {
    const [request, limit] = [requestOf(resources, name), resources.limits?.[name]];
    return request !== undefined && limit !== undefined && parseQuantity(request) === parseQuantity(limit);
  });
}
