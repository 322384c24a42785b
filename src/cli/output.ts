/** How commands print lists: a table for people, or json, yaml and names for programs. */
import { stringify } from 'yaml';
import type { KubeObject } from '../kube/object.ts';
import { StatusError } from '../kube/status-error.ts';

export type Format = 'table' | 'wide' | 'json' | 'yaml' | 'name';

/** @throws BadRequest for a word that is no format. */
export function parseFormat(text: string | undefined): Format {
  if (text === undefined) return 'table';
  if (text === 'json' || text === 'yaml' || text === 'name' || text === 'wide' || text === 'table') return text;
  throw new StatusError('BadRequest', `cannot print as '${text}': want json, yaml, name, wide or table`);
}

/** A value as JSON or YAML text, ending in a newline. */
export function formatValue(value: unknown, format: 'json' | 'yaml'): string {
  return format === 'json' ? `${JSON.stringify(value, null, 2)}\n` : stringify(value);
}

/** Columns as wide as their widest cell, three spaces between them. */
export function formatTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings.map((heading) => heading.toUpperCase()), ...rows];
  const widths = headings.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('   ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** `pod/a`, `trainingjob.athanor.dev/b`: one line each. */
export function formatNames(objects: readonly KubeObject[]): string {
  return objects
    .map(({ apiVersion, kind, metadata }) => {
      const group = apiVersion.includes('/') ? `.${apiVersion.split('/')[0]}` : '';
      return `${kind.toLowerCase()}${group}/${metadata.name}\n`;
    })
    .join('');
}
