/** Role-based access control over the stored roles and bindings. Source: kubernetes plugin/pkg/auth/authorizer/rbac. */
import { isJsonObject } from '../base/json.ts';
import type { StoredObject } from '../kube/object.ts';
import type { Store } from './store.ts';
import type { User } from './token.ts';

export interface Attributes {
  readonly user: User;
  /** `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`. */
  readonly verb: string;
  readonly group?: string;
  /** Plural, with the subresource: `pods/log`. */
  readonly resource?: string;
  readonly namespace?: string;
  readonly name?: string;
  /** Set instead of `resource` for paths such as `/version`. */
  readonly path?: string;
}

interface Rule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

interface Subject {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

const RBAC = 'rbac.authorization.k8s.io';
const CLUSTER_ROLES = `clusterroles.${RBAC}`;

/**
 * True when some binding grants it. `system:masters` may do everything. O(bindings of the namespace and the cluster).
 */
export function isAllowed(store: Store, attributes: Attributes): boolean {
  if (attributes.user.groups.includes('system:masters')) return true;
  const clusterWide = store.list(`clusterrolebindings.${RBAC}`).items;
  if (clusterWide.some((binding) => grants(store, binding, attributes))) return true;
  const { namespace } = attributes;
  if (namespace === undefined || namespace === '') return false;
  return store.list(`rolebindings.${RBAC}`, namespace).items.some((binding) => grants(store, binding, attributes));
}

function grants(store: Store, binding: StoredObject, attributes: Attributes): boolean {
  const subjects = listOf<Subject>(binding['subjects']);
  if (!subjects.some((subject) => isSubject(subject, attributes.user))) return false;
  return findRules(store, binding).some((rule) => permits(rule, attributes));
}

function isSubject({ kind, name, namespace }: Subject, user: User): boolean {
  if (kind === 'User') return user.name === name;
  if (kind === 'Group') return user.groups.includes(name);
  return kind === 'ServiceAccount' && user.name === `system:serviceaccount:${namespace}:${name}`;
}

function findRules(store: Store, binding: StoredObject): readonly Rule[] {
  const ref = binding['roleRef'];
  if (!isJsonObject(ref)) return [];
  const name = String(ref['name']);
  const role =
    ref['kind'] === 'ClusterRole'
      ? store.get({ resource: CLUSTER_ROLES, namespace: '', name })
      : store.get({ resource: `roles.${RBAC}`, namespace: binding.metadata.namespace ?? '', name });
  return listOf<Rule>(role?.['rules']).filter(({ verbs }) => Array.isArray(verbs));
}

/** The objects of a list; what is stored may have any shape, and one odd role must not stop the others. */
function listOf<T>(value: unknown): readonly T[] {
  return Array.isArray(value) ? (value.filter(isJsonObject) as unknown as readonly T[]) : []; // why: RBAC's own shapes
}

function permits(rule: Rule, { verb, group = '', resource, name, path }: Attributes): boolean {
  if (!includes(rule.verbs, verb)) return false;
  if (resource === undefined) return (rule.nonResourceURLs ?? []).some((pattern) => matchesPath(pattern, path ?? ''));
  const subresource = resource.includes('/') ? `*/${resource.slice(resource.indexOf('/') + 1)}` : resource;
  const resources = rule.resources ?? [];
  const isResource = includes(resources, resource) || resources.includes(subresource);
  const { resourceNames = [] } = rule;
  const isNamed = resourceNames.length === 0 || (name !== undefined && resourceNames.includes(name));
  return isResource && isNamed && includes(rule.apiGroups ?? [], group);
}

function includes(allowed: readonly string[], wanted: string): boolean {
  return allowed.includes('*') || allowed.includes(wanted);
}

function matchesPath(pattern: string, path: string): boolean {
  return pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1)));
}
