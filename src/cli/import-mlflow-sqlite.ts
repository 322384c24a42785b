/**
 * Reads MLflow's SQLite database, of any schema since 2.9: columns and tables that are not there count as empty. Opens
 * it read-only; a running MLflow server may go on using it.
 */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StatusError } from '../kube/status-error.ts';
import type { KeyValue } from '../tracking/owned-values.ts';
import type { MetricPoint } from '../tracking/runs/metrics.ts';
import type { DatasetInput } from '../tracking/runs/run-inputs.ts';
import { LOGGED_MODEL_STATUSES } from '../tracking/status-names.ts';
import {
  findLocalFolder,
  type ImportSource,
  type SourceFiles,
  type SourceLoggedModel,
  type SourceModel,
  type SourceRun,
  type SourceVersion,
} from './import-source.ts';

type Row = Readonly<Record<string, unknown>>;

/** @throws Invalid when the file is no such database */
export function openSqliteStore(path: string, proxied: string | undefined): ImportSource {
  if (!existsSync(path)) throw new StatusError('NotFound', `cannot import ${path}: there is no such file`);
  const database = new MlflowDatabase(path);
  const files = (uri: string): SourceFiles => ({ uri, folder: findLocalFolder(uri, { base: dirname(path), proxied }) });
  const at = (table: string, key: string) => `${path}, table ${table}, ${key}`;
  return {
    experiments: () =>
      database.all('select * from experiments order by experiment_id').map((row) => ({
        where: at('experiments', text(row, 'experiment_id')),
        read: () => ({
          id: text(row, 'experiment_id'),
          name: text(row, 'name'),
          lifecycle_stage: text(row, 'lifecycle_stage', 'active'),
          tags: database.values('experiment_tags', 'experiment_id = ?', row['experiment_id']),
        }),
      })),
    runs: (id) =>
      database.all('select * from runs where experiment_id = ? order by start_time', Number(id)).map((row) => ({
        where: at('runs', text(row, 'run_uuid')),
        read: () => readRun(database, row, files(text(row, 'artifact_uri'))),
      })),
    loggedModels: (id) =>
      database.all('select * from logged_models where experiment_id = ?', Number(id)).map((row) => ({
        where: at('logged_models', text(row, 'model_id')),
        read: () => readLoggedModel(database, row, files(text(row, 'artifact_location'))),
      })),
    models: () =>
      database.all('select * from registered_models order by name').map((row) => ({
        where: at('registered_models', text(row, 'name')),
        read: () => readModel(database, row),
      })),
    close: () => database.close(),
  };
}

class MlflowDatabase {
  readonly #database: DatabaseSync;
  readonly #tables: ReadonlySet<string>;

  constructor(path: string) {
    try {
      this.#database = new DatabaseSync(path, { readOnly: true });
      const tables = this.#database.prepare("select name from sqlite_master where type = 'table'").all();
      this.#tables = new Set(tables.map(({ name }) => String(name)));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new StatusError('Invalid', `cannot import ${path}: it is no SQLite database (${why})`, { cause });
    }
    if (this.#tables.has('experiments') && this.#tables.has('runs')) return;
    this.#database.close();
    throw new StatusError('Invalid', `cannot import ${path}: it has no tables of MLflow's`);
  }

  /** Rows of a query whose table follows the first `from`; none where the schema has no such table. */
  all(query: string, ...values: readonly (string | number)[]): readonly Row[] {
    return [...this.each(query, ...values)];
  }

  *each(query: string, ...values: readonly (string | number)[]): Generator<Row> {
    const table = /\bfrom (\w+)/.exec(query)?.[1] ?? '';
    if (this.#tables.has(table)) yield* this.#database.prepare(query).iterate(...values);
  }

  values(table: string, condition: string, ...values: readonly unknown[]): readonly KeyValue[] {
    const bound = values.map((value) => (typeof value === 'number' ? value : String(value)));
    const rows = this.all(`select * from ${table} where ${condition} order by 1, 2`, ...bound);
    return rows.map((row) => ({
      key: text(row, 'key', text(row, 'param_key', text(row, 'tag_key', text(row, 'name')))),
      value: text(row, 'value', text(row, 'param_value', text(row, 'tag_value'))),
    }));
  }

  close(): void {
    this.#database.close();
  }
}

function readRun(database: MlflowDatabase, row: Row, files: SourceFiles): SourceRun {
  const id = text(row, 'run_uuid');
  const tags = database.values('tags', 'run_uuid = ?', id);
  const named = tags.find(({ key }) => key === 'mlflow.runName')?.value ?? '';
  return {
    run: {
      run_id: id,
      run_name: text(row, 'name', named),
      user_id: text(row, 'user_id'),
      status: text(row, 'status'),
      start_time: row['start_time'] ?? 0,
      end_time: row['end_time'],
      lifecycle_stage: text(row, 'lifecycle_stage', 'active'),
    },
    params: database.values('params', 'run_uuid = ?', id),
    tags,
    datasets: readDatasets(database, id),
    outputs: database
      .all("select * from inputs where source_id = ? and destination_type = 'MODEL_OUTPUT'", id)
      .map((output) => ({ model_id: text(output, 'destination_id'), step: Number(output['step'] ?? 0) })),
    files,
    metrics: () => readMetrics(database, id),
  };
}

function* readMetrics(database: MlflowDatabase, runId: string): Generator<MetricPoint> {
  for (const row of database.each('select * from metrics where run_uuid = ?', runId)) {
    const { key, value, timestamp, step, is_nan } = row;
    if (typeof key !== 'string' || typeof value !== 'number' || typeof timestamp !== 'number')
      throw new StatusError('Invalid', `cannot read metric '${String(key)}' of run ${runId}: ${JSON.stringify(row)}`);
    const number = Number(is_nan) === 1 ? Number.NaN : value;
    yield { key, value: number, timestamp, step: Number(step ?? 0) };
  }
}

function readDatasets(database: MlflowDatabase, runId: string): readonly DatasetInput[] {
  const inputs = database.all(
    `select * from inputs join datasets on datasets.dataset_uuid = inputs.source_id
     where inputs.destination_type = 'RUN' and inputs.source_type = 'DATASET' and inputs.destination_id = ?`,
    runId,
  );
  return inputs.map((row) => ({
    tags: database.values('input_tags', 'input_uuid = ?', row['input_uuid']),
    dataset: {
      name: text(row, 'name'),
      digest: text(row, 'digest'),
      source_type: text(row, 'dataset_source_type'),
      source: text(row, 'dataset_source'),
      ...(row['dataset_schema'] !== null && { schema: text(row, 'dataset_schema') }),
      ...(row['dataset_profile'] !== null && { profile: text(row, 'dataset_profile') }),
    },
  }));
}

function readLoggedModel(database: MlflowDatabase, row: Row, files: SourceFiles): SourceLoggedModel {
  const id = text(row, 'model_id');
  return {
    model: {
      model_id: id,
      name: text(row, 'name'),
      model_type: text(row, 'model_type'),
      source_run_id: text(row, 'source_run_id'),
      status: LOGGED_MODEL_STATUSES[Number(row['status'])] ?? LOGGED_MODEL_STATUSES[0],
      lifecycle_stage: text(row, 'lifecycle_stage', 'active'),
      creation_time: row['creation_timestamp_ms'],
      last_update_time: row['last_updated_timestamp_ms'],
    },
    params: database.values('logged_model_params', 'model_id = ?', id),
    tags: database.values('logged_model_tags', 'model_id = ?', id),
    files,
  };
}

function readModel(database: MlflowDatabase, row: Row): SourceModel {
  const name = text(row, 'name');
  const versions = database.all(
    "select * from model_versions where name = ? and current_stage <> 'Deleted_Internal' order by version",
    name,
  );
  return {
    name,
    description: text(row, 'description'),
    tags: database.values('registered_model_tags', 'name = ?', name).map(({ key, value }) => ({ key, value })),
    versions: versions.map((version) => readVersion(database, version)),
    aliases: database
      .all('select * from registered_model_aliases where name = ?', name)
      .map((alias) => ({ alias: text(alias, 'alias'), version: text(alias, 'version') })),
  };
}

function readVersion(database: MlflowDatabase, row: Row): SourceVersion {
  const version = Number(row['version']);
  return {
    version: {
      version,
      source: text(row, 'storage_location', text(row, 'source')),
      run_id: text(row, 'run_id'),
      run_link: text(row, 'run_link'),
      user_id: text(row, 'user_id'),
      stage: text(row, 'current_stage', 'None'),
      description: text(row, 'description'),
      creation_time: row['creation_time'],
      last_update_time: row['last_updated_time'],
    },
    tags: database.values('model_version_tags', 'name = ? and version = ?', row['name'], version),
  };
}

function text(row: Row, column: string, fallback = ''): string {
  const value = row[column];
  return value === null || value === undefined ? fallback : String(value);
}
