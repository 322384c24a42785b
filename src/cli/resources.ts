/** From what people type (`tj`, `pods`, `trainingjob/x`) to the resource the server means, by discovery. */
import type { ApiClient } from '../client/types.ts';
import { parseApiVersion, type ResourceRef } from '../kube/object.ts';
import { StatusError } from '../kube/status-error.ts';

interface ApiResource {
  readonly name: string;
  readonly singularName: string;
  readonly namespaced: boolean;
  readonly kind: string;
  readonly shortNames?: readonly string[];
}

interface Served extends ResourceRef {
  readonly words: readonly string[];
}

/** Everything the server offers that is no subresource. */
export async function discoverResources(client: ApiClient): Promise<readonly Served[]> {
  const { groups } = await client.request<{ groups: { preferredVersion: { groupVersion: string } }[] }>('GET', '/apis');
  const versions = ['v1', ...groups.map(({ preferredVersion }) => preferredVersion.groupVersion)];
  const lists = await Promise.all(
    versions.map(async (apiVersion) => {
      const path = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`;
      const { resources } = await client.request<{ resources: ApiResource[] }>('GET', path);
      return resources.filter(({ name }) => !name.includes('/')).map((resource) => toServed(resource, apiVersion));
    }),
  );
  return lists.flat();
}

function toServed({ name, singularName, namespaced, kind, shortNames = [] }: ApiResource, apiVersion: string): Served {
  const { group, version } = parseApiVersion(apiVersion);
  const words = [
    name,
    singularName,
    kind.toLowerCase(),
    ...shortNames,
    ...(group === '' ? [] : [`${name}.${group}`, `${kind.toLowerCase()}.${group}`]),
  ];
  return { group, version, kind, plural: name, scope: namespaced ? 'Namespaced' : 'Cluster', words };
}

/** @throws NotFound that lists what there is. */
export async function getResource(client: ApiClient, word: string): Promise<ResourceRef> {
  const served = await discoverResources(client);
  const found = served.find(({ words }) => words.includes(word.toLowerCase()));
  if (found !== undefined) return found;
  const ours = served.filter(({ group }) => group === 'athanor.dev').map(({ plural }) => plural);
  throw new StatusError(
    'NotFound',
    `cannot find resource '${word}': the server has none of that name, try ${ours.join(', ')}, pods or events`,
  );
}

/** The resource of a kind, as manifests name it. @throws NotFound. */
export async function getResourceOfKind(client: ApiClient, apiVersion: string, kind: string): Promise<ResourceRef> {
  const { group, version } = parseApiVersion(apiVersion);
  const served = await discoverResources(client);
  const found = served.find((one) => one.kind === kind && one.group === group && one.version === version);
  if (found !== undefined) return found;
  throw new StatusError('NotFound', `cannot apply ${kind}: the server does not know ${apiVersion}, Kind=${kind}`);
}

/** `a/b`, `a b` and `a` as resource word and names. */
export function splitTarget(
  target: string,
  names: readonly string[],
): { readonly word: string; readonly names: readonly string[] } {
  const slash = target.indexOf('/');
  return slash < 0
    ? { word: target, names }
    : { word: target.slice(0, slash), names: [target.slice(slash + 1), ...names] };
}
