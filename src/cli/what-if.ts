/** `athanor simulate` without a trace: the cluster of this moment under other queues or nodes, by the same engine. */
import { readFile } from 'node:fs/promises';
import { parseAllDocuments } from 'yaml';
import { isJsonObject } from '../base/json.ts';
import { QueueSpec } from '../kinds/queue/kind.ts';
import type { Node } from '../kube/pod.ts';
import { StatusError } from '../kube/status-error.ts';
import type { Scene } from '../scheduler/cycle/plan-cycle.ts';
import type { Sources } from '../scheduler/live/read-scene.ts';
import type { Queue } from '../scheduler/objects/read-queues.ts';
import { parsePolicy } from '../scheduler/placement/policies.ts';
import { type Forecast, forecast } from '../scheduler/simulate/forward.ts';
import { listSources, toScene } from './cluster-scene.ts';
import { type CommandContext, withClient } from './context.ts';
import { formatTable, formatValue, parseFormat } from './output.ts';

/** Its flags. */
export interface WhatIfFlags {
  readonly policy: string;
  readonly queues?: string;
  readonly addNode: readonly string[];
  readonly removeNode: readonly string[];
  readonly output?: string;
}

interface Row {
  readonly workload: string;
  readonly queue: string;
  readonly now: string | null;
  readonly then: string | null;
}

/** Prints when each waiting workload would start, as things are and as they would be. */
export async function simulateChange(context: CommandContext, flags: WhatIfFlags): Promise<void> {
  const format = parseFormat(flags.output);
  const policy = parsePolicy(flags.policy);
  const sources = await withClient(context, listSources);
  const changed = await change(sources, flags);
  const before = toScene(sources).scene;
  const after = { ...toScene(changed, policy).scene, nowMs: before.nowMs };
  const rows = compare(before, forecast(before), forecast(after));
  const problems = after.tree.problems.map(({ queue, field, message }) => `queue ${queue} ${field} ${message}`);
  if (format === 'json' || format === 'yaml') {
    context.stdout.write(formatValue({ workloads: rows, problems }, format));
    return;
  }
  for (const problem of problems) context.stderr.write(`warning: ${problem}\n`);
  if (rows.length === 0) context.stdout.write('nothing waits\n');
  else {
    const cells = rows.map(({ workload, queue, now, then }) => [
      workload,
      queue,
      tell(now, before),
      tell(then, before),
    ]);
    context.stdout.write(formatTable(['workload', 'queue', 'starts now in', 'would start in'], cells));
  }
}

function tell(time: string | null, { nowMs }: Scene): string {
  if (time === null) return 'never';
  const seconds = Math.round((Date.parse(time) - nowMs) / 1000);
  return seconds <= 0 ? 'at once' : seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

function compare({ workloads }: Scene, before: Forecast, after: Forecast): readonly Row[] {
  const timeOf = ({ startMs }: Forecast, key: string) => {
    const time = startMs.get(key);
    return time === undefined ? null : new Date(time).toISOString();
  };
  return workloads
    .filter(({ startedAtMs, members }) => startedAtMs === undefined && members.length > 0)
    .map(({ key, queue }) => ({ workload: key, queue, now: timeOf(before, key), then: timeOf(after, key) }));
}

async function change(sources: Sources, flags: WhatIfFlags): Promise<Sources> {
  const queues = await readQueues(flags.queues);
  const names = new Set(queues.map(({ metadata }) => metadata.name));
  const kept = sources.queues.list().filter(({ metadata }) => !names.has(metadata.name));
  const nodes = changeNodes(sources.nodes.list(), flags);
  return { ...sources, queues: { list: () => [...kept, ...queues] }, nodes: { list: () => nodes } };
}

/** @throws Invalid for a document that is no Queue. */
async function readQueues(path: string | undefined): Promise<readonly Queue[]> {
  if (path === undefined) return [];
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new StatusError('NotFound', `cannot read ${path}: there is no such file`, { cause });
  });
  return parseAllDocuments(text).map((document, index) => {
    const object: unknown = document.toJS();
    const name =
      isJsonObject(object) && isJsonObject(object['metadata']) ? String(object['metadata']['name'] ?? '') : '';
    const isQueue = isJsonObject(object) && object['kind'] === 'Queue' && name !== '';
    if (!isQueue)
      throw new StatusError('Invalid', `cannot read ${path}: document ${index + 1} is no Queue with a name`);
    const spec = QueueSpec.safeParse(object['spec'] ?? {});
    if (spec.success) return { apiVersion: 'athanor.dev/v1alpha1', kind: 'Queue', metadata: { name }, spec: spec.data };
    const [issue] = spec.error.issues;
    const where = `spec.${issue?.path.join('.') ?? ''}`;
    throw new StatusError('Invalid', `cannot read ${path}: queue ${name}: ${where}: ${issue?.message ?? 'not valid'}`);
  });
}

/** `--add-node NAME[=COUNT]`: so many more like that one; `--remove-node NAME`. */
function changeNodes(nodes: readonly Node[], { addNode, removeNode }: WhatIfFlags): readonly Node[] {
  const find = (name: string) => {
    const node = nodes.find(({ metadata }) => metadata.name === name);
    if (node !== undefined) return node;
    const known = nodes.map(({ metadata }) => metadata.name).join(', ');
    throw new StatusError('NotFound', `cannot simulate: there is no node ${name}; there are ${known}`);
  };
  const gone = new Set(removeNode.map((name) => find(name).metadata.name));
  const added = addNode.flatMap((text) => {
    const [name = '', count = '1'] = text.split('=');
    if (!/^[1-9]\d{0,4}$/.test(count))
      throw new StatusError(
        'BadRequest',
        `cannot simulate: --add-node ${text}: want NAME or NAME=COUNT, as in laptop=2`,
      );
    const like = find(name);
    return Array.from({ length: Number(count) }, (_, index): Node => {
      const own = `${name}-added-${index + 1}`;
      const labels = { ...like.metadata.labels, 'kubernetes.io/hostname': own };
      return { ...like, metadata: { ...like.metadata, name: own, labels } };
    });
  });
  return [...nodes.filter(({ metadata }) => !gone.has(metadata.name)), ...added];
}
