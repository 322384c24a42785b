/**
 * Defaults and checks of Kubernetes' own kinds, as far as the embedded cluster relies on them. Source: kubernetes
 * pkg/apis/core/validation.
 */
import { isEqual, isJsonObject } from '../base/json.ts';
import type { StoredObject } from '../kube/object.ts';
import type { Container, Pod, PodSpec } from '../kube/pod.ts';
import { QUANTITY_PATTERN } from '../kube/quantity.ts';
import type { FieldCause } from '../kube/status-error.ts';
import { invalidCause } from '../kube/structural.ts';

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const DNS_LABEL_RULE =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";

/** A namespace starts active and is held until its content is gone. */
export function setNamespaceDefaults(object: StoredObject): StoredObject {
  const spec = isJsonObject(object['spec']) ? object['spec'] : {};
  const phase = object.metadata.deletionTimestamp === undefined ? 'Active' : 'Terminating';
  const labels = { ...object.metadata.labels, 'kubernetes.io/metadata.name': object.metadata.name };
  return {
    ...object,
    metadata: { ...object.metadata, labels },
    spec: { finalizers: ['kubernetes'], ...spec },
    status: { phase },
  };
}

/** Namespaces are DNS labels, not subdomains. */
export function checkNamespace({ metadata }: StoredObject): readonly FieldCause[] {
  return DNS_LABEL.test(metadata.name) ? [] : [invalidCause('metadata.name', metadata.name, DNS_LABEL_RULE)];
}

/** The defaults of a pod that the agent and the scheduler rely on. */
export function setPodDefaults(object: StoredObject): StoredObject {
  if (!isJsonObject(object['spec'])) return object;
  const spec = object['spec'] as unknown as PodSpec; // why: checkPod has the last word on its fields
  const defaults = {
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    schedulerName: 'default-scheduler',
    serviceAccountName: 'default',
    dnsPolicy: 'ClusterFirst',
    enableServiceLinks: true,
    securityContext: {},
  };
  return { ...object, spec: { ...defaults, ...spec }, status: object['status'] ?? { phase: 'Pending' } };
}

/** What is wrong with a pod. After creation only what schedules or labels it may change. */
export function checkPod(object: StoredObject, before?: StoredObject): readonly FieldCause[] {
  const { spec } = object as unknown as Partial<Pod>; // why: an object of this resource, not yet known to be whole
  if (!isJsonObject(spec)) return [required('spec')];
  // why: as above
  const { containers, initContainers = [], volumes = [], restartPolicy } = spec as unknown as Partial<PodSpec>;
  if (!Array.isArray(containers) || containers.length === 0) return [required('spec.containers')];
  const shapeCauses = Object.entries({ containers, initContainers, volumes }).flatMap(([name, list]) =>
    checkObjects(list, `spec.${name}`),
  );
  if (shapeCauses.length > 0) return shapeCauses;
  const volumeNames = new Set(volumes.map(({ name }) => name));
  const causes = [
    ...initContainers.flatMap((container, index) =>
      checkContainer(container, `spec.initContainers[${index}]`, volumeNames),
    ),
    ...containers.flatMap((container, index) => checkContainer(container, `spec.containers[${index}]`, volumeNames)),
    ...checkDuplicates([...initContainers, ...containers]),
  ];
  if (!['Always', 'OnFailure', 'Never'].includes(String(restartPolicy))) {
    causes.push({
      reason: 'FieldValueNotSupported',
      field: 'spec.restartPolicy',
      message: `Unsupported value: ${JSON.stringify(restartPolicy)}: supported values: "Always", "Never", "OnFailure"`,
    });
  }
  return before === undefined ? causes : [...causes, ...checkImmutable(object, before)];
}

function checkObjects(list: unknown, path: string): readonly FieldCause[] {
  if (!Array.isArray(list)) return [invalidCause(path, list, 'must be a list')];
  return list.flatMap((item, index) =>
    isJsonObject(item) ? [] : [invalidCause(`${path}[${index}]`, item, 'must be an object')],
  );
}

function checkContainer(container: Container, path: string, volumes: ReadonlySet<string>): readonly FieldCause[] {
  const { name, image, volumeMounts = [], resources = {} } = container;
  const causes: FieldCause[] = [];
  if (!name) causes.push(required(`${path}.name`));
  else if (!DNS_LABEL.test(name)) causes.push(invalidCause(`${path}.name`, name, DNS_LABEL_RULE));
  if (!image) causes.push(required(`${path}.image`));
  const mountCauses = checkObjects(volumeMounts, `${path}.volumeMounts`);
  if (mountCauses.length > 0) return [...causes, ...mountCauses];
  for (const [index, mount] of volumeMounts.entries()) {
    if (!mount.mountPath) causes.push(required(`${path}.volumeMounts[${index}].mountPath`));
    if (!volumes.has(mount.name)) {
      const field = `${path}.volumeMounts[${index}].name`;
      causes.push({ reason: 'FieldValueNotFound', message: `Not found: ${JSON.stringify(mount.name)}`, field });
    }
  }
  for (const [group, amounts] of Object.entries(resources)) {
    for (const [resource, amount] of Object.entries(isJsonObject(amounts) ? amounts : {})) {
      if (QUANTITY.test(String(amount))) continue;
      causes.push(
        invalidCause(
          `${path}.resources.${group}[${resource}]`,
          amount,
          'quantities must match the regular expression of Kubernetes',
        ),
      );
    }
  }
  return causes;
}

const QUANTITY = new RegExp(QUANTITY_PATTERN);

function checkDuplicates(containers: readonly Container[]): readonly FieldCause[] {
  const names = containers.map(({ name }) => name);
  return names.flatMap((name, index) =>
    names.indexOf(name) === index
      ? []
      : [
          {
            reason: 'FieldValueDuplicate',
            message: `Duplicate value: ${JSON.stringify(name)}`,
            field: `spec.containers[${index}].name`,
          },
        ],
  );
}

function checkImmutable(object: StoredObject, before: StoredObject): readonly FieldCause[] {
  if (isEqual(fixedPart(object), fixedPart(before))) return [];
  return [
    {
      reason: 'FieldValueForbidden',
      field: 'spec',
      message: 'Forbidden: pod updates may not change fields other than node, tolerations and grace period',
    },
  ];
}

function fixedPart(object: StoredObject): unknown {
  const spec = isJsonObject(object['spec']) ? object['spec'] : {};
  const { nodeName: _nodeName, tolerations: _tolerations, terminationGracePeriodSeconds: _grace, ...fixed } = spec;
  return fixed;
}

function required(field: string): FieldCause {
  return { reason: 'FieldValueRequired', message: 'Required value', field };
}

/** A binding keeps its role: who reads the one must be sure of the other. */
export function checkBinding(object: StoredObject, before?: StoredObject): readonly FieldCause[] {
  if (before === undefined || isEqual(object['roleRef'], before['roleRef'])) return [];
  return [invalidCause('roleRef', object['roleRef'], 'cannot change roleRef')];
}
