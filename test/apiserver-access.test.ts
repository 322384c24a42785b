/** Who may do what: tokens of service accounts, roles, and the questions other doors ask the API server. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ApiClient } from '../src/client/types.ts';
import type { KubeObject, StoredObject } from '../src/kube/object.ts';
import { isStatusError, type Reason } from '../src/kube/status-error.ts';
import { WELL_KNOWN } from '../src/kube/well-known.ts';
import { startCluster, type TestCluster } from './cluster.ts';

let cluster: TestCluster;
before(async () => {
  cluster = await startCluster();
});
after(() => cluster.close());

const { ClusterRole, ConfigMap: MAPS, Role, RoleBinding, ServiceAccount } = WELL_KNOWN;
const RBAC = 'rbac.authorization.k8s.io';

interface TokenRequest {
  readonly status: { readonly token: string; readonly expirationTimestamp: string };
}

async function createAccount(name: string): Promise<string> {
  await cluster.client.create<KubeObject>(ServiceAccount, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name, namespace: 'default' },
  });
  return requestToken(name);
}

async function requestToken(name: string, spec: object = {}): Promise<string> {
  const path = `/api/v1/namespaces/default/serviceaccounts/${name}/token`;
  return (await cluster.client.request<TokenRequest>('POST', path, { spec })).status.token;
}

async function grant(account: string, rules: unknown): Promise<void> {
  const metadata = { name: account, namespace: 'default' };
  const role: StoredObject = { apiVersion: `${RBAC}/v1`, kind: 'Role', metadata, rules };
  const binding: StoredObject = {
    apiVersion: `${RBAC}/v1`,
    kind: 'RoleBinding',
    metadata,
    roleRef: { apiGroup: RBAC, kind: 'Role', name: account },
    subjects: [{ kind: 'ServiceAccount', name: account, namespace: 'default' }],
  };
  await cluster.client.create(Role, role);
  await cluster.client.create(RoleBinding, binding);
}

function map(name: string, namespace = 'default'): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace } };
}

const is = (reason: Reason) => (error: unknown) => isStatusError(error, reason);
const list = (client: ApiClient, namespace = 'default') => client.list(MAPS, { namespace });

test('an account may only what its role says, where it says it', async () => {
  const client = cluster.connect(await createAccount('reader'));
  await assert.rejects(list(client), (error) => {
    assert.ok(isStatusError(error, 'Forbidden'));
    assert.equal(
      error.message,
      'configmaps is forbidden: User "system:serviceaccount:default:reader" cannot list resource "configmaps" ' +
        'in API group "" in the namespace "default"',
    );
    return true;
  });
  await grant('reader', [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] }]);
  await list(client);
  await assert.rejects(list(client, 'kube-system'), is('Forbidden'));
  await assert.rejects(client.create(MAPS, map('no')), is('Forbidden'));
  await assert.rejects(client.list(WELL_KNOWN.Secret, { namespace: 'default' }), is('Forbidden'));
});

test('a role may be for named objects only', async () => {
  const client = cluster.connect(await createAccount('named'));
  await grant('named', [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get'], resourceNames: ['mine'] }]);
  await cluster.client.create(MAPS, map('mine'));
  await cluster.client.create(MAPS, map('other'));
  assert.equal((await client.get(MAPS, 'mine', 'default')).metadata.name, 'mine');
  await assert.rejects(client.get(MAPS, 'other', 'default'), is('Forbidden'));
  await assert.rejects(list(client), is('Forbidden'));
});

test('a token dies with its account, and with the pod it is bound to', async () => {
  const client = cluster.connect(await createAccount('mortal'));
  await client.request('GET', '/version');
  const pod = await cluster.client.create<KubeObject & { spec: object }>(WELL_KNOWN.Pod, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'bearer', namespace: 'default' },
    spec: { containers: [{ name: 'a', image: 'a' }] },
  });
  const boundObjectRef = { kind: 'Pod', apiVersion: 'v1', name: 'bearer', uid: pod.metadata.uid };
  const bound = cluster.connect(await requestToken('mortal', { boundObjectRef }));
  await bound.request('GET', '/version');
  await cluster.client.delete(WELL_KNOWN.Pod, 'bearer', { namespace: 'default' });
  await assert.rejects(bound.request('GET', '/version'), is('Unauthorized'));
  await cluster.client.delete(ServiceAccount, 'mortal', { namespace: 'default' });
  await assert.rejects(client.request('GET', '/version'), is('Unauthorized'));
  await createAccount('mortal');
  await assert.rejects(client.request('GET', '/version'), is('Unauthorized'), 'an account of the same name is another');
});

test('who bears no token, or a false one, is nobody', async () => {
  for (const token of ['wrong', 'a.b.c']) {
    await assert.rejects(cluster.connect(token).request('GET', '/version'), is('Unauthorized'));
  }
  const anonymous = await cluster.raw('/version', { headers: { authorization: '' } });
  assert.deepEqual([anonymous.code, anonymous.status.reason], [401, 'Unauthorized']);
});

test('a token made for others does not open this door', async () => {
  await createAccount('audience');
  const token = await requestToken('audience', { audiences: ['vault'] });
  await assert.rejects(cluster.connect(token).request('GET', '/version'), is('Unauthorized'));
  assert.equal((await review(token)).authenticated, false);
  assert.equal((await review(token, ['vault'])).authenticated, true);
});

test('a token lives at least ten minutes', async () => {
  await createAccount('short');
  await assert.rejects(requestToken('short', { expirationSeconds: 599 }), is('Invalid'));
});

interface Reviewed {
  readonly authenticated: boolean;
  readonly user?: { readonly username: string; readonly groups: readonly string[] };
}

async function review(token: string, audiences?: readonly string[]): Promise<Reviewed> {
  const path = '/apis/authentication.k8s.io/v1/tokenreviews';
  const spec = { token, ...(audiences && { audiences }) };
  return (await cluster.client.request<{ status: Reviewed }>('POST', path, { spec })).status;
}

test('TokenReview tells who bears a token', async () => {
  const { authenticated, user } = await review(await createAccount('reviewed'));
  assert.deepEqual([authenticated, user?.username], [true, 'system:serviceaccount:default:reviewed']);
  assert.ok(user?.groups.includes('system:serviceaccounts:default'));
  assert.equal((await review('wrong')).authenticated, false);
});

test('SelfSubjectAccessReview and SubjectAccessReview tell what one may do', async () => {
  const client = cluster.connect(await createAccount('curious'));
  await grant('curious', [{ apiGroups: [''], resources: ['pods/log'], verbs: ['get'] }]);
  const ask = async (by: ApiClient, kind: string, spec: object) => {
    const path = `/apis/authorization.k8s.io/v1/${kind}`;
    return (await by.request<{ status: { allowed: boolean } }>('POST', path, { spec })).status.allowed;
  };
  const attributes = { verb: 'get', resource: 'pods', namespace: 'default' };
  const logs = { ...attributes, subresource: 'log' };
  assert.equal(await ask(client, 'selfsubjectaccessreviews', { resourceAttributes: logs }), true);
  assert.equal(await ask(client, 'selfsubjectaccessreviews', { resourceAttributes: attributes }), false);
  const user = 'system:serviceaccount:default:curious';
  assert.equal(await ask(cluster.client, 'subjectaccessreviews', { user, resourceAttributes: logs }), true);
  assert.equal(await ask(cluster.client, 'subjectaccessreviews', { user: 'else', resourceAttributes: logs }), false);
  await assert.rejects(ask(client, 'subjectaccessreviews', { user, resourceAttributes: logs }), is('Forbidden'));
});

test('roles and bindings that are no lists grant nothing and stop nobody', async () => {
  const client = cluster.connect(await createAccount('odd'));
  await grant('odd', 'everything');
  const metadata = { name: 'odder', namespace: 'default' };
  await cluster.client.create<StoredObject>(RoleBinding, {
    apiVersion: `${RBAC}/v1`,
    kind: 'RoleBinding',
    metadata,
    subjects: 5,
  });
  await assert.rejects(list(client), is('Forbidden'));
});

/** An account that may write roles and bindings, and read config maps, but nothing else. */
async function createAuthor(name: string, more: readonly unknown[] = []): Promise<ApiClient> {
  const client = cluster.connect(await createAccount(name));
  const verbs = ['create', 'update', 'patch', 'get'];
  await grant(name, [
    { apiGroups: [RBAC], resources: ['roles', 'rolebindings', 'clusterroles'], verbs },
    { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] },
    { apiGroups: [''], resources: ['secrets'], verbs: ['get'], resourceNames: ['mine'] },
    { apiGroups: ['apps'], resources: ['*/status'], verbs: ['*'] },
    ...more,
  ]);
  return client;
}

const role = (name: string, rules: unknown): StoredObject => ({
  apiVersion: `${RBAC}/v1`,
  kind: 'Role',
  metadata: { name, namespace: 'default' },
  rules,
});

const rule = (group: string, resource: string, verbs: readonly string[]) => ({
  apiGroups: [group],
  resources: [resource],
  verbs,
});

const named = (one: object, ...resourceNames: readonly string[]) => ({ ...one, resourceNames });

const bindingOf = (name: string, kind: string, roleName: string): StoredObject => ({
  apiVersion: `${RBAC}/v1`,
  kind: 'RoleBinding',
  metadata: { name, namespace: 'default' },
  roleRef: { apiGroup: RBAC, kind, name: roleName },
  subjects: [{ kind: 'ServiceAccount', name: 'friend', namespace: 'default' }],
});

const GRANTS: Record<string, { readonly rule: object; readonly isHeld: boolean }> = {
  'what one holds': { rule: rule('', 'configmaps', ['get']), isHeld: true },
  'a name of what one holds': { rule: named(rule('', 'configmaps', ['list']), 'a'), isHeld: true },
  'another verb': { rule: rule('', 'configmaps', ['get', 'delete']), isHeld: false },
  'every verb': { rule: rule('', 'configmaps', ['*']), isHeld: false },
  'another resource': { rule: rule('', 'pods', ['get']), isHeld: false },
  'another group': { rule: rule('apps', 'configmaps', ['get']), isHeld: false },
  'the name one holds': { rule: named(rule('', 'secrets', ['get']), 'mine'), isHeld: true },
  'a name besides the one one holds': { rule: named(rule('', 'secrets', ['get']), 'mine', 'other'), isHeld: false },
  'all where one holds a name': { rule: rule('', 'secrets', ['get']), isHeld: false },
  'a subresource of any': { rule: rule('apps', 'deployments/status', ['patch']), isHeld: true },
  'another subresource': { rule: rule('apps', 'deployments/scale', ['patch']), isHeld: false },
  'a path': { rule: { nonResourceURLs: ['/version'], verbs: ['get'] }, isHeld: true },
  'every path': { rule: { nonResourceURLs: ['*'], verbs: ['get'] }, isHeld: false },
};

test('a role that grants more than its author holds is refused, however it is written', async () => {
  const client = await createAuthor('author');
  await cluster.client.create(Role, role('changed', []));
  const at = { name: 'changed', namespace: 'default' };
  for (const [index, [sentence, granted]] of Object.entries(GRANTS).entries()) {
    const writes = [
      () => client.create(Role, role(`granted-${index}`, [granted.rule])),
      () => client.update(Role, role('changed', [granted.rule])),
      () => client.patch(Role, { ...at, type: 'merge', body: { rules: [granted.rule] } }),
      () => client.patch(Role, { ...at, type: 'apply', body: role('changed', [granted.rule]), force: true }),
    ];
    for (const write of writes) {
      if (granted.isHeld) await write();
      else await assert.rejects(write(), is('Forbidden'), sentence);
    }
  }
  await assert.rejects(client.create(Role, role('no', [GRANTS['another resource']?.rule])), (error) => {
    assert.ok(isStatusError(error, 'Forbidden'));
    assert.match(error.message, /^roles\.rbac\.authorization\.k8s\.io "no" is forbidden: user "system:serv\S+author" /);
    assert.match(
      error.message,
      /permissions not currently held:\n\{APIGroups:\[""\], Resources:\["pods"\], Verbs:\["get"\]\}$/,
    );
    return true;
  });
});

test('a role one does not hold may be changed in what grants nothing, and never bound', async () => {
  const client = await createAuthor('binder');
  await cluster.client.create(Role, role('strong', [rule('', 'pods', ['*'])]));
  const labels = {
    name: 'strong',
    namespace: 'default',
    type: 'merge',
    body: { metadata: { labels: { a: 'b' } } },
  } as const;
  await client.patch(Role, labels);
  await assert.rejects(client.create(RoleBinding, bindingOf('b', 'Role', 'strong')), is('Forbidden'));
  await assert.rejects(client.create(RoleBinding, bindingOf('b', 'ClusterRole', 'cluster-admin')), is('Forbidden'));
  await assert.rejects(client.create(RoleBinding, bindingOf('b', 'Role', 'not-there')), is('NotFound'));
  await cluster.client.create(RoleBinding, bindingOf('strong', 'Role', 'strong'));
  await client.patch(RoleBinding, labels);
  const subjects = [{ kind: 'ServiceAccount', name: 'binder', namespace: 'default' }];
  await assert.rejects(client.patch(RoleBinding, { ...labels, body: { subjects } }), is('Forbidden'));
  const roleRef = { apiGroup: RBAC, kind: 'Role', name: 'changed' };
  const moved = cluster.client.patch(RoleBinding, { ...labels, body: { roleRef } });
  await assert.rejects(moved, is('Invalid'), 'a binding keeps its role');
  await client.create(Role, role('weak', [rule('', 'configmaps', ['get'])]));
  await client.create(RoleBinding, bindingOf('weak', 'Role', 'weak'));
});

test('the verbs escalate and bind let one grant what one does not hold', async () => {
  const trusted = await createAuthor('trusted', [
    rule(RBAC, 'roles', ['escalate']),
    named(rule(RBAC, 'roles', ['bind']), 'free'),
  ]);
  await trusted.create(Role, role('free', [rule('', 'pods', ['*'])]));
  await trusted.create(RoleBinding, bindingOf('free', 'Role', 'free'));
  await trusted.create(Role, role('other', [rule('', 'pods', ['*'])]));
  await assert.rejects(trusted.create(RoleBinding, bindingOf('other', 'Role', 'other')), is('Forbidden'));
});

test('what one holds in a namespace one does not hold in the cluster', async () => {
  const client = cluster.connect(await createAccount('local'));
  await grant('local', [rule('*', '*', ['*'])]);
  await client.create(Role, role('mine', [rule('*', '*', ['*'])]));
  const metadata = { name: 'local' };
  const subjects = [{ kind: 'ServiceAccount', name: 'local', namespace: 'default' }];
  await cluster.client.create<StoredObject>(ClusterRole, {
    ...role('local', [rule(RBAC, 'clusterroles', ['create'])]),
    kind: 'ClusterRole',
    metadata,
  });
  const roleRef = { apiGroup: RBAC, kind: 'ClusterRole', name: 'local' };
  const clusterBinding = { apiVersion: `${RBAC}/v1`, kind: 'ClusterRoleBinding', metadata, roleRef, subjects };
  await cluster.client.create<StoredObject>(WELL_KNOWN.ClusterRoleBinding, clusterBinding);
  const wide = { ...role('wide', [rule('', 'configmaps', ['get'])]), kind: 'ClusterRole', metadata: { name: 'wide' } };
  await assert.rejects(client.create<StoredObject>(ClusterRole, wide), is('Forbidden'));
});

test('nothing above was the server’s own trouble', () => assert.deepEqual(cluster.reported, []));
