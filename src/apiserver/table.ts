/** Tables: what `kubectl get` prints. Knows columns and cells, not HTTP. */

import { readJsonPath } from '../kube/json-path.ts';
import type { KubeObject } from '../kube/object.ts';
import type { PrinterColumn, Resource } from './resource.ts';

export type IncludeObject = 'None' | 'Metadata' | 'Object';

export interface TableOptions {
  readonly resourceVersion: string;
  readonly continueToken?: string | undefined;
  readonly includeObject: IncludeObject;
  readonly nowMs: number;
}

/** The wire form of `as=Table;v=v1;g=meta.k8s.io`. */
export function toTable(resource: Resource, objects: readonly KubeObject[], options: TableOptions): unknown {
  const columns: readonly PrinterColumn[] = [
    { name: 'Name', type: 'string', read: '.metadata.name' },
    ...resource.columns,
  ];
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: {
      resourceVersion: options.resourceVersion,
      ...(options.continueToken && { continue: options.continueToken }),
    },
    columnDefinitions: columns.map(({ name, type, description = '', priority = 0 }, index) => ({
      name,
      type: type === 'date' ? 'date' : type,
      format: index === 0 ? 'name' : '',
      description,
      priority,
    })),
    rows: objects.map((object) => ({
      cells: columns.map((column) => readCell(column, object, options.nowMs)),
      ...embedObject(object, options.includeObject),
    })),
  };
}

function embedObject(object: KubeObject, include: IncludeObject): { readonly object?: unknown } {
  if (include === 'None') return {};
  if (include === 'Object') return { object };
  return { object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata } };
}

function readCell({ read, type }: PrinterColumn, object: KubeObject, nowMs: number): unknown {
  if (typeof read === 'function') return read(object, nowMs);
  const values = readJsonPath(object, read);
  const [first] = values;
  if (first === undefined || first === null) return type === 'string' ? '' : null;
  if (type === 'date') return formatAge(String(first), nowMs);
  if (values.length > 1) return values.map(String).join(',');
  return type === 'string' && typeof first !== 'string'
    ? typeof first === 'object'
      ? JSON.stringify(first)
      : String(first)
    : first;
}

/** Kubernetes' short age: `5s`, `3m20s`, `4h`, `12d`. `<unknown>` when there is no time. */
export function formatAge(time: string | undefined, nowMs: number): string {
  if (time === undefined) return '<unknown>';
  const seconds = Math.max(0, Math.floor((nowMs - Date.parse(time)) / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (seconds < 120) return `${seconds}s`;
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (hours < 3) return `${minutes}m`;
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  return `${Math.floor(hours / 24)}d`;
}
