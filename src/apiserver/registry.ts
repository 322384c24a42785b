/** Which resources are served now: the built-in ones, and one for each accepted CustomResourceDefinition. */
import { isJsonObject, type JsonObject } from '../base/json.ts';
import type { StoredObject } from '../kube/object.ts';
import type { FieldCause } from '../kube/status-error.ts';
import { invalidCause, type StructuralSchema } from '../kube/structural.ts';
import { schemaListKeys } from './list-keys.ts';
import { type Resource, resourceName } from './resource.ts';

interface CrdVersion {
  readonly name: string;
  readonly served: boolean;
  readonly storage: boolean;
  readonly schema?: { readonly openAPIV3Schema?: StructuralSchema };
  readonly subresources?: { readonly status?: unknown };
  readonly additionalPrinterColumns?: readonly {
    readonly name: string;
    readonly type: string;
    readonly jsonPath: string;
    readonly priority?: number;
    readonly description?: string;
  }[];
}

interface CrdSpec {
  readonly group: string;
  readonly scope: Resource['scope'];
  readonly names: {
    readonly kind: string;
    readonly plural: string;
    readonly singular?: string;
    readonly shortNames?: readonly string[];
    readonly categories?: readonly string[];
  };
  readonly versions: readonly CrdVersion[];
}

/** The name of the CRDs' own resource. */
export const CRDS = 'customresourcedefinitions.apiextensions.k8s.io';

/** The resources that are served now. */
export class Registry {
  readonly #builtin: readonly Resource[];
  readonly #custom = new Map<string, readonly Resource[]>();

  constructor(builtin: readonly Resource[]) {
    this.#builtin = builtin;
  }

  /** All resources: built-in ones first, in the order they were given. */
  list(): readonly Resource[] {
    return [...this.#builtin, ...[...this.#custom.values()].flat()];
  }

  find(group: string, version: string, plural: string): Resource | undefined {
    return this.list().find(
      (resource) => resource.plural === plural && resource.group === group && resource.version === version,
    );
  }

  /** By the name the store knows it by: `pods`, `trainingjobs.athanor.dev`. */
  findByName(name: string): Resource | undefined {
    return this.list().find((resource) => resourceName(resource) === name);
  }

  /** Serves what the CRD declares, from now on. */
  addCrd(crd: StoredObject): void {
    const spec = crd['spec'] as CrdSpec; // why: checked by checkCrd before it was stored
    this.#custom.set(
      crd.metadata.name,
      spec.versions
        .filter(({ served }) => served)
        .map((version) => ({ ...toResource(spec, version), isTerminating: isTerminating(crd) })),
    );
  }

  removeCrd(name: string): void {
    this.#custom.delete(name);
  }
}

function isTerminating({ metadata }: StoredObject): boolean {
  return metadata.deletionTimestamp !== undefined;
}

function toResource({ group, scope, names }: CrdSpec, version: CrdVersion): Resource {
  const schema = version.schema?.openAPIV3Schema ?? { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  const columns = version.additionalPrinterColumns ?? [
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ];
  return {
    group,
    version: version.name,
    kind: names.kind,
    plural: names.plural,
    scope,
    singular: names.singular ?? names.kind.toLowerCase(),
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    hasStatus: version.subresources?.status !== undefined,
    isCustom: true,
    schema,
    listKeys: schemaListKeys(schema),
    columns: columns.map(({ jsonPath, ...column }) => ({ ...column, read: jsonPath })),
  };
}

/** What keeps a CustomResourceDefinition from being served. */
export function checkCrd(crd: StoredObject): readonly FieldCause[] {
  if (!isJsonObject(crd['spec'])) return [{ reason: 'FieldValueRequired', message: 'Required value', field: 'spec' }];
  const { group, scope, names, versions } = crd['spec'] as unknown as Partial<CrdSpec>; // why: about to be checked
  const causes: FieldCause[] = [];
  for (const [field, value] of Object.entries({
    group,
    scope,
    'names.kind': names?.kind,
    'names.plural': names?.plural,
    versions,
  })) {
    if (value === undefined)
      causes.push({ reason: 'FieldValueRequired', message: 'Required value', field: `spec.${field}` });
  }
  if (causes.length > 0) return causes;
  if (crd.metadata.name !== `${names?.plural}.${group}`) {
    causes.push(invalidCause('metadata.name', crd.metadata.name, 'must be spec.names.plural+"."+spec.group'));
  }
  if (!Array.isArray(versions) || !versions.every(isJsonObject)) {
    return [...causes, invalidCause('spec.versions', versions, 'must be a list of objects')];
  }
  causes.push(...versions.flatMap(checkPatterns));
  if (versions.filter(({ storage }) => storage).length !== 1) {
    causes.push(
      invalidCause('spec.versions', versions.length, 'must have exactly one version marked as storage version'),
    );
  }
  return causes;
}

/** A pattern that does not compile would fail every object instead. */
function checkPatterns({ schema }: JsonObject, index: number): readonly FieldCause[] {
  const find = (at: unknown, path: string): readonly FieldCause[] => {
    if (typeof at !== 'object' || at === null) return [];
    const below = Object.entries(at).flatMap(([name, item]) => find(item, `${path}.${name}`));
    const pattern: unknown = isJsonObject(at) ? at['pattern'] : undefined;
    if (typeof pattern !== 'string' || isPattern(pattern)) return below;
    return [invalidCause(`${path}.pattern`, pattern, 'must be a valid regular expression'), ...below];
  };
  return find(
    isJsonObject(schema) ? schema['openAPIV3Schema'] : undefined,
    `spec.versions[${index}].schema.openAPIV3Schema`,
  );
}

function isPattern(text: string): boolean {
  try {
    return new RegExp(text, 'u') instanceof RegExp;
  } catch {
    return false; // why: the question is whether it compiles
  }
}

/**
 * The CRD with the conditions that clients wait for; one that is not valid is left as it is, for `checkCrd` to refuse.
 */
export function acceptCrd(crd: StoredObject): StoredObject {
  if (checkCrd(crd).length > 0) return crd;
  const spec = crd['spec'] as CrdSpec; // why: just checked
  const time = crd.metadata.creationTimestamp;
  const old =
    isJsonObject(crd['status']) && Array.isArray(crd['status']['conditions']) ? crd['status']['conditions'] : undefined;
  const conditions = old ?? [
    {
      type: 'NamesAccepted',
      status: 'True',
      reason: 'NoConflicts',
      message: 'no conflicts found',
      lastTransitionTime: time,
    },
    {
      type: 'Established',
      status: 'True',
      reason: 'InitialNamesAccepted',
      message: 'the initial names have been accepted',
      lastTransitionTime: time,
    },
  ];
  const { names } = spec;
  const acceptedNames = { singular: names.kind.toLowerCase(), listKind: `${names.kind}List`, ...names };
  const storedVersions = spec.versions.filter(({ storage }) => storage).map(({ name }) => name);
  return {
    ...crd,
    spec: { conversion: { strategy: 'None' }, ...spec, names: acceptedNames },
    status: { conditions, acceptedNames, storedVersions },
  };
}
