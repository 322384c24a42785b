/** Discovery: which groups, versions and resources there are, in the legacy and the aggregated form. */
import { apiVersionOf } from '../kube/object.ts';
import { StatusError } from '../kube/status-error.ts';
import type { Registry } from './registry.ts';
import type { Resource } from './resource.ts';

/** The Kubernetes version whose API this server follows. */
export const SERVER_VERSION = {
  major: '1',
  minor: '34',
  gitVersion: 'v1.34.0-athanor',
  platform: 'linux/amd64',
} as const;

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'] as const;

interface Subresource {
  readonly name: string;
  readonly kind: string;
  readonly group?: string;
  readonly version?: string;
  readonly verbs: readonly string[];
}

/** Resources that are asked and never stored. */
export const VIRTUAL_RESOURCES: readonly Subresource[] = [
  { name: 'tokenreviews', kind: 'TokenReview', group: 'authentication.k8s.io', version: 'v1', verbs: ['create'] },
  {
    name: 'subjectaccessreviews',
    kind: 'SubjectAccessReview',
    group: 'authorization.k8s.io',
    version: 'v1',
    verbs: ['create'],
  },
  {
    name: 'selfsubjectaccessreviews',
    kind: 'SelfSubjectAccessReview',
    group: 'authorization.k8s.io',
    version: 'v1',
    verbs: ['create'],
  },
];

const SUBRESOURCES: Readonly<Record<string, readonly Subresource[]>> = {
  pods: [
    { name: 'pods/binding', kind: 'Binding', verbs: ['create'] },
    { name: 'pods/exec', kind: 'PodExecOptions', verbs: ['create', 'get'] },
    { name: 'pods/log', kind: 'Pod', verbs: ['get'] },
  ],
  serviceaccounts: [
    {
      name: 'serviceaccounts/token',
      kind: 'TokenRequest',
      group: 'authentication.k8s.io',
      version: 'v1',
      verbs: ['create'],
    },
  ],
};

/**
 * The answer to a discovery path, or undefined when the path is none. `aggregated` asks for the v2 form of `/api` and
 * `/apis`.
 */
export function discover(path: string, registry: Registry, aggregated: boolean): unknown {
  const parts = path.split('/').filter((part) => part !== '');
  if (parts[0] === 'version' && parts.length === 1)
    return { ...SERVER_VERSION, gitCommit: '', gitTreeState: 'clean', buildDate: '', goVersion: '', compiler: 'node' };
  if (parts[0] === 'api' && parts.length === 1) return aggregated ? toAggregated(registry, true) : CORE_VERSIONS;
  if (parts[0] === 'apis' && parts.length === 1)
    return aggregated ? toAggregated(registry, false) : listGroups(registry);
  if (parts[0] === 'api' && parts.length === 2) return listResources(registry, '', parts[1] ?? '');
  if (parts[0] === 'apis' && parts.length === 2) return findGroup(registry, parts[1] ?? '');
  if (parts[0] === 'apis' && parts.length === 3) return listResources(registry, parts[1] ?? '', parts[2] ?? '');
  return undefined;
}

const CORE_VERSIONS = { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] };

interface GroupVersions {
  readonly group: string;
  readonly versions: readonly string[];
}

function groupsOf(registry: Registry): readonly GroupVersions[] {
  const groups = new Map<string, Set<string>>();
  const everything = [
    ...registry.list(),
    ...VIRTUAL_RESOURCES.map(({ group = '', version = '' }) => ({ group, version })),
  ];
  for (const { group, version } of everything) {
    if (group !== '') groups.set(group, (groups.get(group) ?? new Set()).add(version));
  }
  return [...groups].map(([group, versions]) => ({ group, versions: [...versions] }));
}

function describeGroup({ group, versions }: GroupVersions): object {
  const listed = versions.map((version) => ({ groupVersion: `${group}/${version}`, version }));
  return { name: group, versions: listed, preferredVersion: listed[0] };
}

function listGroups(registry: Registry): unknown {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groupsOf(registry).map(describeGroup) };
}

function findGroup(registry: Registry, name: string): unknown {
  const group = groupsOf(registry).find((candidate) => candidate.group === name);
  if (group === undefined) throw unknownPath();
  return { kind: 'APIGroup', apiVersion: 'v1', ...describeGroup(group) };
}

function listResources(registry: Registry, group: string, version: string): unknown {
  const stored = registry.list().filter((resource) => resource.group === group && resource.version === version);
  const virtual = VIRTUAL_RESOURCES.filter((resource) => resource.group === group && resource.version === version);
  if (stored.length + virtual.length === 0) throw unknownPath();
  const resources = [
    ...stored.flatMap(describeResource),
    ...virtual.map((resource) => describeSubresource(resource, false)),
  ];
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionOf({ group, version }), resources };
}

function describeResource(resource: Resource): readonly object[] {
  const { plural, singular, scope, kind, shortNames, categories } = resource;
  const namespaced = scope === 'Namespaced';
  const own = { name: plural, singularName: singular, namespaced, kind, verbs: VERBS, shortNames, categories };
  return [own, ...subresourcesOf(resource).map((subresource) => describeSubresource(subresource, namespaced))];
}

function describeSubresource({ name, kind, group, version, verbs }: Subresource, namespaced: boolean): object {
  return { name, singularName: '', namespaced, kind, verbs, ...(group && { group, version }) };
}

function subresourcesOf({ plural, group, kind, hasStatus }: Resource): readonly Subresource[] {
  const own = group === '' ? (SUBRESOURCES[plural] ?? []) : [];
  return hasStatus ? [...own, { name: `${plural}/status`, kind, verbs: ['get', 'patch', 'update'] }] : own;
}

function toAggregated(registry: Registry, core: boolean): unknown {
  const groups = core ? [{ group: '', versions: ['v1'] }] : groupsOf(registry);
  const items = groups.map(({ group, versions }) => ({
    metadata: { name: group, creationTimestamp: null },
    versions: versions.map((version) => ({
      version,
      freshness: 'Current',
      resources: aggregateResources(registry, group, version),
    })),
  }));
  return { kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2', metadata: {}, items };
}

function aggregateResources(registry: Registry, group: string, version: string): readonly object[] {
  const stored = registry.list().filter((resource) => resource.group === group && resource.version === version);
  const virtual = VIRTUAL_RESOURCES.filter((resource) => resource.group === group && resource.version === version);
  return [
    ...stored.map((resource) => ({
      resource: resource.plural,
      responseKind: { group, version, kind: resource.kind },
      scope: resource.scope === 'Namespaced' ? 'Namespaced' : 'Cluster',
      singularResource: resource.singular,
      verbs: VERBS,
      shortNames: resource.shortNames,
      categories: resource.categories,
      subresources: subresourcesOf(resource).map(({ name, kind, verbs, ...own }) => ({
        subresource: name.slice(name.indexOf('/') + 1),
        responseKind: { group: own.group ?? group, version: own.version ?? version, kind },
        verbs,
      })),
    })),
    ...virtual.map(({ name, kind, verbs }) => ({
      resource: name,
      responseKind: { group, version, kind },
      scope: 'Cluster',
      singularResource: kind.toLowerCase(),
      verbs,
    })),
  ];
}

function unknownPath(): StatusError {
  return new StatusError('NotFound', 'the server could not find the requested resource');
}
