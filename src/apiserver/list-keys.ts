/** Which lists of an object are associative: by the CRD's schema, or by Kubernetes' own habits for built-in kinds. */
import { isJsonObject } from '../base/json.ts';
import type { ListKeys } from '../kube/field-set.ts';
import type { StructuralSchema } from '../kube/structural.ts';

/** The last field of a path in a built-in kind, and what its items are known by (from Kubernetes' OpenAPI). */
const BUILTIN_KEYS: Readonly<Record<string, readonly string[]>> = {
  containers: ['name'],
  initContainers: ['name'],
  ephemeralContainers: ['name'],
  volumes: ['name'],
  env: ['name'],
  volumeMounts: ['mountPath'],
  volumeDevices: ['devicePath'],
  conditions: ['type'],
  ownerReferences: ['uid'],
  imagePullSecrets: ['name'],
  hostAliases: ['ip'],
  podIPs: ['ip'],
  topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'],
};

/** For built-in kinds, and for the metadata of custom ones. */
export const builtinListKeys: ListKeys = (path, list) => {
  const name = path.slice(path.lastIndexOf('.') + 1);
  const keys = name === 'ports' ? portKeys(path) : BUILTIN_KEYS[name];
  const isAssociative = keys !== undefined && list.every((item) => isJsonObject(item) && hasUniqueKey(item, keys));
  return isAssociative ? keys : undefined;
};

function portKeys(path: string): readonly string[] {
  return path.startsWith('spec.ports') ? ['port', 'protocol'] : ['containerPort', 'protocol'];
}

function hasUniqueKey(item: Readonly<Record<string, unknown>>, keys: readonly string[]): boolean {
  return keys.some((key) => item[key] !== undefined);
}

/** For custom kinds: as `x-kubernetes-list-type: map` says. */
export function schemaListKeys(schema: StructuralSchema): ListKeys {
  return (path, list) => {
    if (path.startsWith('metadata')) return builtinListKeys(path, list);
    const found = path.split('.').reduce<StructuralSchema | undefined>((at, name) => step(at, name), schema);
    return found?.['x-kubernetes-list-type'] === 'map' ? found['x-kubernetes-list-map-keys'] : undefined;
  };
}

function step(schema: StructuralSchema | undefined, name: string): StructuralSchema | undefined {
  const at = schema?.items ?? schema;
  const property = at?.properties?.[name];
  if (property !== undefined) return property;
  return typeof at?.additionalProperties === 'object' ? at.additionalProperties : undefined;
}
