/** The verbs on any object: apply, get, describe, delete. They know no kind. */
import { readFile } from 'node:fs/promises';
import { parseAllDocuments } from 'yaml';
import { isJsonObject } from '../base/json.ts';
import { resourcePath, toQuery } from '../client/resource-path.ts';
import type { ApiClient } from '../client/types.ts';
import type { KubeObject, ResourceRef } from '../kube/object.ts';
import type { Event } from '../kube/pod.ts';
import { StatusError } from '../kube/status-error.ts';
import { WELL_KNOWN } from '../kube/well-known.ts';
import { type CommandContext, withClient } from './context.ts';
import { formatNames, formatTable, formatValue, parseFormat } from './output.ts';
import { getResource, getResourceOfKind, splitTarget } from './resources.ts';

export interface ObjectFlags {
  readonly namespace?: string;
  readonly allNamespaces?: boolean;
  readonly output?: string;
  readonly selector?: string;
}

/** Creates or changes every object of the files; unknown fields are refused. */
export async function applyFiles(
  context: CommandContext,
  flags: ObjectFlags & { readonly filename: readonly string[] },
): Promise<void> {
  const objects = (await Promise.all(flags.filename.map(readManifests))).flat();
  await withClient(context, async (client) => {
    for (const object of objects) await applyOne(context, { client, object, flags });
  });
}

async function readManifests(path: string): Promise<readonly KubeObject[]> {
  const text =
    path === '-'
      ? await readAll(process.stdin)
      : await readFile(path, 'utf8').catch((cause: unknown) => {
          throw new StatusError('NotFound', `cannot apply ${path}: it cannot be read`, { cause });
        });
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors[0] !== undefined)
      throw new StatusError('BadRequest', `cannot apply ${path}: ${document.errors[0].message}`);
    const value: unknown = document.toJS();
    if (value === null) return [];
    const { metadata } = isJsonObject(value) ? value : {};
    if (
      !isJsonObject(value) ||
      typeof value['kind'] !== 'string' ||
      !isJsonObject(metadata) ||
      typeof metadata['name'] !== 'string'
    ) {
      throw new StatusError('BadRequest', `cannot apply ${path}: a document lacks kind or metadata.name`);
    }
    return [value as unknown as KubeObject]; // why: just checked
  });
}

async function readAll(stream: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

interface ApplyOne {
  readonly client: ApiClient;
  readonly object: KubeObject;
  readonly flags: ObjectFlags;
}

async function applyOne({ stdout }: CommandContext, { client, object, flags }: ApplyOne): Promise<void> {
  const ref = await getResourceOfKind(client, object.apiVersion, object.kind);
  const namespace =
    ref.scope === 'Namespaced' ? (object.metadata.namespace ?? flags.namespace ?? 'default') : undefined;
  const { name } = object.metadata;
  const before = await client.get(ref, name, namespace).catch(() => undefined); // why: only told apart for the message
  const applied = await client.patch<KubeObject>(ref, {
    name,
    namespace,
    type: 'apply',
    body: object,
    fieldManager: 'athanor-cli',
    force: true,
    strict: true,
  });
  const isSame = before?.metadata.resourceVersion === applied.metadata.resourceVersion;
  if (flags.output !== undefined) stdout.write(formatList([applied], flags.output));
  else
    stdout.write(
      `${formatNames([applied]).trim()} ${before === undefined ? 'created' : isSame ? 'unchanged' : 'configured'}\n`,
    );
}

function formatList(objects: readonly KubeObject[], output: string): string {
  const format = parseFormat(output);
  if (format === 'name') return formatNames(objects);
  const value = objects.length === 1 ? objects[0] : { apiVersion: 'v1', kind: 'List', items: objects };
  return formatValue(value, format === 'yaml' ? 'yaml' : 'json');
}

interface Table {
  readonly columnDefinitions: readonly { readonly name: string; readonly priority: number }[];
  readonly rows: readonly { readonly cells: readonly unknown[]; readonly object: KubeObject }[];
}

/** Prints one, several or all objects of a resource. */
export async function getObjects(
  context: CommandContext,
  target: string,
  options: ObjectFlags & { readonly names: readonly string[] },
): Promise<void> {
  const format = parseFormat(options.output);
  await withClient(context, async (client) => {
    const { word, names } = splitTarget(target, options.names);
    const ref = await getResource(client, word);
    const namespace = options.allNamespaces === true ? undefined : (options.namespace ?? 'default');
    if (format !== 'table' && format !== 'wide') {
      const objects =
        names.length > 0
          ? await Promise.all(names.map((name) => client.get(ref, name, namespace)))
          : await listAll(client, ref, { namespace, ...options });
      context.stdout.write(
        format === 'name'
          ? formatNames(objects)
          : formatValue(names.length === 1 ? objects[0] : { apiVersion: 'v1', kind: 'List', items: objects }, format),
      );
      return;
    }
    await printTable(context, { client, ref, namespace, names, isWide: format === 'wide', selector: options.selector });
  });
}

async function listAll(
  client: ApiClient,
  ref: ResourceRef,
  { namespace, selector }: { namespace: string | undefined; selector?: string },
) {
  const { items } = await client.list(ref, {
    ...(namespace !== undefined && { namespace }),
    ...(selector !== undefined && { labelSelector: selector }),
  });
  return items;
}

interface PrintTable {
  readonly client: ApiClient;
  readonly ref: ResourceRef;
  readonly namespace: string | undefined;
  readonly names: readonly string[];
  readonly isWide: boolean;
  readonly selector: string | undefined;
}

async function printTable({ stdout, stderr }: CommandContext, request: PrintTable): Promise<void> {
  const { client, ref, namespace, names, isWide, selector } = request;
  const paths =
    names.length > 0
      ? names.map((name) => resourcePath(ref, { namespace, name }))
      : [resourcePath(ref, { namespace }) + toQuery({ labelSelector: selector })];
  const tables = await Promise.all(paths.map((path) => client.table<Table>(path)));
  const columns = tables[0]?.columnDefinitions ?? [];
  const shown = columns
    .map(({ priority }, index) => ({ index, isShown: isWide || priority === 0 }))
    .filter(({ isShown }) => isShown);
  const withNamespace = namespace === undefined && ref.scope === 'Namespaced';
  const rows = tables.flatMap(({ rows: found }) =>
    found.map(({ cells, object }) => [
      ...(withNamespace ? [object.metadata.namespace ?? ''] : []),
      ...shown.map(({ index }) => printCell(cells[index])),
    ]),
  );
  if (rows.length === 0) {
    stderr.write(`no ${ref.plural}${namespace === undefined ? '' : ` in namespace ${namespace}`}\n`);
    return;
  }
  stdout.write(
    formatTable(
      [...(withNamespace ? ['Namespace'] : []), ...shown.map(({ index }) => columns[index]?.name ?? '')],
      rows,
    ),
  );
}

function printCell(value: unknown): string {
  return value === null || value === undefined || value === '' ? '-' : String(value);
}

/** Deletes objects; waits until they are gone. */
export async function deleteObjects(
  context: CommandContext,
  target: string,
  options: ObjectFlags & { readonly names: readonly string[]; readonly wait: boolean },
): Promise<void> {
  await withClient(context, async (client) => {
    const { word, names } = splitTarget(target, options.names);
    if (names.length === 0)
      throw new StatusError(
        'BadRequest',
        `cannot delete ${word}: name at least one, as in 'athanor delete ${word} NAME'`,
      );
    const ref = await getResource(client, word);
    const namespace = ref.scope === 'Namespaced' ? (options.namespace ?? 'default') : undefined;
    for (const name of names) {
      const {
        metadata: { uid = '' },
      } = await client.get(ref, name, namespace);
      await client.delete(ref, name, { namespace, propagationPolicy: 'Foreground', preconditions: { uid } });
      if (options.wait) await waitGone(client, ref, { name, namespace, uid });
      context.stdout.write(`${ref.kind.toLowerCase()}/${name} deleted\n`);
    }
  });
}

async function waitGone(
  client: ApiClient,
  ref: ResourceRef,
  { name, namespace, uid }: { name: string; namespace: string | undefined; uid: string },
): Promise<void> {
  const stop = new AbortController();
  const scope = { ...(namespace !== undefined && { namespace }), fieldSelector: `metadata.name=${name}` };
  const { items, resourceVersion } = await client.list(ref, scope);
  if (items[0]?.metadata.uid !== uid) return;
  for await (const { type, object } of client.watch(ref, { ...scope, resourceVersion }, stop.signal)) {
    if (type === 'DELETED' && object.metadata.uid === uid) break;
  }
  stop.abort();
}

/** Everything about one object: as YAML, with its events. */
export async function describeObject(
  context: CommandContext,
  target: string,
  options: ObjectFlags & { readonly names: readonly string[] },
): Promise<void> {
  await withClient(context, async (client) => {
    const { word, names } = splitTarget(target, options.names);
    const [name] = names;
    if (name === undefined)
      throw new StatusError('BadRequest', `cannot describe ${word}: name one, as in 'athanor describe ${word} NAME'`);
    const ref = await getResource(client, word);
    const namespace = ref.scope === 'Namespaced' ? (options.namespace ?? 'default') : undefined;
    const object = await client.get(ref, name, namespace);
    const { managedFields: _managedFields, ...metadata } = object.metadata;
    context.stdout.write(formatValue({ ...object, metadata }, 'yaml'));
    const { items } = await client.list<Event>(WELL_KNOWN.Event, {
      namespace: namespace ?? 'default',
      fieldSelector: `involvedObject.uid=${metadata.uid}`,
    });
    if (items.length === 0) return;
    const rows = items
      .toSorted((a, b) => ((a.lastTimestamp ?? '') < (b.lastTimestamp ?? '') ? -1 : 1))
      .map(({ lastTimestamp = '', type, reason, count = 1, message }) => [
        lastTimestamp,
        type,
        reason,
        String(count),
        message.split('\n')[0] ?? '',
      ]);
    context.stdout.write(`\n${formatTable(['Last seen', 'Type', 'Reason', 'Count', 'Message'], rows)}`);
  });
}
