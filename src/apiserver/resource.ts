/** What the API server knows about a resource it serves, built in or custom. Knows no object. */
import type { ListKeys } from '../kube/field-set.ts';
import type { KubeObject, ResourceRef, StoredObject } from '../kube/object.ts';
import type { FieldCause } from '../kube/status-error.ts';
import type { StructuralSchema } from '../kube/structural.ts';

/** A column of a Table: a JSON path, or a function where a path cannot say it. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: string;
  readonly description?: string;
  /** Columns of priority above 0 are shown by `-o wide` only. */
  readonly priority?: number;
  readonly read: string | ((object: KubeObject, nowMs: number) => string | number | boolean);
}

export interface Resource extends ResourceRef {
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly hasStatus: boolean;
  /** True when an object of it comes from a CustomResourceDefinition. */
  readonly isCustom: boolean;
  /** True when its CustomResourceDefinition is being deleted: nothing new is made of it. */
  readonly isTerminating?: boolean;
  readonly columns: readonly PrinterColumn[];
  readonly listKeys: ListKeys;
  /** Schema of the whole object; built-in resources have rules instead. */
  readonly schema?: StructuralSchema;
  /** Fills in what a client may leave out, on create and update. */
  readonly setDefaults?: (object: StoredObject) => StoredObject;
  /** What the schema cannot say; `before` is undefined on create. */
  readonly check?: (object: StoredObject, before?: StoredObject) => readonly FieldCause[];
}

/** `pods`, or `trainingjobs.athanor.dev`: names a resource in the store, messages and RBAC. */
export function resourceName({ group, plural }: Pick<ResourceRef, 'group' | 'plural'>): string {
  return group === '' ? plural : `${plural}.${group}`;
}
