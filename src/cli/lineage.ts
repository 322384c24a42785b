/** `athanor lineage`: what a data set, model, job or service was made of, and what was made of it, as a tree. */
import { StatusError } from '../kube/status-error.ts';
import type { LineageNode, NodeId } from '../tracking/lineage/lineage.ts';
import type { CommandContext } from './context.ts';
import { formatValue, parseFormat } from './output.ts';
import { openTracking, type TrackingFlags } from './tracking-client.ts';

export interface LineageFlags extends TrackingFlags {
  readonly up?: boolean;
  readonly down?: boolean;
  readonly depth: string;
}

/** Short words for kinds, and what kind of node each is. */
const KINDS: Readonly<Record<string, readonly [type: 'dataset' | 'job', name: string]>> = {
  dataset: ['dataset', 'dataset'],
  ds: ['dataset', 'dataset'],
  model: ['dataset', 'model'],
  service: ['dataset', 'service'],
  outputs: ['dataset', 'outputs'],
  isvc: ['dataset', 'service'],
  job: ['job', 'training-job'],
  tj: ['job', 'training-job'],
  run: ['job', 'run'],
};

/** `what` is `model/digits`, `dataset/digits`, `job/train`, `service/digits`, or a whole id of a node. */
export async function showLineage(context: CommandContext, what: string, flags: LineageFlags): Promise<void> {
  const tracking = openTracking(context, flags);
  const nodeId = toNodeId(what, flags.namespace ?? 'default');
  const ways = flags.up === flags.down ? (['up', 'down'] as const) : ([flags.up ? 'up' : 'down'] as const);
  const graphs = await Promise.all(
    ways.map(async (way) => {
      const { graph } = await tracking.get<{ graph: readonly LineageNode[] }>('/api/v1/lineage', {
        nodeId,
        depth: flags.depth,
        way,
      });
      return { way, graph };
    }),
  );
  const format = parseFormat(flags.output);
  if (format === 'json' || format === 'yaml') {
    context.stdout.write(formatValue(Object.fromEntries(graphs.map(({ way, graph }) => [way, graph])), format));
    return;
  }
  if (graphs.every(({ graph }) => graph.length === 0)) {
    throw new StatusError('NotFound', `cannot show the lineage of ${what}: nothing is known of it`);
  }
  for (const { way, graph } of graphs) {
    context.stdout.write(way === 'up' ? 'made of\n' : 'became\n');
    context.stdout.write(drawTree(new Map(graph.map((node) => [node.id, node])), nodeId, way));
  }
}

function toNodeId(what: string, namespace: string): NodeId {
  if (/^(dataset|job):/.test(what)) return what;
  const [, kind = '', name = ''] = /^([a-z]+)\/([^/]+)$/.exec(what) ?? [];
  const known = KINDS[kind];
  if (known !== undefined) return `${known[0]}:athanor://${namespace}:${known[1]}/${name}`;
  const forms = Object.keys(KINDS).join(', ');
  throw new StatusError(
    'BadRequest',
    `cannot show the lineage of ${what}: use KIND/NAME, a kind being one of ${forms}`,
  );
}

/** Indented lines; a node that was drawn before is not drawn out again. */
export function drawTree(nodes: ReadonlyMap<NodeId, LineageNode>, root: NodeId, way: 'up' | 'down'): string {
  const drawn = new Set<NodeId>();
  const draw = (id: NodeId, depth: number): string => {
    const node = nodes.get(id);
    const isKnown = drawn.has(id);
    drawn.add(id);
    const next =
      (way === 'up' ? node?.inEdges.map(({ origin }) => origin) : node?.outEdges.map((edge) => edge.destination)) ?? [];
    const line = `${'  '.repeat(depth + 1)}${describe(id, node)}${isKnown && next.length > 0 ? ' (above)' : ''}\n`;
    return line + (isKnown ? '' : next.map((other) => draw(other, depth + 1)).join(''));
  };
  return draw(root, 0);
}

function describe(id: NodeId, node: LineageNode | undefined): string {
  const name = id.replace(/^(dataset|job):athanor:\/\/[^:]+:/, '').replace(/^(dataset|job):/, '');
  const versions = (node?.data.versions ?? []).map((version) => version.slice(0, 15));
  return versions.length === 0 ? name : `${name} (${versions.join(', ')})`;
}
