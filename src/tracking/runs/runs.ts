/** Runs: one execution each, with parameters, metrics and tags. Knows their life; nothing of HTTP. */
import { sql } from 'kysely';
import { StatusError } from '../../kube/status-error.ts';
import {
  ITEMS_PER_BATCH_MAX,
  METRICS_PER_BATCH_MAX,
  PARAM_VALUE_LENGTH_MAX,
  PARAMS_PER_BATCH_MAX,
  RUN_TAG_VALUE_LENGTH_MAX,
  TAGS_PER_BATCH_MAX,
} from '../limits.ts';
import { checkParams, checkTags, deleteTag, type KeyValue, setParams, setTags } from '../owned-values.ts';
import type { LifecycleStage, RunRow, RunStatus } from '../schema.ts';
import { inTransaction, type Tracking } from '../tracking.ts';
import { getActiveExperiment, isOwn } from './experiments.ts';
import { checkPoints, logMetrics, type MetricPoint } from './metrics.ts';
import { nameRun } from './run-name.ts';

const NAME_TAG = 'mlflow.runName';
const TAG_RULE = { lengthMax: RUN_TAG_VALUE_LENGTH_MAX, tooLong: 'cut' } as const;

export interface NewRun {
  readonly experimentId: string;
  readonly userId: string;
  readonly startTime?: number | undefined;
  readonly runName?: string | undefined;
  readonly tags: readonly KeyValue[];
}

export interface RunChange {
  readonly status?: RunStatus | undefined;
  readonly endTime?: number | undefined;
  readonly runName?: string | undefined;
}

export interface Batch {
  readonly metrics: readonly MetricPoint[];
  readonly params: readonly KeyValue[];
  readonly tags: readonly KeyValue[];
  /** Errors name the one thing, not its place in a list. */
  readonly single?: boolean;
}

/** Starts a run. @throws NotFound when there is no such experiment, Invalid when it is deleted. */
export async function createRun(tracking: Tracking, wanted: NewRun): Promise<RunRow> {
  const { experiment_id, artifact_location } = await getActiveExperiment(tracking, wanted.experimentId);
  const runId = tracking.newId();
  const tagged = wanted.tags.find(({ key }) => key === NAME_TAG)?.value;
  const name = wanted.runName || tagged || nameRun(runId);
  const row: RunRow = {
    run_id: runId,
    experiment_id,
    run_name: name,
    user_id: wanted.userId,
    status: 'RUNNING',
    start_time: wanted.startTime ?? tracking.clock.nowMs(),
    end_time: null,
    artifact_uri: `${artifact_location.replace(/\/+$/, '')}/${runId}/artifacts`,
    lifecycle_stage: 'active',
  };
  checkTags(wanted.tags, TAG_RULE);
  await inTransaction(tracking, async (within) => {
    await within.db.insertInto('tracking_runs').values(row).execute();
    await tagRun(within, runId, [...wanted.tags, { key: NAME_TAG, value: name }]);
  });
  return row;
}

/** @throws NotFound */
export async function getRunRow(tracking: Tracking, runId: string): Promise<RunRow> {
  const { db } = tracking;
  const query = db.selectFrom('tracking_runs').selectAll().where('run_id', '=', runId);
  const row = await query.where(isOwn(tracking, sql.ref('tracking_runs.experiment_id'))).executeTakeFirst();
  if (row) return row;
  throw new StatusError('NotFound', `Run with id=${runId} not found`);
}

/** @throws NotFound, Invalid when the run is deleted: it takes nothing new. */
export async function getActiveRun(tracking: Tracking, runId: string): Promise<RunRow> {
  const row = await getRunRow(tracking, runId);
  if (row.lifecycle_stage === 'active') return row;
  throw new StatusError('Invalid', `The run ${runId} must be in the 'active' state. Current state is deleted.`);
}

/** Changes what is given. @throws as getActiveRun does */
export async function updateRun(tracking: Tracking, runId: string, change: RunChange): Promise<RunRow> {
  return inTransaction(tracking, async (within) => {
    const row = await getActiveRun(within, runId);
    // Only what is given: who changes something else at the same time keeps it.
    const { status, endTime: end_time, runName } = change;
    const set = {
      ...(status !== undefined && { status }),
      ...(end_time !== undefined && { end_time }),
      ...(runName && { run_name: runName }),
    };
    if (Object.keys(set).length === 0) return row;
    const query = within.db.updateTable('tracking_runs').set(set).where('run_id', '=', runId);
    const changed = await query.returningAll().executeTakeFirstOrThrow();
    if (runName) await tagRun(within, runId, [{ key: NAME_TAG, value: runName }]);
    return changed;
  });
}

/** Deletes or restores a run; its rows stay. @throws NotFound */
export async function setRunStage(tracking: Tracking, runId: string, stage: LifecycleStage): Promise<void> {
  await getRunRow(tracking, runId);
  await tracking.db.updateTable('tracking_runs').set({ lifecycle_stage: stage }).where('run_id', '=', runId).execute();
}

/** Keeps all of the batch or nothing. @throws NotFound, Invalid with the first thing that is wrong */
export async function logBatch(tracking: Tracking, runId: string, batch: Batch): Promise<void> {
  checkBatch(batch);
  await inTransaction(tracking, async (within) => {
    await getActiveRun(within, runId);
    const params = { params: batch.params, lengthMax: PARAM_VALUE_LENGTH_MAX, batch: batch.single !== true };
    await setParams(within, { kind: 'run', owner: runId }, params);
    await logMetrics(within, runId, batch.metrics);
    await setRunTags(within, runId, batch.tags);
  });
}

/** @throws NotFound, Invalid */
export async function deleteRunTag(tracking: Tracking, runId: string, key: string): Promise<void> {
  await getActiveRun(tracking, runId);
  await deleteTag(tracking, { kind: 'run', owner: runId }, key);
}

/** The name is a tag to some clients and a field to others: both say the same. */
async function setRunTags(tracking: Tracking, runId: string, tags: readonly KeyValue[]): Promise<void> {
  await tagRun(tracking, runId, tags);
  const name = tags.findLast(({ key }) => key === NAME_TAG)?.value;
  if (!name) return;
  await tracking.db.updateTable('tracking_runs').set({ run_name: name }).where('run_id', '=', runId).execute();
}

function tagRun(tracking: Tracking, runId: string, tags: readonly KeyValue[]): Promise<void> {
  return setTags(tracking, { kind: 'run', owner: runId }, { tags, rule: TAG_RULE });
}

function checkBatch({ metrics, params, tags, single = false }: Batch): void {
  checkCount('metrics', metrics.length, METRICS_PER_BATCH_MAX);
  checkCount('params', params.length, PARAMS_PER_BATCH_MAX);
  checkCount('tags', tags.length, TAGS_PER_BATCH_MAX);
  checkCount('metrics, params, and tags', metrics.length + params.length + tags.length, ITEMS_PER_BATCH_MAX);
  checkPoints(metrics, !single);
  checkParams(params, !single);
  checkTags(tags, TAG_RULE, !single);
}

/** @throws Invalid when a request brings more than it may; shared by all batches. */
export function checkCount(what: string, count: number, countMax: number): void {
  if (count <= countMax) return;
  const message = `A batch logging request can contain at most ${countMax} ${what}. Got ${count} ${what}.`;
  throw new StatusError('Invalid', `${message} Please split up ${what} across multiple requests and try again.`);
}
