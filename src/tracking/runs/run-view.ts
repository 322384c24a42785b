/** Whole runs as MLflow's REST API shows them, one or a page of them. Writes nothing. */
import { sql } from 'kysely';
import { chunk } from '../../sql/insert-rows.ts';
import { type KeyValue, readOwned } from '../owned-values.ts';
import type { Paged } from '../page-token.ts';
import type { RunRow } from '../schema.ts';
import { inOrder, searchIds } from '../search/search-ids.ts';
import type { IdTarget } from '../search/search-sql.ts';
import type { Tracking } from '../tracking.ts';
import { keepOwn, type Search, stageOf } from './experiments.ts';
import { readLatest, type WireMetric } from './metrics.ts';
import { type RunFlow, readFlows } from './run-inputs.ts';
import { getRunRow } from './runs.ts';

/** MLflow's RunInfo; `end_time` is absent while the run goes on. */
export interface RunInfo extends Omit<RunRow, 'end_time'> {
  readonly run_uuid: string;
  readonly end_time?: number;
}

/** MLflow's Run. */
export interface Run {
  readonly info: RunInfo;
  readonly data: {
    readonly metrics: readonly WireMetric[];
    readonly params: readonly KeyValue[];
    readonly tags: readonly KeyValue[];
  };
  readonly inputs: Pick<RunFlow, 'dataset_inputs' | 'model_inputs'>;
  readonly outputs: Pick<RunFlow, 'model_outputs'>;
}

const RUNS_AT_ONCE = 1_000;
/** What can be asked of runs. */
export const RUN_TARGET: IdTarget = {
  table: 'tracking_runs',
  id: 'run_id',
  tie: sql`tracking_runs.start_time desc, tracking_runs.run_id`,
  optional: ['end_time'],
  attributes: {
    run_id: 'text',
    run_name: 'text',
    'run name': 'text',
    'Run name': 'text',
    'Run Name': 'text',
    user_id: 'text',
    status: 'text',
    artifact_uri: 'text',
    experiment_id: 'text',
    start_time: 'number',
    end_time: 'number',
    created: 'number',
    Created: 'number',
  },
  entities: ['attribute', 'metric', 'param', 'tag', 'dataset'],
  columns: {
    'run name': 'run_name',
    'Run name': 'run_name',
    'Run Name': 'run_name',
    created: 'start_time',
    Created: 'start_time',
  },
  owner: sql.ref('tracking_runs.run_id'),
  ownerKind: 'run',
  metrics: { table: 'tracking_latest_metrics', column: 'run_id', isUnique: true },
};

/** @throws NotFound */
export async function getRun(tracking: Tracking, runId: string): Promise<Run> {
  const row = await getRunRow(tracking, runId);
  const [run] = await completeRuns(tracking, [runId], [row]);
  return run as Run; // why: one row gives one run
}

/** Runs of these experiments, newest first unless told otherwise. @throws Invalid for a filter that says nothing. */
export async function searchRuns(
  tracking: Tracking,
  experimentIds: readonly string[],
  search: Search,
): Promise<Paged<Run>> {
  const ids = await keepOwn(tracking, experimentIds);
  const ofThese = ids.length === 0 ? sql`1 = 0` : sql`experiment_id in (${sql.join(ids)})`;
  const stage = search.view === 'ALL' ? sql`1 = 1` : sql`lifecycle_stage = ${stageOf(search.view)}`;
  const found = await searchIds(tracking, RUN_TARGET, { ...search, where: sql`${ofThese} and ${stage}` });
  const rows = readRows(tracking, found.items);
  return { ...found, items: await completeRuns(tracking, found.items, rows) };
}

async function readRows({ db }: Tracking, ids: readonly string[]): Promise<readonly RunRow[]> {
  const rows: RunRow[] = [];
  for (const part of chunk(ids, RUNS_AT_ONCE)) {
    rows.push(...(await db.selectFrom('tracking_runs').selectAll().where('run_id', 'in', part).execute()));
  }
  return inOrder(ids, rows, ({ run_id }) => run_id);
}

/** MLflow's RunInfo of a row. */
export function toRunInfo(row: RunRow): RunInfo {
  const { end_time, ...info } = row;
  return { ...info, run_uuid: row.run_id, ...(end_time !== null && { end_time }) };
}

/** All at once: PostgreSQL reads one table while this process takes in the rows of another. */
async function completeRuns(
  tracking: Tracking,
  owners: readonly string[],
  rowsOfThem: readonly RunRow[] | Promise<readonly RunRow[]>,
): Promise<Run[]> {
  const [rows, metrics, params, tags, flows] = await Promise.all([
    rowsOfThem,
    readLatest(tracking, owners),
    readOwned(tracking, 'tracking_params', { kind: 'run', owners }),
    readOwned(tracking, 'tracking_tags', { kind: 'run', owners }),
    readFlows(tracking, owners),
  ]);
  return rows.map((row) => {
    const id = row.run_id;
    const { dataset_inputs = [], model_inputs = [], model_outputs = [] } = flows.get(id) ?? {};
    return {
      info: toRunInfo(row),
      data: { metrics: metrics.get(id) ?? [], params: params.get(id) ?? [], tags: tags.get(id) ?? [] },
      inputs: { dataset_inputs, model_inputs },
      outputs: { model_outputs },
    };
  });
}
