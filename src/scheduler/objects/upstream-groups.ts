/**
 * Kubernetes' own pod groups (scheduling.k8s.io/v1beta1, KEP-4671 and KEP-5832) as ours: pods join by
 * spec.schedulingGroup.podGroupName. Read where an API server has them; nothing is written to them.
 */
import { isJsonObject } from '../../base/json.ts';
import type { ApiClient } from '../../client/types.ts';
import type { PodGroup } from '../../kinds/pod-group/kind.ts';
import { PodGroupSpec } from '../../kinds/pod-group/kind.ts';
import type { KubeObject, ObjectOf, ResourceRef } from '../../kube/object.ts';
import type { Pod } from '../../kube/pod.ts';
import { isStatusError } from '../../kube/status-error.ts';

/** A PodGroup of Kubernetes itself, as far as it is read. */
export type UpstreamGroup = ObjectOf<{
  readonly schedulingPolicy?: { readonly gang?: { readonly minCount?: number } };
  readonly schedulingConstraints?: { readonly topology?: readonly { readonly key?: string }[] };
}>;

/** Where they are. */
export const UPSTREAM_POD_GROUP: ResourceRef = {
  group: 'scheduling.k8s.io',
  version: 'v1beta1',
  kind: 'PodGroup',
  plural: 'podgroups',
  scope: 'Namespaced',
};

/** No object's own name has a colon: names of both kinds of groups never meet. */
const PREFIX = 'scheduling.k8s.io:';

/** The name, as groups read here have it, of the group that the pod's spec names. */
export function upstreamGroupName({ spec }: Pod): string | undefined {
  const name = spec.schedulingGroup?.podGroupName;
  return name === undefined ? undefined : `${PREFIX}${name}`;
}

/** True for a group that was read here. */
export function isUpstream({ metadata }: KubeObject): boolean {
  return metadata.name.startsWith(PREFIX);
}

/** Whether the API server has such groups. @throws what is not a plain no. */
export async function hasUpstreamGroups(client: ApiClient): Promise<boolean> {
  const { group, version, plural } = UPSTREAM_POD_GROUP;
  try {
    const answer = await client.request<unknown>('GET', `/apis/${group}/${version}`);
    const resources = isJsonObject(answer) && Array.isArray(answer['resources']) ? answer['resources'] : [];
    return resources.some((one) => isJsonObject(one) && one['name'] === plural);
  } catch (error) {
    if (isStatusError(error, 'NotFound') || isStatusError(error, 'Forbidden')) return false;
    throw error;
  }
}

/** Upstream groups as ours; the same object for the same object. */
export class UpstreamGroups {
  readonly #known = new WeakMap<UpstreamGroup, PodGroup>();

  read(groups: readonly UpstreamGroup[]): readonly PodGroup[] {
    return groups.map((group) => this.#read(group));
  }

  #read(group: UpstreamGroup): PodGroup {
    const known = this.#known.get(group);
    if (known !== undefined) return known;
    const { schedulingPolicy, schedulingConstraints } = group.spec;
    const required = schedulingConstraints?.topology?.[0]?.key;
    const spec = PodGroupSpec.parse({
      // why: a group without a gang's policy starts pod by pod
      minMember: schedulingPolicy?.gang?.minCount ?? 1,
      ...(required !== undefined && { topology: { required } }),
    });
    const read = {
      apiVersion: group.apiVersion,
      kind: group.kind,
      metadata: { ...group.metadata, name: `${PREFIX}${group.metadata.name}` },
      spec,
    };
    this.#known.set(group, read);
    return read;
  }
}
