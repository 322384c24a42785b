/**
 * Lineage: which jobs read and wrote which data, as OpenLineage's events tell it (openlineage.io, spec 2-0-2). Keeps
 * events and the edges between jobs and data sets that follow from them; asks nobody.
 */
import { sql } from 'kysely';
import { insertRows } from '../../sql/insert-rows.ts';
import type { LineageDirection, LineageEdgeRow } from '../schema.ts';
import { parseTimestamp } from '../traces/trace-times.ts';
import type { Shared, Tracking } from '../tracking.ts';

/** A data set, a model, a service: anything that a job can read or write. */
export interface LineageDataset {
  readonly namespace: string;
  readonly name: string;
  readonly facets?: { readonly version?: { readonly datasetVersion?: string | undefined } | undefined } | undefined;
}

/** OpenLineage's RunEvent, as far as it is understood; the whole is kept. */
export interface LineageEvent {
  readonly eventType?: string | undefined;
  readonly eventTime: string;
  readonly producer: string;
  readonly run: { readonly runId: string };
  readonly job: { readonly namespace: string; readonly name: string };
  readonly inputs?: readonly LineageDataset[] | undefined;
  readonly outputs?: readonly LineageDataset[] | undefined;
}

/** What is related: `dataset:namespace:name` or `job:namespace:name`, as Marquez writes ids of nodes. */
export type NodeId = string;

/** One node with its neighbours. */
export interface LineageNode {
  readonly id: NodeId;
  readonly type: 'DATASET' | 'JOB';
  readonly data: {
    readonly namespace: string;
    readonly name: string;
    /** Versions of a data set that were read or written, oldest first. */
    readonly versions?: readonly string[];
    /** Newest run of a job. */
    readonly runId?: string;
  };
  readonly inEdges: readonly LineageEdge[];
  readonly outEdges: readonly LineageEdge[];
}

/** From what is read to who reads, or from who writes to what is written. */
export interface LineageEdge {
  readonly origin: NodeId;
  readonly destination: NodeId;
}

/** Which way to go: `up` to what it was made of, `down` to what was made of it. */
export type LineageWay = 'up' | 'down' | 'both';

const NODES_MAX = 2_000;
const COLUMNS = { dataset: ['namespace', 'name'], job: ['job_namespace', 'job_name'] } as const;
const EDGE_KEYS = ['workspace', 'job_namespace', 'job_name', 'direction', 'namespace', 'name', 'version'];

/** Keeps events; one that came before changes nothing. */
export async function recordEvents(tracking: Tracking, events: readonly LineageEvent[]): Promise<void> {
  const { workspace } = tracking;
  await recordAll(
    tracking,
    events.map((event) => ({ workspace, event })),
  );
}

/** An event of a workspace. */
export interface OwnedEvent {
  readonly workspace: string;
  readonly event: LineageEvent;
}

/** The same for events of many workspaces: all of them or none. */
export async function recordAll({ db }: Pick<Shared, 'db'>, owned: readonly OwnedEvent[]): Promise<void> {
  if (owned.length === 0) return;
  const rows = owned.map(({ workspace, event }) => ({
    workspace,
    run_id: event.run.runId,
    event_type: event.eventType ?? 'OTHER',
    event_ms: parseTimestamp(event.eventTime),
    content: JSON.stringify(event),
  }));
  const edges = new Map(
    owned.flatMap(({ workspace, event }) => toEdges(workspace, event)).map((edge) => [keyOf(edge), edge]),
  );
  await db.transaction().execute(async (within) => {
    const keys = ['workspace', 'run_id', 'event_type', 'event_ms'];
    const last = new Map(rows.map((row) => [JSON.stringify(keys.map((key) => Reflect.get(row, key))), row]));
    const sorted = [...last].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
    await insertRows(within, sorted, { table: 'tracking_lineage_events', keys, onConflict: 'keep' });
    // One order for all writers, so that two of them never wait for each other.
    const ordered = [...edges].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, edge]) => edge);
    const options = { table: 'tracking_lineage_edges', keys: EDGE_KEYS, onConflict: 'replace' } as const;
    await insertRows(within, ordered, options);
  });
}

function toEdges(workspace: string, event: LineageEvent): readonly LineageEdgeRow[] {
  const job = { workspace, job_namespace: event.job.namespace, job_name: event.job.name };
  const last = { run_id: event.run.runId, event_ms: parseTimestamp(event.eventTime) };
  const edges = (direction: LineageDirection, datasets: readonly LineageDataset[] = []) =>
    datasets.map(({ namespace, name, facets }) => {
      return { ...job, direction, namespace, name, version: facets?.version?.datasetVersion ?? '', ...last };
    });
  return [...edges('input', event.inputs), ...edges('output', event.outputs)];
}

function keyOf(edge: LineageEdgeRow): string {
  return JSON.stringify(EDGE_KEYS.map((key) => Reflect.get(edge, key)));
}

/**
 * The node and all that is reached from it in `depth` steps of job or data set. Empty when it is not known.
 * Costs one query a step, and is cut at 2,000 nodes.
 */
export async function readLineage(
  tracking: Tracking,
  start: NodeId,
  { depth, way }: { readonly depth: number; readonly way: LineageWay },
): Promise<readonly LineageNode[]> {
  const edges = new Map<string, LineageEdgeRow>();
  const seen = new Set<NodeId>([start]);
  let frontier: readonly NodeId[] = [start];
  for (let step = 0; step < depth && frontier.length > 0 && seen.size < NODES_MAX; step++) {
    const here = new Set(frontier);
    const reached: NodeId[] = [];
    for (const edge of await readEdges(tracking, frontier)) {
      const { origin, destination } = toEdge(edge);
      const isDown = way !== 'up' && here.has(origin);
      const isUp = way !== 'down' && here.has(destination);
      if (isDown || isUp) edges.set(keyOf(edge), edge);
      if (isDown) reached.push(destination);
      if (isUp) reached.push(origin);
    }
    frontier = [...new Set(reached)].filter((id) => !seen.has(id));
    for (const id of frontier) seen.add(id);
  }
  return toGraph([...edges.values()]);
}

/** Events of a run, oldest first. */
export async function readEvents({ db, workspace }: Tracking, runId: string): Promise<readonly LineageEvent[]> {
  const rows = await db
    .selectFrom('tracking_lineage_events')
    .select('content')
    .where('workspace', '=', workspace)
    .where('run_id', '=', runId)
    .orderBy('event_ms')
    .execute();
  return rows.map(({ content }) => JSON.parse(content) as LineageEvent); // why: recordEvents wrote it
}

/** `dataset:...` of a data set. */
export function datasetNode({ namespace, name }: { readonly namespace: string; readonly name: string }): NodeId {
  return `dataset:${namespace}:${name}`;
}

/** `job:...` of a job. */
export function jobNode({ namespace, name }: { readonly namespace: string; readonly name: string }): NodeId {
  return `job:${namespace}:${name}`;
}

/** Edges at these nodes, found by the two indexes. */
async function readEdges({ db, workspace }: Tracking, ids: readonly NodeId[]): Promise<readonly LineageEdgeRow[]> {
  const found: LineageEdgeRow[] = [];
  for (const [kind, columns] of Object.entries(COLUMNS)) {
    const own = ids.filter((id) => id.startsWith(`${kind}:`)).map((id) => splitNode(id));
    if (own.length === 0) continue;
    const pairs = sql.join(own.map(({ namespace, name }) => sql`(${namespace}, ${name})`));
    const key = sql.join(columns.map((column) => sql.ref(column)));
    const query = db.selectFrom('tracking_lineage_edges').selectAll().where('workspace', '=', workspace);
    const rows = query.where(sql<boolean>`(${key}) in (values ${pairs})`).orderBy('event_ms').limit(NODES_MAX);
    found.push(...(await rows.execute()));
  }
  return found;
}

/** Namespaces may have colons, as in `s3://bucket`; names have none. */
function splitNode(id: NodeId): { readonly namespace: string; readonly name: string } {
  const rest = id.slice(id.indexOf(':') + 1);
  const at = rest.lastIndexOf(':');
  return { namespace: rest.slice(0, at), name: rest.slice(at + 1) };
}

function toEdge(edge: LineageEdgeRow): LineageEdge {
  const job = jobNode({ namespace: edge.job_namespace, name: edge.job_name });
  const dataset = datasetNode(edge);
  return edge.direction === 'input' ? { origin: dataset, destination: job } : { origin: job, destination: dataset };
}

function toGraph(edges: readonly LineageEdgeRow[]): readonly LineageNode[] {
  const data = new Map<NodeId, LineageNode['data']>();
  for (const { namespace, name, version, job_namespace, job_name, run_id } of edges) {
    const known = data.get(datasetNode({ namespace, name }))?.versions ?? [];
    const versions = version === '' || known.includes(version) ? known : [...known, version];
    data.set(datasetNode({ namespace, name }), { namespace, name, versions });
    const job = { namespace: job_namespace, name: job_name };
    data.set(jobNode(job), { ...job, runId: run_id });
  }
  const links = [...new Map(edges.map(toEdge).map((edge) => [`${edge.origin} ${edge.destination}`, edge])).values()];
  return [...data].map(([id, own]) => ({
    id,
    type: id.startsWith('job:') ? 'JOB' : 'DATASET',
    data: own,
    inEdges: links.filter(({ destination }) => destination === id),
    outEdges: links.filter(({ origin }) => origin === id),
  }));
}
