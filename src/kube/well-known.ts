/**
 * Kubernetes' own kinds that Athanor speaks of: where the API serves them. What is kept about them is the API server's
 * affair.
 */
import type { ResourceRef } from './object.ts';

function core(kind: string, plural: string, scope: ResourceRef['scope'] = 'Namespaced'): ResourceRef {
  return { group: '', version: 'v1', kind, plural, scope };
}

function grouped(group: string, ref: ResourceRef): ResourceRef {
  return { ...ref, group };
}

const RBAC = 'rbac.authorization.k8s.io';

/** By kind, as `owns` and `reads` name them. */
export const WELL_KNOWN = {
  Namespace: core('Namespace', 'namespaces', 'Cluster'),
  Node: core('Node', 'nodes', 'Cluster'),
  Pod: core('Pod', 'pods'),
  ConfigMap: core('ConfigMap', 'configmaps'),
  Secret: core('Secret', 'secrets'),
  Service: core('Service', 'services'),
  ServiceAccount: core('ServiceAccount', 'serviceaccounts'),
  Event: core('Event', 'events'),
  PersistentVolumeClaim: core('PersistentVolumeClaim', 'persistentvolumeclaims'),
  Lease: grouped('coordination.k8s.io', core('Lease', 'leases')),
  PriorityClass: grouped('scheduling.k8s.io', core('PriorityClass', 'priorityclasses', 'Cluster')),
  Role: grouped(RBAC, core('Role', 'roles')),
  RoleBinding: grouped(RBAC, core('RoleBinding', 'rolebindings')),
  ClusterRole: grouped(RBAC, core('ClusterRole', 'clusterroles', 'Cluster')),
  ClusterRoleBinding: grouped(RBAC, core('ClusterRoleBinding', 'clusterrolebindings', 'Cluster')),
  CustomResourceDefinition: grouped(
    'apiextensions.k8s.io',
    core('CustomResourceDefinition', 'customresourcedefinitions', 'Cluster'),
  ),
} as const satisfies Record<string, ResourceRef>;
