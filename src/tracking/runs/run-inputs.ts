/** What runs read and wrote: data sets and logged models. Knows nothing of their content. */
import { StatusError } from '../../kube/status-error.ts';
import { chunk, insertRows } from '../../sql/insert-rows.ts';
import { checkLength } from '../check-name.ts';
import {
  DATASET_LENGTHS_MAX,
  DATASET_SEARCH_EXPERIMENTS_MAX,
  DATASET_SUMMARIES_MAX,
  DATASETS_PER_BATCH_MAX,
  INPUT_TAG_KEY_LENGTH_MAX,
  INPUT_TAG_VALUE_LENGTH_MAX,
} from '../limits.ts';
import { append, type KeyValue } from '../owned-values.ts';
import type { InputRow, RunModelRow } from '../schema.ts';
import { inTransaction, type Tracking } from '../tracking.ts';
import { keepOwn } from './experiments.ts';
import { checkCount, getActiveRun } from './runs.ts';

/** A data set and what for. */
export interface DatasetInput {
  readonly tags: readonly KeyValue[];
  readonly dataset: {
    readonly name: string;
    readonly digest: string;
    readonly source_type: string;
    readonly source: string;
    readonly schema?: string | undefined;
    readonly profile?: string | undefined;
  };
}

/** What MLflow shows of a run's inputs and outputs. */
export interface RunFlow {
  readonly dataset_inputs: readonly DatasetInput[];
  readonly model_inputs: readonly { readonly model_id: string }[];
  readonly model_outputs: readonly { readonly model_id: string; readonly step: number }[];
}

export interface NewInputs {
  readonly datasets: readonly DatasetInput[];
  readonly modelIds: readonly string[];
}

const CONTEXT_TAG = 'mlflow.data.context';
const RUNS_AT_ONCE = 1_000;
const MODEL_KEYS = ['run_id', 'direction', 'model_id'];

/** Notes what a run reads; the same data set again changes nothing. @throws NotFound, Invalid */
export async function logInputs(tracking: Tracking, runId: string, inputs: NewInputs): Promise<void> {
  checkCount('datasets', inputs.datasets.length, DATASETS_PER_BATCH_MAX);
  for (const input of inputs.datasets) checkInput(input);
  await inTransaction(tracking, async (within) => {
    await getActiveRun(within, runId);
    const rows = inputs.datasets.map((input) => toInputRow(runId, input));
    const keys = ['run_id', 'name', 'digest'];
    await insertRows(within.db, rows, { table: 'tracking_inputs', keys, onConflict: 'keep' });
    const models = inputs.modelIds.map((id) => ({ run_id: runId, direction: 'input', model_id: id, step: 0 }));
    await insertRows(within.db, models, { table: 'tracking_run_models', keys: MODEL_KEYS, onConflict: 'keep' });
  });
}

/** Notes which models a run wrote. @throws NotFound, Invalid */
export async function logOutputs(tracking: Tracking, runId: string, models: RunFlow['model_outputs']): Promise<void> {
  await getActiveRun(tracking, runId);
  const last = new Map(models.map(({ model_id, step }) => [model_id, step]));
  const rows = [...last].map(([model_id, step]) => ({ run_id: runId, direction: 'output', model_id, step }));
  await insertRows(tracking.db, rows, { table: 'tracking_run_models', keys: MODEL_KEYS, onConflict: 'replace' });
}

/** A data set that runs of an experiment read, and what for. */
export interface DatasetSummary {
  readonly experiment_id: string;
  readonly name: string;
  readonly digest: string;
  readonly context?: string;
}

/** The data sets of these experiments' runs, each once. @throws Invalid for no or too many experiments */
export async function searchDatasets(
  tracking: Tracking,
  experimentIds: readonly string[],
): Promise<readonly DatasetSummary[]> {
  if (experimentIds.length === 0) {
    throw new StatusError('Invalid', 'SearchDatasets request must specify at least one experiment_id.');
  }
  if (experimentIds.length > DATASET_SEARCH_EXPERIMENTS_MAX) {
    const received = `Received ${experimentIds.length} experiment_ids.`;
    const rule = `cannot specify more than ${DATASET_SEARCH_EXPERIMENTS_MAX} experiment_ids`;
    throw new StatusError('Invalid', `SearchDatasets request ${rule}. ${received}`);
  }
  const ids = await keepOwn(tracking, experimentIds);
  if (ids.length === 0) return [];
  const rows = await tracking.db
    .selectFrom('tracking_inputs as input')
    .innerJoin('tracking_runs as run', 'run.run_id', 'input.run_id')
    .select(['run.experiment_id', 'input.name', 'input.digest', 'input.context'])
    .distinct()
    .where('run.experiment_id', 'in', ids)
    .orderBy('input.name')
    .orderBy('input.digest')
    .limit(DATASET_SUMMARIES_MAX)
    .execute();
  return rows.map(({ context, ...row }) => ({ ...row, ...(context !== null && { context }) }));
}

/** Inputs and outputs by run; a run without any has no entry. */
export async function readFlows({ db }: Tracking, runIds: readonly string[]): Promise<ReadonlyMap<string, RunFlow>> {
  const datasets = new Map<string, InputRow[]>();
  const models = new Map<string, RunModelRow[]>();
  for (const part of chunk(runIds, RUNS_AT_ONCE)) {
    const inputs = await db.selectFrom('tracking_inputs').selectAll().where('run_id', 'in', part).execute();
    for (const row of inputs) append(datasets, row.run_id, row);
    const found = await db.selectFrom('tracking_run_models').selectAll().where('run_id', 'in', part).execute();
    for (const row of found) append(models, row.run_id, row);
  }
  const ids = new Set([...datasets.keys(), ...models.keys()]);
  return new Map([...ids].map((id) => [id, toFlow(datasets.get(id) ?? [], models.get(id) ?? [])]));
}

function checkInput({ dataset, tags }: DatasetInput): void {
  for (const [field, lengthMax] of Object.entries(DATASET_LENGTHS_MAX)) {
    checkLength(String(Reflect.get(dataset, field) ?? ''), field, lengthMax);
  }
  for (const { key, value } of tags) {
    checkLength(key, 'key', INPUT_TAG_KEY_LENGTH_MAX);
    checkLength(value, 'value', INPUT_TAG_VALUE_LENGTH_MAX);
  }
}

function toFlow(datasets: readonly InputRow[], models: readonly RunModelRow[]): RunFlow {
  const inputs = models.filter(({ direction }) => direction === 'input');
  const outputs = models.filter(({ direction }) => direction === 'output');
  return {
    dataset_inputs: datasets.map(toInput),
    model_inputs: inputs.map(({ model_id }) => ({ model_id })),
    model_outputs: outputs.map(({ model_id, step }) => ({ model_id, step })),
  };
}

/** As the table has it. */
export function toInputRow(runId: string, { tags, dataset }: DatasetInput): InputRow {
  const { schema = null, profile = null, ...rest } = dataset;
  const context = tags.find(({ key }) => key === CONTEXT_TAG)?.value ?? null;
  return { run_id: runId, ...rest, schema, profile, context, tags: JSON.stringify(tags) };
}

function toInput({ name, digest, source_type, source, schema, profile, tags }: InputRow): DatasetInput {
  const optional = { ...(schema !== null && { schema }), ...(profile !== null && { profile }) };
  const parsed = JSON.parse(tags) as KeyValue[]; // why: toRow wrote it
  return { tags: parsed, dataset: { name, digest, source_type, source, ...optional } };
}
