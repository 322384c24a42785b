/**
 * The resources of Kubernetes that the embedded server offers, with the columns kubectl shows. Their rules are in
 * builtin-rules.ts.
 */
import { isJsonObject } from '../base/json.ts';
import type { KubeObject, StoredObject } from '../kube/object.ts';
import type { Event, Node, Pod } from '../kube/pod.ts';
import { WELL_KNOWN } from '../kube/well-known.ts';
import { checkBinding, checkNamespace, checkPod, setNamespaceDefaults, setPodDefaults } from './builtin-rules.ts';
import { builtinListKeys } from './list-keys.ts';
import { describePod } from './pod-columns.ts';
import { acceptCrd, checkCrd } from './registry.ts';
import type { PrinterColumn, Resource } from './resource.ts';
import { formatAge } from './table.ts';

type Known = keyof typeof WELL_KNOWN;

interface Extra {
  readonly shortNames?: readonly string[];
  readonly hasStatus?: boolean;
  readonly columns?: readonly PrinterColumn[];
  readonly setDefaults?: (object: StoredObject) => StoredObject;
  readonly check?: Resource['check'];
}

const AGE: PrinterColumn = {
  name: 'Age',
  type: 'string',
  read: ({ metadata }, nowMs) => formatAge(metadata.creationTimestamp, nowMs),
};

function text(
  name: string,
  read: string | ((object: KubeObject, nowMs: number) => string | number | boolean),
): PrinterColumn {
  return { name, type: 'string', read };
}

const countData = (field: string) => (object: KubeObject) => {
  const value = (object as StoredObject)[field]; // why: config maps and secrets carry their content beside the metadata
  return isJsonObject(value) ? Object.keys(value).length : 0;
};

function nodeStatus(object: KubeObject): string {
  const { status, spec } = object as Node; // why: called for nodes only
  const isReady = status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
  return [isReady ? 'Ready' : 'NotReady', ...(spec?.unschedulable === true ? ['SchedulingDisabled'] : [])].join(',');
}

function podColumn(
  name: string,
  pick: (described: ReturnType<typeof describePod>) => string,
  priority = 0,
): PrinterColumn {
  return { name, type: 'string', priority, read: (object) => pick(describePod(object as Pod)) }; // why: pods only
}

const POD_COLUMNS: readonly PrinterColumn[] = [
  podColumn('Ready', ({ ready }) => ready),
  podColumn('Status', ({ reason }) => reason),
  podColumn('Restarts', ({ restarts }) => restarts),
  AGE,
  podColumn('IP', ({ ip }) => ip, 1),
  podColumn('Node', ({ node }) => node, 1),
];

const eventOf = (object: KubeObject) => object as Event; // why: the events' columns are read from events only

const EXTRAS: Readonly<Record<Known, Extra>> = {
  Namespace: {
    shortNames: ['ns'],
    hasStatus: true,
    columns: [text('Status', '.status.phase'), AGE],
    setDefaults: setNamespaceDefaults,
    check: checkNamespace,
  },
  Node: {
    shortNames: ['no'],
    hasStatus: true,
    columns: [text('Status', nodeStatus), AGE, text('Version', '.status.nodeInfo.kubeletVersion')],
  },
  Pod: { shortNames: ['po'], hasStatus: true, columns: POD_COLUMNS, setDefaults: setPodDefaults, check: checkPod },
  ConfigMap: { shortNames: ['cm'], columns: [text('Data', countData('data')), AGE] },
  Secret: { columns: [text('Type', '.type'), text('Data', countData('data')), AGE] },
  Service: {
    shortNames: ['svc'],
    hasStatus: true,
    columns: [text('Type', '.spec.type'), text('Cluster-IP', '.spec.clusterIP'), AGE],
  },
  ServiceAccount: { shortNames: ['sa'], columns: [AGE] },
  Event: {
    shortNames: ['ev'],
    columns: [
      text('Last Seen', (object, nowMs) =>
        formatAge(eventOf(object).lastTimestamp ?? object.metadata.creationTimestamp, nowMs),
      ),
      text('Type', '.type'),
      text('Reason', '.reason'),
      text(
        'Object',
        (object) => `${eventOf(object).involvedObject?.kind?.toLowerCase()}/${eventOf(object).involvedObject?.name}`,
      ),
      text('Message', '.message'),
    ],
  },
  PersistentVolumeClaim: { shortNames: ['pvc'], hasStatus: true, columns: [text('Status', '.status.phase'), AGE] },
  Lease: { columns: [text('Holder', '.spec.holderIdentity'), AGE] },
  PriorityClass: { shortNames: ['pc'], columns: [text('Value', '.value'), AGE] },
  Role: { columns: [text('Created At', '.metadata.creationTimestamp')] },
  RoleBinding: { columns: [text('Role', '.roleRef.name'), AGE], check: checkBinding },
  ClusterRole: { columns: [text('Created At', '.metadata.creationTimestamp')] },
  ClusterRoleBinding: { columns: [text('Role', '.roleRef.name'), AGE], check: checkBinding },
  CustomResourceDefinition: {
    shortNames: ['crd', 'crds'],
    hasStatus: true,
    columns: [text('Created At', '.metadata.creationTimestamp')],
    setDefaults: acceptCrd,
    check: checkCrd,
  },
};

/** All of them, as discovery lists them. */
export const BUILTIN_RESOURCES: readonly Resource[] = Object.entries(WELL_KNOWN).map(([kind, ref]) => {
  // why: keys of WELL_KNOWN
  const { shortNames = [], hasStatus = false, columns = [AGE], setDefaults, check } = EXTRAS[kind as Known];
  return {
    ...ref,
    singular: kind.toLowerCase(),
    shortNames,
    hasStatus,
    isCustom: false,
    columns,
    listKeys: builtinListKeys,
    categories: kind === 'Pod' || kind === 'Service' ? ['all'] : [],
    ...(setDefaults && { setDefaults }),
    ...(check && { check }),
  };
});
