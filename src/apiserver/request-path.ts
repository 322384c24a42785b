/** What a path of the Kubernetes API addresses. Knows the grammar of paths, not which resources exist. */

export interface ResourcePath {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  /** '' for cluster-scoped resources, and for lists over all namespaces. */
  readonly namespace: string;
  /** '' for collections. */
  readonly name: string;
  readonly subresource: string | undefined;
  /** What follows the subresource (`proxy/metrics`). */
  readonly rest: string;
}

/** `/api/v1/...` and `/apis/group/version/...` that name a resource; undefined for discovery and all other paths. */
export function parseResourcePath(path: string): ResourcePath | undefined {
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map(decodeURIComponent);
  const isCore = parts[0] === 'api';
  if (!isCore && parts[0] !== 'apis') return undefined;
  const [group = '', version = ''] = isCore ? ['', parts[1]] : parts.slice(1, 3);
  return parseBelow({ group, version }, parts.slice(isCore ? 2 : 3));
}

function parseBelow(
  groupVersion: { group: string; version: string },
  parts: readonly string[],
): ResourcePath | undefined {
  const isInNamespace = parts[0] === 'namespaces' && parts.length > 2 && !NAMESPACE_SUBRESOURCES.has(parts[2] ?? '');
  const [plural, name = '', subresource, ...rest] = isInNamespace ? parts.slice(2) : parts;
  if (plural === undefined) return undefined;
  const namespace = isInNamespace ? (parts[1] ?? '') : '';
  return { ...groupVersion, plural, namespace, name, subresource, rest: rest.join('/') };
}

const NAMESPACE_SUBRESOURCES = new Set(['status', 'finalize']);
