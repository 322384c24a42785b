/**
 * Logged models: what a run saved as a model, before or without registration. Knows their life; files are elsewhere.
 */
import { sql } from 'kysely';
import { sayNotFound, StatusError } from '../../kube/status-error.ts';
import { chunk } from '../../sql/insert-rows.ts';
import { checkLoggedModelName } from '../check-name.ts';
import { PARAM_VALUE_LENGTH_MAX, RUN_TAG_VALUE_LENGTH_MAX } from '../limits.ts';
import {
  append,
  checkParams,
  checkTags,
  deleteTag,
  type KeyValue,
  readOwned,
  setParams,
  setTags,
} from '../owned-values.ts';
import { type Page, type Paged, toPage } from '../page-token.ts';
import { getActiveExperiment, isOwn, keepOwn } from '../runs/experiments.ts';
import { toWire, type WireMetric } from '../runs/metrics.ts';
import { nameRun } from '../runs/run-name.ts';
import type { LoggedModelRow } from '../schema.ts';
import { parseFilter } from '../search/search-filter.ts';
import { parseOrder } from '../search/search-order.ts';
import { type SearchTarget, toOrderBy, toWhere } from '../search/search-sql.ts';
import { inTransaction, type Tracking } from '../tracking.ts';

export interface NewLoggedModel {
  readonly experimentId: string;
  readonly name: string;
  readonly modelType: string;
  readonly sourceRunId: string;
  readonly params: readonly KeyValue[];
  readonly tags: readonly KeyValue[];
}

/** MLflow's LoggedModel. */
export interface LoggedModel {
  readonly info: {
    readonly model_id: string;
    readonly experiment_id: string;
    readonly name: string;
    readonly creation_timestamp_ms: number;
    readonly last_updated_timestamp_ms: number;
    readonly artifact_uri: string;
    readonly status: string;
    readonly model_type: string;
    readonly source_run_id: string;
    readonly tags: readonly KeyValue[];
  };
  readonly data: {
    readonly params: readonly KeyValue[];
    readonly metrics: readonly (WireMetric & { readonly run_id: string; readonly model_id: string })[];
  };
}

export interface ModelSearch {
  readonly experimentIds: readonly string[];
  readonly filter: string;
  readonly orderBy: readonly { readonly field_name: string; readonly ascending: boolean }[];
  readonly page: Page;
}

const MODELS_AT_ONCE = 1_000;
const TAG_RULE = { lengthMax: RUN_TAG_VALUE_LENGTH_MAX, tooLong: 'cut' } as const;
const TARGET: SearchTarget = {
  attributes: {
    model_id: 'text',
    name: 'text',
    model_type: 'text',
    status: 'text',
    source_run_id: 'text',
    experiment_id: 'text',
    creation_timestamp: 'number',
    creation_time: 'number',
    last_updated_timestamp: 'number',
  },
  entities: ['attribute', 'metric', 'param', 'tag'],
  columns: { creation_timestamp: 'creation_time', last_updated_timestamp: 'last_update_time' },
  owner: sql.ref('tracking_logged_models.model_id'),
  ownerKind: 'logged-model',
  metrics: { table: 'tracking_model_metrics', column: 'model_id' },
};

/** Begins a model, whose files come next. @throws NotFound, Invalid */
export async function createLoggedModel(tracking: Tracking, wanted: NewLoggedModel): Promise<LoggedModel> {
  if (wanted.name !== '') checkLoggedModelName(wanted.name);
  checkParams(wanted.params);
  checkTags(wanted.tags, TAG_RULE);
  const { experiment_id, artifact_location } = await getActiveExperiment(tracking, wanted.experimentId);
  const id = tracking.newId();
  const modelId = `m-${id}`;
  const nowMs = tracking.clock.nowMs();
  await inTransaction(tracking, async (within) => {
    const row: LoggedModelRow = {
      model_id: modelId,
      experiment_id,
      name: wanted.name || nameRun(id),
      model_type: wanted.modelType,
      source_run_id: wanted.sourceRunId,
      artifact_uri: `${artifact_location.replace(/\/+$/, '')}/models/${modelId}/artifacts`,
      status: 'LOGGED_MODEL_PENDING',
      lifecycle_stage: 'active',
      creation_time: nowMs,
      last_update_time: nowMs,
    };
    await within.db.insertInto('tracking_logged_models').values(row).execute();
    await setModelParams(within, modelId, wanted.params);
    await tagLoggedModel(within, modelId, wanted.tags);
  });
  return getLoggedModel(tracking, modelId, false);
}

/** @throws NotFound, also for a deleted one unless `allowDeleted` */
export async function getLoggedModel(tracking: Tracking, id: string, allowDeleted: boolean): Promise<LoggedModel> {
  const row = await getLoggedModelRow(tracking, id, allowDeleted);
  const [model] = await completeModels(tracking, [row]);
  return model as LoggedModel; // why: one row gives one model
}

/** @throws NotFound */
export async function getLoggedModelRow(
  tracking: Tracking,
  id: string,
  allowDeleted: boolean,
): Promise<LoggedModelRow> {
  const query = tracking.db.selectFrom('tracking_logged_models').selectAll().where('model_id', '=', id);
  const own = isOwn(tracking, sql.ref('tracking_logged_models.experiment_id'));
  const row = await query.where(own).executeTakeFirst();
  if (row && (allowDeleted || row.lifecycle_stage === 'active')) return row;
  throw new StatusError('NotFound', `Logged model with ID '${id}' not found.`);
}

/** Changes the status, or marks the model as deleted. @throws NotFound */
export async function changeLoggedModel(
  tracking: Tracking,
  id: string,
  change: Partial<Pick<LoggedModelRow, 'status' | 'lifecycle_stage'>>,
): Promise<void> {
  await getLoggedModelRow(tracking, id, change.lifecycle_stage === 'deleted');
  await tracking.db
    .updateTable('tracking_logged_models')
    .set({ ...change, last_update_time: tracking.clock.nowMs() })
    .where('model_id', '=', id)
    .execute();
}

/** @throws NotFound, Invalid when a parameter has another value already */
export async function logModelParams(tracking: Tracking, id: string, params: readonly KeyValue[]): Promise<void> {
  checkParams(params);
  await inTransaction(tracking, async (within) => {
    await getLoggedModelRow(within, id, false);
    await setModelParams(within, id, params);
  });
}

/** @throws NotFound, Invalid */
export async function setLoggedModelTags(tracking: Tracking, id: string, tags: readonly KeyValue[]): Promise<void> {
  checkTags(tags, TAG_RULE);
  await getLoggedModelRow(tracking, id, false);
  await tagLoggedModel(tracking, id, tags);
}

/** @throws NotFound */
export async function deleteLoggedModelTag(tracking: Tracking, id: string, key: string): Promise<void> {
  await getLoggedModelRow(tracking, id, false);
  await deleteTag(tracking, { kind: 'logged-model', owner: id }, key).catch(
    sayNotFound(`No tag with key '${key}' found for model with ID '${id}'.`),
  );
}

/** Newest first, unless told otherwise. @throws Invalid */
export async function searchLoggedModels(tracking: Tracking, search: ModelSearch): Promise<Paged<LoggedModel>> {
  const conditions = parseFilter(search.filter, TARGET);
  const orders = search.orderBy.map(({ field_name, ascending }) =>
    parseOrder(`${field_name} ${ascending ? 'ASC' : 'DESC'}`, TARGET),
  );
  const ids = await keepOwn(tracking, search.experimentIds);
  if (ids.length === 0) return { items: [] };
  let query = tracking.db
    .selectFrom('tracking_logged_models')
    .selectAll()
    .where('experiment_id', 'in', ids)
    .where('lifecycle_stage', '=', 'active')
    .where(toWhere(conditions, TARGET, tracking.dialect));
  for (const order of toOrderBy(orders, TARGET, tracking.dialect)) query = query.orderBy(order);
  const { limit, offset } = search.page;
  const ordered = query.orderBy('creation_time', 'desc').orderBy('model_id');
  const { items, ...rest } = toPage(
    await ordered
      .limit(limit + 1)
      .offset(offset)
      .execute(),
    search.page,
  );
  return { ...rest, items: await completeModels(tracking, items) };
}

async function completeModels(tracking: Tracking, rows: readonly LoggedModelRow[]): Promise<LoggedModel[]> {
  const owners = rows.map((row) => row.model_id);
  const params = await readOwned(tracking, 'tracking_params', { kind: 'logged-model', owners });
  const tags = await readOwned(tracking, 'tracking_tags', { kind: 'logged-model', owners });
  const metrics = new Map<string, LoggedModel['data']['metrics'][number][]>();
  for (const part of chunk(owners, MODELS_AT_ONCE)) {
    const query = tracking.db.selectFrom('tracking_model_metrics').selectAll().where('model_id', 'in', part);
    for (const row of await query.orderBy('key').orderBy('timestamp').orderBy('step').execute()) {
      const { run_id, model_id, dataset_name, dataset_digest } = row;
      const dataset = dataset_name === '' ? {} : { dataset_name, dataset_digest };
      append(metrics, model_id, { ...toWire(row), run_id, model_id, ...dataset });
    }
  }
  return rows.map((row) => ({
    info: { ...toInfo(row), tags: tags.get(row.model_id) ?? [] },
    data: { params: params.get(row.model_id) ?? [], metrics: metrics.get(row.model_id) ?? [] },
  }));
}

function toInfo(row: LoggedModelRow): Omit<LoggedModel['info'], 'tags'> {
  const { model_id, experiment_id, name, artifact_uri, status, model_type, source_run_id } = row;
  const times = { creation_timestamp_ms: row.creation_time, last_updated_timestamp_ms: row.last_update_time };
  return { model_id, experiment_id, name, ...times, artifact_uri, status, model_type, source_run_id };
}

function setModelParams(tracking: Tracking, owner: string, params: readonly KeyValue[]): Promise<void> {
  return setParams(tracking, { kind: 'logged-model', owner }, { params, lengthMax: PARAM_VALUE_LENGTH_MAX });
}

function tagLoggedModel(tracking: Tracking, owner: string, tags: readonly KeyValue[]): Promise<void> {
  return setTags(tracking, { kind: 'logged-model', owner }, { tags, rule: TAG_RULE });
}
