/** Registered models and versions as MLflow's REST API shows them. Writes nothing. */
import { chunk } from '../../sql/insert-rows.ts';
import { append, type KeyValue, readOwned } from '../owned-values.ts';
import type { AliasRow, RegisteredModelRow, VersionStatus } from '../schema.ts';
import type { Tracking } from '../tracking.ts';
import { type NamedVersion, ownerOf, selectLatest } from './model-versions.ts';
import { type Alias, readModelTags } from './registered-models.ts';

const MODELS_AT_ONCE = 1_000;

/** MLflow's ModelVersion. */
export interface ModelVersion {
  readonly name: string;
  readonly version: string;
  readonly creation_timestamp: number;
  readonly last_updated_timestamp: number;
  readonly user_id: string;
  readonly current_stage: string;
  readonly description: string;
  readonly source: string;
  readonly run_id: string;
  readonly run_link: string;
  readonly model_id?: string;
  readonly status: VersionStatus;
  readonly status_message?: string;
  readonly tags: readonly KeyValue[];
  readonly aliases: readonly string[];
}

/** A version as its model shows it. */
export type LatestVersion = Omit<ModelVersion, 'aliases'>;

/** MLflow's RegisteredModel. */
export interface RegisteredModel {
  readonly name: string;
  readonly creation_timestamp: number;
  readonly last_updated_timestamp: number;
  readonly description?: string;
  readonly latest_versions: readonly LatestVersion[];
  readonly tags: readonly KeyValue[];
  readonly aliases: readonly Alias[];
}

/** Versions with their tags and aliases, in the order given. */
export async function showVersions(tracking: Tracking, rows: readonly NamedVersion[]): Promise<ModelVersion[]> {
  const owners = rows.map((row) => ownerOf(row).owner);
  const tags = await readOwned(tracking, 'tracking_tags', { kind: 'model-version', owners });
  const aliases = await readAliases(tracking, [...new Set(rows.map((row) => row.model_key))]);
  return rows.map((row) => {
    const own = (aliases.get(row.model_key) ?? []).filter(({ version }) => version === row.version);
    return { ...toVersion(row), tags: tags.get(ownerOf(row).owner) ?? [], aliases: own.map(({ alias }) => alias) };
  });
}

/** Models with their newest versions, tags and aliases, in the order given. */
export async function showModels(tracking: Tracking, rows: readonly RegisteredModelRow[]): Promise<RegisteredModel[]> {
  const keys = rows.map((row) => row.model_key);
  const tags = await readModelTags(tracking, keys);
  const aliases = await readAliases(tracking, keys);
  const latest = new Map<string, LatestVersion[]>();
  // Without aliases, as MLflow: the model lists them itself.
  for (const { aliases: _own, ...version } of await showLatest(tracking, keys)) append(latest, version.name, version);
  return rows.map((row) => ({
    name: row.name,
    creation_timestamp: row.creation_time,
    last_updated_timestamp: row.last_update_time,
    ...(row.description !== '' && { description: row.description }),
    latest_versions: latest.get(row.name) ?? [],
    tags: tags.get(row.model_key) ?? [],
    aliases: (aliases.get(row.model_key) ?? []).map(({ alias, version }) => ({ alias, version: String(version) })),
  }));
}

async function showLatest(tracking: Tracking, modelKeys: readonly string[]): Promise<ModelVersion[]> {
  const found: NamedVersion[] = [];
  for (const part of chunk(modelKeys, MODELS_AT_ONCE)) found.push(...(await selectLatest(tracking, part)));
  return showVersions(tracking, found);
}

async function readAliases({ db }: Tracking, modelKeys: readonly string[]) {
  const found = new Map<string, AliasRow[]>();
  for (const part of chunk(modelKeys, MODELS_AT_ONCE)) {
    const query = db.selectFrom('tracking_aliases').selectAll().where('model_key', 'in', part);
    for (const row of await query.orderBy('alias').execute()) append(found, row.model_key, row);
  }
  return found;
}

function toVersion(row: NamedVersion): Omit<ModelVersion, 'tags' | 'aliases'> {
  return {
    name: row.name,
    version: String(row.version),
    creation_timestamp: row.creation_time,
    last_updated_timestamp: row.last_update_time,
    user_id: row.user_id,
    current_stage: row.stage,
    description: row.description,
    source: row.source,
    run_id: row.run_id,
    run_link: row.run_link,
    ...(row.model_id && { model_id: row.model_id }),
    status: row.status,
    ...(row.status_message !== '' && { status_message: row.status_message }),
  };
}
