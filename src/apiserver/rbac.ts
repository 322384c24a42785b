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

/** What is allowed: verbs on resources, or on paths. */
export interface Rule {
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

/** The group of roles and bindings. */
export const RBAC = 'rbac.authorization.k8s.io';
const CLUSTER_ROLES = `clusterroles.${RBAC}`;

/**
 * True when some binding grants it. `system:masters` may do everything. O(bindings of the namespace and the cluster).
 */
export function isAllowed(store: Store, attributes: Attributes): boolean {
  const { user, namespace = '' } = attributes;
  return rulesOfUser(store, user, namespace).some((rule) => permits(rule, attributes));
}

const EVERYTHING: readonly Rule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

/** All that is granted to the user in the namespace, or in the whole cluster when it is empty. */
export function rulesOfUser(store: Store, user: User, namespace: string): readonly Rule[] {
  if (user.groups.includes('system:masters')) return EVERYTHING;
  const clusterWide = store.list(`clusterrolebindings.${RBAC}`).items;
  const local = namespace === '' ? [] : store.list(`rolebindings.${RBAC}`, namespace).items;
  return [...clusterWide, ...local]
    .filter((binding) => listOf<Subject>(binding['subjects']).some((subject) => isSubject(subject, user)))
    .flatMap((binding) => rulesOf(findRole(store, binding)));
}

function isSubject({ kind, name, namespace }: Subject, user: User): boolean {
  if (kind === 'User') return user.name === name;
  if (kind === 'Group') return user.groups.includes(name);
  return kind === 'ServiceAccount' && user.name === `system:serviceaccount:${namespace}:${name}`;
}

/** The role that a binding names. */
export function findRole(store: Store, binding: StoredObject): StoredObject | undefined {
  const ref = binding['roleRef'];
  if (!isJsonObject(ref)) return undefined;
  const name = String(ref['name']);
  return ref['kind'] === 'ClusterRole'
    ? store.get({ resource: CLUSTER_ROLES, namespace: '', name })
    : store.get({ resource: `roles.${RBAC}`, namespace: binding.metadata.namespace ?? '', name });
}

/** What a role allows; nothing where it has another shape. */
export function rulesOf(role: StoredObject | undefined): readonly Rule[] {
  return listOf<Rule>(role?.['rules']).filter(({ verbs }) => Array.isArray(verbs));
}

/** The rule's lists; what is no list of texts is empty. */
export function listRules(rule: Rule): Required<Rule> {
  const texts = (value: unknown) => (Array.isArray(value) ? value.map(String) : []);
  return {
    verbs: texts(rule.verbs),
    apiGroups: texts(rule.apiGroups),
    resources: texts(rule.resources),
    resourceNames: texts(rule.resourceNames),
    nonResourceURLs: texts(rule.nonResourceURLs),
  };
}

/** The objects of a list; what is stored may have any shape, and one odd role must not stop the others. */
function listOf<T>(value: unknown): readonly T[] {
  return Array.isArray(value) ? (value.filter(isJsonObject) as unknown as readonly T[]) : []; // why: RBAC's own shapes
}

function permits(rule: Rule, { verb, group = '', resource, name, path }: Attributes): boolean {
  const { verbs, apiGroups, resources, resourceNames, nonResourceURLs } = listRules(rule);
  if (!includes(verbs, verb)) return false;
  if (resource === undefined) return nonResourceURLs.some((pattern) => matchesPath(pattern, path ?? ''));
  const subresource = resource.includes('/') ? `*/${resource.slice(resource.indexOf('/') + 1)}` : resource;
  const isResource = includes(resources, resource) || resources.includes(subresource);
  const isNamed = resourceNames.length === 0 || (name !== undefined && resourceNames.includes(name));
  return isResource && isNamed && includes(apiGroups, group);
}

/** True when the list has it, or a star. */
export function includes(allowed: readonly string[], wanted: string): boolean {
  return allowed.includes('*') || allowed.includes(wanted);
}

/** `/apis/*` matches all below. */
export function matchesPath(pattern: string, path: string): boolean {
  return pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1)));
}
