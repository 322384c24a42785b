/**
 * Takes over what another tracker kept: ids and times stay as they were. A run is seen only when all of it is here,
 * since its row comes last; doing it again adds what is new and changes nothing else. Reads no other tracker.
 */
import { ignoreNotFound, StatusError } from '../../kube/status-error.ts';
import { insertRows } from '../../sql/insert-rows.ts';
import { checkExperimentName, checkModelName, cutText } from '../check-name.ts';
import { MODEL_TAG_VALUE_LENGTH_MAX, PARAM_VALUE_LENGTH_MAX, RUN_TAG_VALUE_LENGTH_MAX } from '../limits.ts';
import { judgeNew } from '../models/judge-version.ts';
import { ownerOf } from '../models/model-versions.ts';
import { createModel, getModelRow } from '../models/registered-models.ts';
import { checkSource } from '../models/version-source.ts';
import { checkParams, checkTags, type KeyValue, type Owner } from '../owned-values.ts';
import type { LoggedModelRow, ModelVersionRow, RunRow } from '../schema.ts';
import { inTransaction, type Tracking } from '../tracking.ts';
import { createExperiment, getExperiment, getExperimentByName } from './experiments.ts';
import { checkPoints, logMetrics, type MetricPoint } from './metrics.ts';
import { type DatasetInput, type RunFlow, toInputRow } from './run-inputs.ts';

/** What has a life of its own before it comes here. */
export interface ImportedExperiment {
  readonly name: string;
  readonly lifecycleStage: 'active' | 'deleted';
  readonly tags: readonly KeyValue[];
}

/** A run without its metrics, which were sent before. */
export interface ImportedRun {
  readonly row: Omit<RunRow, 'artifact_uri'>;
  readonly params: readonly KeyValue[];
  readonly tags: readonly KeyValue[];
  readonly datasets: readonly DatasetInput[];
  readonly outputs: RunFlow['model_outputs'];
}

export interface ImportedVersion {
  readonly name: string;
  readonly row: Omit<ModelVersionRow, 'model_key' | 'status' | 'status_message' | 'digest' | 'size_bytes'>;
  readonly tags: readonly KeyValue[];
}

export interface ImportedModel {
  readonly row: Omit<LoggedModelRow, 'artifact_uri'>;
  readonly params: readonly KeyValue[];
  readonly tags: readonly KeyValue[];
}

/** The experiment of that name, made when there is none; its tags are added, not changed. */
export async function importExperiment(tracking: Tracking, wanted: ImportedExperiment): Promise<Imported> {
  checkExperimentName(wanted.name);
  const found = await getExperimentByName(tracking, wanted.name).catch(ignoreNotFound);
  const id = found?.experiment_id ?? (await createExperiment(tracking, { name: wanted.name, tags: [] }));
  await addOwned(tracking, 'tracking_tags', { owner: { kind: 'experiment', owner: id }, values: wanted.tags });
  if (!found && wanted.lifecycleStage === 'deleted') {
    const query = tracking.db.updateTable('tracking_experiments').set({ lifecycle_stage: 'deleted' });
    await query.where('experiment_id', '=', id).execute();
  }
  return { id, isNew: !found };
}

/** What came of it. */
export interface Imported {
  readonly id: string;
  readonly isNew: boolean;
}

/** Keeps points of a run that is not here yet, or is one of this workspace. @throws Invalid, AlreadyExists */
export async function importMetrics(tracking: Tracking, runId: string, points: readonly MetricPoint[]): Promise<void> {
  checkRunId(runId);
  checkPoints(points, true);
  await inTransaction(tracking, async (within) => {
    await checkNotForeign(within, runId);
    await logMetrics(within, runId, points);
  });
}

/** The run with all it has; of one that is here already, what is new. @throws Invalid, NotFound, AlreadyExists */
export async function importRun(tracking: Tracking, { row, ...has }: ImportedRun): Promise<Imported> {
  const { run_id: id } = row;
  checkRunId(id);
  checkParams(has.params, true);
  checkTags(has.tags, { lengthMax: RUN_TAG_VALUE_LENGTH_MAX, tooLong: 'cut' }, true);
  const { experiment_id, artifact_location } = await getExperiment(tracking, row.experiment_id);
  return inTransaction(tracking, async (within) => {
    const isNew = !(await checkNotForeign(within, id));
    const owner = { kind: 'run', owner: id } as const;
    await addOwned(within, 'tracking_params', { owner, values: cut(has.params, PARAM_VALUE_LENGTH_MAX) });
    await addOwned(within, 'tracking_tags', { owner, values: cut(has.tags, RUN_TAG_VALUE_LENGTH_MAX) });
    const inputs = has.datasets.map((input) => toInputRow(id, input));
    const keys = ['run_id', 'name', 'digest'];
    await insertRows(within.db, inputs, { table: 'tracking_inputs', keys, onConflict: 'keep' });
    const outputs = has.outputs.map((output) => ({ run_id: id, direction: 'output', ...output }));
    const modelKeys = ['run_id', 'direction', 'model_id'];
    await insertRows(within.db, outputs, { table: 'tracking_run_models', keys: modelKeys, onConflict: 'keep' });
    const artifact_uri = `${artifact_location.replace(/\/+$/, '')}/${id}/artifacts`;
    const rows = [{ ...row, experiment_id, artifact_uri }];
    await insertRows(within.db, rows, { table: 'tracking_runs', keys: ['run_id'], onConflict: 'keep' });
    // Another workspace may have brought the same id meanwhile.
    await checkNotForeign(within, id);
    return { id, isNew };
  });
}

/** A logged model with its id. @throws Invalid, NotFound */
export async function importLoggedModel(tracking: Tracking, { row, params, tags }: ImportedModel): Promise<Imported> {
  if (!/^m-[0-9a-f]{32}$/.test(row.model_id))
    throw new StatusError('Invalid', `cannot import the logged model ${row.model_id}: its id is none`);
  const { experiment_id, artifact_location } = await getExperiment(tracking, row.experiment_id);
  const artifact_uri = `${artifact_location.replace(/\/+$/, '')}/models/${row.model_id}/artifacts`;
  return inTransaction(tracking, async (within) => {
    const find = async () => {
      const query = within.db.selectFrom('tracking_logged_models').select('experiment_id');
      const found = await query.where('model_id', '=', row.model_id).executeTakeFirst();
      if (found && found.experiment_id !== experiment_id) throw taken('logged model', row.model_id);
      return found;
    };
    const found = await find();
    const owner = { kind: 'logged-model', owner: row.model_id } as const;
    await addOwned(within, 'tracking_params', { owner, values: cut(params, PARAM_VALUE_LENGTH_MAX) });
    await addOwned(within, 'tracking_tags', { owner, values: cut(tags, RUN_TAG_VALUE_LENGTH_MAX) });
    const rows = [{ ...row, experiment_id, artifact_uri }];
    await insertRows(within.db, rows, { table: 'tracking_logged_models', keys: ['model_id'], onConflict: 'keep' });
    await find();
    return { id: row.model_id, isNew: !found };
  });
}

/** The registered model of that name, made when there is none. @throws Invalid */
export async function importRegisteredModel(
  tracking: Tracking,
  {
    name,
    description,
    tags,
  }: { readonly name: string; readonly description: string; readonly tags: readonly KeyValue[] },
): Promise<Imported> {
  checkModelName(name);
  const found = await getModelRow(tracking, name).catch(ignoreNotFound);
  if (!found) await createModel(tracking, { name, description, tags: [] });
  const { model_key } = await getModelRow(tracking, name);
  const owner = { kind: 'registered-model', owner: model_key } as const;
  await addOwned(tracking, 'tracking_tags', { owner, values: cut(tags, MODEL_TAG_VALUE_LENGTH_MAX) });
  return { id: name, isNew: !found };
}

/** A version with its number; the next one comes behind it. @throws NotFound, AlreadyExists, Invalid for its source */
export async function importVersion(tracking: Tracking, { name, row, tags }: ImportedVersion): Promise<Imported> {
  await checkOwnSource(tracking, row);
  const imported = await inTransaction(tracking, async (within) => {
    const { model_key, last_version } = await getModelRow(within, name);
    const query = within.db.selectFrom('tracking_model_versions').select(['run_id', 'source']);
    const ofNumber = query.where('model_key', '=', model_key).where('version', '=', row.version);
    const found = await ofNumber.executeTakeFirst();
    const id = `${name}/${row.version}`;
    if (found && (found.run_id !== row.run_id || found.source !== row.source)) throw taken('model version', id);
    if (!found)
      await within.db
        .insertInto('tracking_model_versions')
        .values({
          ...row,
          model_key,
          status: 'PENDING_REGISTRATION',
          status_message: '',
          digest: null,
          size_bytes: null,
        })
        .execute();
    const owner = ownerOf({ model_key, version: row.version });
    await addOwned(within, 'tracking_tags', { owner, values: cut(tags, MODEL_TAG_VALUE_LENGTH_MAX) });
    if (row.version > last_version) {
      const change = within.db.updateTable('tracking_registered_models').set({ last_version: row.version });
      await change.where('model_key', '=', model_key).execute();
    }
    return { id, isNew: !found, model_key };
  });
  // Files from elsewhere are looked through like those that are registered here.
  if (imported.isNew) await judgeNew(tracking, { ...imported, version: row.version }, row.source);
  return imported;
}

/** What lies in a store of ours, or on a server's disk, is somebody's: the rules of publishing hold. */
async function checkOwnSource(tracking: Tracking, { source, run_id: runId }: ImportedVersion['row']): Promise<void> {
  if (!/^(mlflow-artifacts:|file:|\/)/i.test(source)) return;
  const modelId = /\/models\/(m-[0-9a-f]{32})\/artifacts/.exec(source)?.[1] ?? '';
  await checkSource(tracking, { source, runId, modelId });
}

/** True when the run is here. @throws AlreadyExists when it is another workspace's */
async function checkNotForeign({ db, workspace }: Tracking, runId: string): Promise<boolean> {
  const found = await db
    .selectFrom('tracking_runs as run')
    .innerJoin('tracking_experiments as experiment', 'experiment.experiment_id', 'run.experiment_id')
    .select('experiment.workspace')
    .where('run.run_id', '=', runId)
    .executeTakeFirst();
  if (found && found.workspace !== workspace) throw taken('run', runId);
  return found !== undefined;
}

interface Values {
  readonly owner: Owner;
  readonly values: readonly KeyValue[];
}

/** Those that are there already stay as they are. */
async function addOwned(
  { db }: Tracking,
  table: 'tracking_tags' | 'tracking_params',
  { owner, values }: Values,
): Promise<void> {
  const rows = [...new Map(values.map(({ key, value }) => [key, { ...owner, key, value }])).values()];
  await insertRows(db, rows, { table, keys: ['kind', 'owner', 'key'], onConflict: 'keep' });
}

function cut(values: readonly KeyValue[], lengthMax: number): readonly KeyValue[] {
  return values.map(({ key, value }) => ({ key, value: cutText(value, lengthMax) }));
}

function checkRunId(runId: string): void {
  if (/^[0-9a-f]{32}$/.test(runId)) return;
  throw new StatusError('Invalid', `cannot import run ${runId}: its id is not 32 hexadecimal digits`);
}

function taken(what: string, id: string): StatusError {
  return new StatusError('AlreadyExists', `cannot import ${what} ${id}: there is another one of that name here`);
}
