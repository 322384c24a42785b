/** Reads an MLflow file store (`mlruns/`) of any version. Writes nothing, sends nothing. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { isJsonObject } from '../base/json.ts';
import { StatusError } from '../kube/status-error.ts';
import type { KeyValue } from '../tracking/owned-values.ts';
import type { MetricPoint } from '../tracking/runs/metrics.ts';
import type { DatasetInput } from '../tracking/runs/run-inputs.ts';
import { findRunStatus, LOGGED_MODEL_STATUSES } from '../tracking/status-names.ts';
import {
  findLocalFolder,
  type ImportSource,
  listFiles,
  type SourceExperiment,
  type SourceFiles,
  type SourceLoggedModel,
  type SourceModel,
  type SourceRun,
  type SourceVersion,
} from './import-source.ts';
import { parseMetricValue } from './import-words.ts';

const META = 'meta.yaml';
const TRASH = '.trash';
const MODELS = 'models';
/** What MLflow calls the stage of a version that was deleted. */
const DELETED_STAGE = 'Deleted_Internal';

/** @throws Invalid when the folder holds no file store */
export function openFileStore(root: string, proxied: string | undefined): ImportSource {
  const folders = [...childFolders(root), ...childFolders(join(root, TRASH))];
  const experiments = folders.filter((folder) => !folder.endsWith(`/${MODELS}`) && existsSync(join(folder, META)));
  if (experiments.length === 0 && !existsSync(join(root, MODELS)))
    throw new StatusError('Invalid', `cannot import ${root}: it holds no MLflow file store, name the folder mlruns`);
  const byId = new Map(experiments.map((folder) => [folder.slice(folder.lastIndexOf('/') + 1), folder]));
  const places = { base: dirname(root), proxied };
  return {
    experiments: () => experiments.map((folder) => ({ where: folder, read: () => readExperiment(folder) })),
    runs: (id) =>
      childrenWithMeta(byId.get(id)).map((folder) => ({ where: folder, read: () => readRun(folder, places) })),
    loggedModels: (id) =>
      childrenWithMeta(join(byId.get(id) ?? '', MODELS)).map((folder) => ({
        where: folder,
        read: () => readLoggedModel(folder, places),
      })),
    models: () =>
      childrenWithMeta(join(root, MODELS)).map((folder) => ({ where: folder, read: () => readModel(folder) })),
    close: () => undefined,
  };
}

type Places = Parameters<typeof findLocalFolder>[1];

function readExperiment(folder: string): SourceExperiment {
  const meta = readMeta(folder);
  const id = folder.slice(folder.lastIndexOf('/') + 1);
  return {
    id,
    name: text(meta, 'name'),
    lifecycle_stage: text(meta, 'lifecycle_stage', 'active'),
    tags: readValues(join(folder, 'tags')),
  };
}

function readRun(folder: string, places: Places): SourceRun {
  const meta = readMeta(folder);
  const status = findRunStatus(meta['status']);
  if (status === undefined) throw damaged(join(folder, META), `its status ${String(meta['status'])} is none`);
  const tags = readValues(join(folder, 'tags'));
  const named = tags.find(({ key }) => key === 'mlflow.runName')?.value ?? '';
  return {
    run: {
      run_id: text(meta, 'run_id', text(meta, 'run_uuid')),
      run_name: text(meta, 'run_name', named),
      user_id: text(meta, 'user_id'),
      status,
      start_time: meta['start_time'] ?? 0,
      end_time: meta['end_time'] ?? null,
      lifecycle_stage: text(meta, 'lifecycle_stage', 'active'),
    },
    params: readValues(join(folder, 'params')),
    tags,
    datasets: childrenWithMeta(join(folder, 'inputs')).flatMap((input) => readInput(folder, input)),
    outputs: childrenWithMeta(join(folder, 'outputs')).map((output) => {
      const { destination_id, step } = readMeta(output);
      return { model_id: String(destination_id), step: Number(step ?? 0) };
    }),
    files: findFiles(folder, text(meta, 'artifact_uri'), places),
    metrics: () => readMetrics(join(folder, 'metrics')),
  };
}

/** Beside the run, where a store that was moved has them; else where the run says. */
function findFiles(folder: string, uri: string, places: Places): SourceFiles {
  const beside = join(folder, 'artifacts');
  return { uri, folder: existsSync(beside) ? beside : findLocalFolder(uri, places) };
}

function readInput(run: string, folder: string): readonly DatasetInput[] {
  const { source_type, source_id, tags } = readMeta(folder);
  if (source_type !== 'DATASET') return [];
  const place = join(dirname(run), 'datasets', String(source_id));
  const meta = readMeta(place);
  const optional = Object.fromEntries(
    ['schema', 'profile'].flatMap((key) => (typeof meta[key] === 'string' ? [[key, meta[key]]] : [])),
  );
  const dataset = {
    name: text(meta, 'name'),
    digest: text(meta, 'digest'),
    source_type: text(meta, 'source_type'),
    source: text(meta, 'source'),
    ...optional,
  };
  return [
    {
      dataset,
      tags: Object.entries(isJsonObject(tags) ? tags : {}).map(([key, value]) => ({ key, value: String(value) })),
    },
  ];
}

function* readMetrics(folder: string): Generator<MetricPoint> {
  for (const key of listFiles(folder)) {
    const path = join(folder, key);
    const lines = readFileSync(path, 'utf8').split('\n');
    for (const [index, line] of lines.entries())
      if (line.trim() !== '') yield parseMetric(key, line, `${path}:${index + 1}`);
  }
}

/** `timestamp value [step [dataset digest]]`; the oldest stores have no step. */
function parseMetric(key: string, line: string, where: string): MetricPoint {
  const [timestamp = '', valueText = '', step = '0', dataset_name, dataset_digest] = line.trim().split(' ');
  const value = parseMetricValue(valueText);
  if (value === undefined || !/^\d+$/.test(timestamp) || !/^-?\d+$/.test(step))
    throw damaged(where, `'${line.slice(0, 80)}' is no metric, want: timestamp value step`);
  return { key, value, timestamp: Number(timestamp), step: Number(step), dataset_name, dataset_digest };
}

function readLoggedModel(folder: string, places: Places): SourceLoggedModel {
  const meta = readMeta(folder);
  return {
    model: {
      model_id: text(meta, 'model_id'),
      name: text(meta, 'name'),
      model_type: text(meta, 'model_type'),
      source_run_id: text(meta, 'source_run_id'),
      status: LOGGED_MODEL_STATUSES[Number(meta['status'])] ?? LOGGED_MODEL_STATUSES[0],
      lifecycle_stage: text(meta, 'lifecycle_stage', 'active'),
      creation_time: meta['creation_timestamp'],
      last_update_time: meta['last_updated_timestamp'],
    },
    params: readValues(join(folder, 'params')),
    tags: readValues(join(folder, 'tags')),
    files: findFiles(folder, text(meta, 'artifact_location'), places),
  };
}

function readModel(folder: string): SourceModel {
  const meta = readMeta(folder);
  const aliases = readValues(join(folder, 'aliases')).map(({ key: alias, value }) => ({
    alias,
    version: value.trim(),
  }));
  return {
    name: text(meta, 'name'),
    description: text(meta, 'description'),
    tags: readValues(join(folder, 'tags')),
    versions: childrenWithMeta(folder)
      .map(readVersion)
      .filter(({ version: { stage } }) => stage !== DELETED_STAGE)
      .sort((a, b) => a.version.version - b.version.version),
    aliases,
  };
}

function readVersion(folder: string): SourceVersion {
  const meta = readMeta(folder);
  return {
    version: {
      version: Number(meta['version']),
      source: text(meta, 'storage_location', text(meta, 'source')),
      run_id: text(meta, 'run_id'),
      run_link: text(meta, 'run_link'),
      model_id: text(meta, 'model_id'),
      user_id: text(meta, 'user_id'),
      stage: text(meta, 'current_stage', 'None'),
      description: text(meta, 'description'),
      creation_time: meta['creation_timestamp'],
      last_update_time: meta['last_updated_timestamp'],
    },
    tags: readValues(join(folder, 'tags')),
  };
}

function readMeta(folder: string): Readonly<Record<string, unknown>> {
  const path = join(folder, META);
  try {
    // Texts but for null: a name such as 12e34 is a number to YAML, though not to the one that MLflow writes.
    const meta: unknown = parse(readFileSync(path, 'utf8'), { schema: 'failsafe', customTags: ['null'] });
    if (isJsonObject(meta)) return meta;
  } catch (cause) {
    throw damaged(path, cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause));
  }
  throw damaged(path, 'it is not a YAML object');
}

/** Each file's name is the key, slashes being folders; its content is the value. */
function readValues(folder: string): readonly KeyValue[] {
  return listFiles(folder).map((key) => ({ key, value: readFileSync(join(folder, key), 'utf8') }));
}

function childFolders(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return entries
    .map((entry) => join(folder, entry.name))
    .filter((path) => !path.endsWith(`/${TRASH}`))
    .sort();
}

function childrenWithMeta(folder: string | undefined): readonly string[] {
  return folder === undefined ? [] : childFolders(folder).filter((path) => existsSync(join(path, META)));
}

function text(meta: Readonly<Record<string, unknown>>, key: string, fallback = ''): string {
  const value = meta[key];
  return value === null || value === undefined ? fallback : String(value);
}

function damaged(where: string, why: string): StatusError {
  return new StatusError('Invalid', `cannot read ${where}: ${why}`);
}
