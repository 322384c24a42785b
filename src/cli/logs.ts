/** `athanor logs`: of a pod, or of all pods of a job, data set or service; follows them until they end. */

import { resourcePath, toQuery } from '../client/resource-path.ts';
import type { ApiClient } from '../client/types.ts';
import { isPodFinished, type Pod } from '../kube/pod.ts';
import { isStatusError, StatusError } from '../kube/status-error.ts';
import { WELL_KNOWN } from '../kube/well-known.ts';
import { type CommandContext, withClient } from './context.ts';
import { getResource, splitTarget } from './resources.ts';

export interface LogFlags {
  readonly namespace?: string;
  readonly follow?: boolean;
  readonly container?: string;
  readonly tail?: string;
  readonly previous?: boolean;
  readonly names: readonly string[];
}

/** Label by which a kind's pods are found. */
const LABELS: Readonly<Record<string, string>> = {
  TrainingJob: 'athanor.dev/training-job',
  Dataset: 'athanor.dev/dataset',
  InferenceService: 'athanor.dev/inference-service',
};

/** @throws NotFound when there is no such pod, or the object has none yet. */
export async function printLogs(context: CommandContext, target: string, flags: LogFlags): Promise<void> {
  await withClient(context, async (client) => {
    const pods = await findPods(client, target, flags);
    const isAlone = pods.length === 1;
    await Promise.all(
      pods.map((pod) => printPodLog(client, pod, { context, flags, prefix: isAlone ? '' : `[${pod.metadata.name}] ` })),
    );
  });
}

async function findPods(
  client: ApiClient,
  target: string,
  { namespace = 'default', names }: LogFlags,
): Promise<readonly Pod[]> {
  const isBare = !target.includes('/') && names.length === 0;
  if (isBare) {
    try {
      return [await client.get<Pod>(WELL_KNOWN.Pod, target, namespace)];
    } catch (error) {
      if (!isStatusError(error, 'NotFound')) throw error;
      return findLabelled(client, { labels: Object.values(LABELS), name: target, namespace });
    }
  }
  const {
    word,
    names: [name = ''],
  } = splitTarget(target, names);
  const { kind } = await getResource(client, word);
  if (kind === 'Pod') return [await client.get<Pod>(WELL_KNOWN.Pod, name, namespace)];
  const label = LABELS[kind];
  if (label === undefined) throw new StatusError('BadRequest', `cannot print logs of ${kind} ${name}: it has no pods`);
  return findLabelled(client, { labels: [label], name, namespace });
}

async function findLabelled(
  client: ApiClient,
  { labels, name, namespace }: { labels: readonly string[]; name: string; namespace: string },
): Promise<readonly Pod[]> {
  for (const label of labels) {
    const { items } = await client.list<Pod>(WELL_KNOWN.Pod, { namespace, labelSelector: `${label}=${name}` });
    if (items.length > 0) return items;
  }
  throw new StatusError(
    'NotFound',
    `cannot print logs of ${name}: there is no pod of that name, and no job, data set or service of it has pods`,
  );
}

export interface PrintLog {
  readonly context: Pick<CommandContext, 'stdout'>;
  readonly flags: Omit<LogFlags, 'names'>;
  readonly prefix: string;
}

/**
 * Prints one pod's log; with `follow`, from its first init container to the end of its main one, waiting for each to
 * start.
 */
export async function printPodLog(client: ApiClient, pod: Pod, print: PrintLog): Promise<void> {
  const { flags } = print;
  const main = flags.container ?? pod.spec.containers[0]?.name ?? '';
  const isWhole = flags.follow === true && flags.container === undefined;
  const containers = isWhole ? [...(pod.spec.initContainers ?? []).map(({ name }) => name), main] : [main];
  for (const container of containers) {
    if (flags.follow === true && !(await waitStarted(client, pod, container))) return;
    await printContainerLog(client, pod, { ...print, container });
  }
}

async function printContainerLog(
  client: ApiClient,
  pod: Pod,
  { context, flags, prefix, container }: PrintLog & { readonly container: string },
): Promise<void> {
  const { name, namespace } = pod.metadata;
  const query = toQuery({ follow: flags.follow, container, tailLines: flags.tail, previous: flags.previous });
  const path = `${resourcePath(WELL_KNOWN.Pod, { namespace, name, subresource: 'log' })}${query}`;
  let rest = '';
  for await (const text of client.stream(path, new AbortController().signal)) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) context.stdout.write(`${prefix}${line}\n`);
  }
  if (rest !== '') context.stdout.write(`${prefix}${rest}\n`);
}

/** False when the pod ended or went before the container started. */
async function waitStarted(client: ApiClient, pod: Pod, container: string): Promise<boolean> {
  const { name, namespace = '' } = pod.metadata;
  const scope = { namespace, fieldSelector: `metadata.name=${name}` };
  const {
    items: [found],
    resourceVersion,
  } = await client.list<Pod>(WELL_KNOWN.Pod, scope);
  if (found === undefined) return false;
  if (hasStarted(found, container) || isPodFinished(found)) return hasStarted(found, container);
  const stop = new AbortController();
  try {
    for await (const { type, object } of client.watch<Pod>(
      WELL_KNOWN.Pod,
      { ...scope, resourceVersion },
      stop.signal,
    )) {
      if (type === 'DELETED') return false;
      if (type !== 'BOOKMARK' && (hasStarted(object, container) || isPodFinished(object)))
        return hasStarted(object, container);
    }
  } finally {
    stop.abort();
  }
  return false;
}

function hasStarted({ status }: Pod, container: string): boolean {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  return all.some((one) => one.name === container && one.state.waiting === undefined);
}
