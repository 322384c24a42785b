/**
 * Nobody gives away what they do not have: a role or binding that grants more than its author holds is refused. Source:
 * kubernetes pkg/registry/rbac, component-helpers auth/rbac/validation.
 */
import { isEqual, isJsonObject } from '../base/json.ts';
import type { StoredObject } from '../kube/object.ts';
import { StatusError } from '../kube/status-error.ts';
import {
  findRole,
  includes,
  isAllowed,
  listRules,
  matchesPath,
  RBAC,
  type Rule,
  rulesOf,
  rulesOfUser,
} from './rbac.ts';
import type { Store } from './store.ts';
import type { User } from './token.ts';

/** A write that is about to happen. */
export interface Grant {
  readonly store: Store;
  readonly user: User;
  readonly next: StoredObject;
  readonly before: StoredObject | undefined;
}

/** The refused details name this many rules at most. */
const NAMED_MAX = 10;

/**
 * @throws Forbidden when a role or binding grants what the user does not hold, unless `escalate` or `bind` lets them;
 * NotFound when a binding names no role. Other objects pass.
 */
export function checkEscalation({ store, user, next, before }: Grant): void {
  const { name, namespace = '' } = next.metadata;
  const plural = `${next.kind.toLowerCase()}s`;
  const may = (verb: string, resource: string, of: string) =>
    isAllowed(store, { user, verb, group: RBAC, resource, namespace, name: of });
  if (!next.apiVersion.startsWith(`${RBAC}/`)) return;
  if (next.kind === 'Role' || next.kind === 'ClusterRole') {
    const isSame = before !== undefined && isEqual(before['rules'], next['rules']);
    if (!isSame && !may('escalate', plural, name))
      checkCovered(store, user, { object: next, plural, rules: rulesOf(next) });
    return;
  }
  if (next.kind !== 'RoleBinding' && next.kind !== 'ClusterRoleBinding') return;
  if (before !== undefined && isSameGrant(before, next)) return;
  const ref = isJsonObject(next['roleRef']) ? next['roleRef'] : {};
  const roles = ref['kind'] === 'ClusterRole' ? 'clusterroles' : 'roles';
  const roleName = String(ref['name']);
  if (may('bind', roles, roleName)) return;
  const role = findRole(store, next);
  if (role === undefined) throw new StatusError('NotFound', `${roles}.${RBAC} "${roleName}" not found`);
  checkCovered(store, user, { object: next, plural, rules: rulesOf(role) });
}

function isSameGrant(before: StoredObject, next: StoredObject): boolean {
  return isEqual([before['subjects'], before['roleRef']], [next['subjects'], next['roleRef']]);
}

interface Granted {
  readonly object: StoredObject;
  readonly plural: string;
  readonly rules: readonly Rule[];
}

function checkCovered(store: Store, user: User, { object, plural, rules }: Granted): void {
  const { name, namespace = '' } = object.metadata;
  const held = rulesOfUser(store, user, namespace);
  const missing = rules.flatMap(splitRule).filter((rule) => !held.some((one) => covers(one, rule)));
  if (missing.length === 0) return;
  const listed = missing.slice(0, NAMED_MAX).map(formatRule).join('\n');
  const groups = user.groups.map((group) => JSON.stringify(group)).join(' ');
  const who = `user "${user.name}" (groups=[${groups}])`;
  const message = `${plural}.${RBAC} "${name}" is forbidden: ${who} is attempting to grant RBAC permissions not currently held:\n${listed}`;
  throw new StatusError('Forbidden', message, { details: { group: RBAC, kind: plural, name } });
}

/** One verb on one thing. */
function splitRule(rule: Rule): readonly Rule[] {
  const { verbs, apiGroups, resources, resourceNames, nonResourceURLs } = listRules(rule);
  const names = resourceNames.length === 0 ? [undefined] : resourceNames;
  return verbs.flatMap((verb) => [
    ...nonResourceURLs.map((url): Rule => ({ verbs: [verb], nonResourceURLs: [url] })),
    ...apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        names.map((name): Rule => {
          const what = { verbs: [verb], apiGroups: [group], resources: [resource] };
          return name === undefined ? what : { ...what, resourceNames: [name] };
        }),
      ),
    ),
  ]);
}

/** True when a rule that is held allows all that a split one does. */
function covers(held: Rule, wanted: Rule): boolean {
  const mine = listRules(held);
  const { verbs, apiGroups, resources, resourceNames, nonResourceURLs } = listRules(wanted);
  const [verb = '', group = '', resource = '', name, url] = [
    verbs[0],
    apiGroups[0],
    resources[0],
    resourceNames[0],
    nonResourceURLs[0],
  ];
  if (!includes(mine.verbs, verb)) return false;
  if (url !== undefined) return mine.nonResourceURLs.some((pattern) => matchesPath(pattern, url));
  const subresource = resource.includes('/') ? `*/${resource.slice(resource.indexOf('/') + 1)}` : resource;
  const isResource = includes(mine.resources, resource) || mine.resources.includes(subresource);
  const isNamed = mine.resourceNames.length === 0 || (name !== undefined && mine.resourceNames.includes(name));
  return includes(mine.apiGroups, group) && isResource && isNamed;
}

/** As Kubernetes prints it: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`. */
function formatRule(rule: Rule): string {
  const { verbs, apiGroups, resources, resourceNames, nonResourceURLs } = listRules(rule);
  const parts = {
    APIGroups: apiGroups,
    Resources: resources,
    ResourceNames: resourceNames,
    NonResourceURLs: nonResourceURLs,
    Verbs: verbs,
  };
  const said = Object.entries(parts).filter(([, list]) => list.length > 0);
  return `{${said.map(([title, list]) => `${title}:${JSON.stringify(list)}`).join(', ')}}`;
}
