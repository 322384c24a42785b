/** What every cluster has from its first moment: namespaces, roles, and in each namespace an account and the CA. */
import type { Cancel, Clock } from '../base/clock.ts';
import type { StoredObject } from '../kube/object.ts';
import { isStatusError } from '../kube/status-error.ts';
import { WELL_KNOWN } from '../kube/well-known.ts';
import type { Registry } from './registry.ts';
import { resourceName } from './resource.ts';
import type { Store } from './store.ts';
import type { Writer } from './writer.ts';

export interface BootstrapOptions {
  readonly store: Store;
  readonly writer: Writer;
  readonly registry: Registry;
  readonly caPem: string;
  readonly clock: Clock;
  readonly report: (error: unknown) => void;
}

/** A namespace that could not be furnished, for want of a disk, is tried again after this long. */
const RETRY_MS = 5_000;
const NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease', 'athanor-system'];
const RBAC = 'rbac.authorization.k8s.io';

const ROLES: readonly StoredObject[] = [
  clusterRole('cluster-admin', [
    { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
    { nonResourceURLs: ['*'], verbs: ['*'] },
  ]),
  clusterRole('system:discovery', [
    {
      nonResourceURLs: ['/api', '/api/*', '/apis', '/apis/*', '/version', '/healthz', '/livez', '/readyz'],
      verbs: ['get'],
    },
  ]),
  clusterRole('system:basic-user', [
    { apiGroups: ['authorization.k8s.io'], resources: ['selfsubjectaccessreviews'], verbs: ['create'] },
  ]),
  clusterRoleBinding('cluster-admin', { kind: 'Group', name: 'system:masters' }),
  clusterRoleBinding('system:discovery', { kind: 'Group', name: 'system:authenticated' }),
  clusterRoleBinding('system:basic-user', { kind: 'Group', name: 'system:authenticated' }),
];

function clusterRole(name: string, rules: readonly unknown[]): StoredObject {
  return { apiVersion: `${RBAC}/v1`, kind: 'ClusterRole', metadata: { name }, rules };
}

function clusterRoleBinding(name: string, subject: { readonly kind: string; readonly name: string }): StoredObject {
  const roleRef = { apiGroup: RBAC, kind: 'ClusterRole', name };
  return {
    apiVersion: `${RBAC}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name },
    roleRef,
    subjects: [{ ...subject, apiGroup: RBAC }],
  };
}

/** Creates what is missing now, and furnishes namespaces as they come; returns how to stop. */
export async function bootstrap(options: BootstrapOptions): Promise<() => void> {
  const { store, clock, report } = options;
  const retries = new Map<string, Cancel>();
  const furnishSoon = (namespace: string) => {
    retries.delete(namespace);
    if (store.get({ resource: 'namespaces', namespace: '', name: namespace }) === undefined) return;
    furnish(options, namespace).catch((error: unknown) => {
      report(error);
      retries.set(
        namespace,
        clock.after(RETRY_MS, () => furnishSoon(namespace)),
      );
    });
  };
  const unsubscribe = store.subscribe(({ type, object }) => {
    if (object.kind === 'Namespace' && type === 'ADDED') furnishSoon(object.metadata.name);
  });
  for (const name of NAMESPACES) await ensure(options, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  for (const role of ROLES) await ensure(options, role);
  for (const namespace of store.list('namespaces').items) await furnish(options, namespace.metadata.name);
  return () => {
    unsubscribe();
    for (const cancel of retries.values()) cancel();
  };
}

async function furnish(options: BootstrapOptions, namespace: string): Promise<void> {
  await ensure(options, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } });
  const metadata = { name: 'kube-root-ca.crt', namespace };
  await ensure(options, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'ca.crt': options.caPem } });
}

async function ensure({ writer, registry, store }: BootstrapOptions, object: StoredObject): Promise<void> {
  const ref = WELL_KNOWN[object.kind as keyof typeof WELL_KNOWN]; // why: only kinds of that table are made here
  const resource = registry.find(ref.group, ref.version, ref.plural);
  const { name, namespace = '' } = object.metadata;
  if (resource === undefined || store.get({ resource: resourceName(ref), namespace, name }) !== undefined) return;
  const context = {
    resource,
    namespace,
    name,
    fieldManager: 'athanor',
    fieldValidation: 'Ignore' as const,
    dryRun: false,
    warn: () => undefined,
  };
  try {
    await writer.create(context, object);
  } catch (error) {
    if (!isStatusError(error, 'AlreadyExists')) throw error;
  }
}
