/** `athanor models`: registered models and their versions, and which version an alias points at. */
import { StatusError } from '../kube/status-error.ts';
import type { ModelVersion, RegisteredModel } from '../tracking/models/registry-view.ts';
import type { CommandContext } from './context.ts';
import { formatSigner, listSigners, type VersionName } from './model-signatures.ts';
import { formatTable, formatValue, parseFormat } from './output.ts';
import { openTracking, type TrackingClient, type TrackingFlags } from './tracking-client.ts';

export interface ModelsFlags extends TrackingFlags {
  readonly filter?: string;
}

export interface AcceptFlags extends TrackingFlags {
  readonly reason: string;
}

export interface PromoteFlags extends TrackingFlags {
  readonly alias: string;
}

/** Lists leave out what is empty, as protobuf's JSON does. */
type WireModel = Omit<RegisteredModel, 'aliases' | 'latest_versions'> & Partial<RegisteredModel>;
type WireVersion = Omit<ModelVersion, 'aliases' | 'tags'> & Partial<ModelVersion>;

const PAGE = '1000';

/** Without a name all models; with one, its versions, the newest first. */
export async function showModels(context: CommandContext, name: string | undefined, flags: ModelsFlags): Promise<void> {
  const tracking = openTracking(context, flags);
  const format = parseFormat(flags.output);
  const found = name === undefined ? await listModels(tracking, flags.filter) : await listVersions(tracking, name);
  if (format === 'json' || format === 'yaml') context.stdout.write(formatValue(found.items, format));
  else if (format === 'name') context.stdout.write(found.names.map((line) => `${line}\n`).join(''));
  else context.stdout.write(found.rows.length === 0 ? `no ${found.noun}\n` : formatTable(found.headings, found.rows));
}

/** Points an alias at a version; says what it pointed at before. @throws NotFound, Invalid */
export async function promoteModel(
  context: CommandContext,
  { name, version }: { readonly name: string; readonly version: string },
  flags: PromoteFlags,
): Promise<void> {
  const tracking = openTracking(context, flags);
  const { registered_model: model } = await tracking.get<{ registered_model: WireModel }>('registered-models/get', {
    name,
  });
  const before = (model.aliases ?? []).find(({ alias }) => alias === flags.alias)?.version;
  await tracking.send('POST', 'registered-models/alias', { name, alias: flags.alias, version });
  const result = { name, alias: flags.alias, version, before: before ?? null };
  const format = parseFormat(flags.output);
  if (format === 'json' || format === 'yaml') context.stdout.write(formatValue(result, format));
  else if (before === version) context.stdout.write(`${name}@${flags.alias} is version ${version} already\n`);
  else {
    const was = before === undefined ? 'nothing before' : `version ${before} before`;
    context.stdout.write(`${name}@${flags.alias} is version ${version} now, ${was}\n`);
  }
}

/** Takes a version out of quarantine; the reason is kept beside what was found. @throws Forbidden, Conflict */
export async function acceptModel(
  context: CommandContext,
  { name, version }: { readonly name: string; readonly version: string },
  flags: AcceptFlags,
): Promise<void> {
  const tracking = openTracking(context, flags);
  const path = `/api/athanor/v1/models/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}/accept`;
  const accepted = await tracking.ask<{ readonly statusMessage: string }>(path, { reason: flags.reason });
  const format = parseFormat(flags.output);
  if (format === 'json' || format === 'yaml') context.stdout.write(formatValue(accepted, format));
  else context.stdout.write(`models:/${name}/${version} may be used: ${accepted.statusMessage}\n`);
}

interface Listing {
  readonly noun: string;
  readonly items: readonly unknown[];
  readonly names: readonly string[];
  readonly headings: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

async function listModels(tracking: TrackingClient, filter = ''): Promise<Listing> {
  const query = { filter, max_results: PAGE };
  const { registered_models: items = [] } = await tracking.get<{ registered_models?: readonly WireModel[] }>(
    'registered-models/search',
    query,
  );
  const rows = items.map(({ name, latest_versions = [], aliases = [], last_updated_timestamp, description = '' }) => [
    name,
    String(Math.max(0, ...latest_versions.map(({ version }) => Number(version)))),
    aliases.map(({ alias, version }) => `${alias}=${version}`).join(' '),
    formatTime(last_updated_timestamp),
    description.split('\n', 1)[0] ?? '',
  ]);
  const headings = ['name', 'latest', 'aliases', 'changed (UTC)', 'description'];
  return { noun: 'models', items, names: items.map(({ name }) => name), headings, rows };
}

async function listVersions(tracking: TrackingClient, name: string): Promise<Listing> {
  await tracking.get('registered-models/get', { name });
  const query = {
    filter: `name = '${name.replaceAll("'", "''")}'`,
    max_results: PAGE,
    order_by: 'version_number DESC',
  };
  const { model_versions: items = [] } = await tracking.get<{ model_versions?: readonly WireVersion[] }>(
    'model-versions/search',
    query,
  );
  const signatures = await listSigners(tracking, name);
  const rows = items.map(({ version, aliases = [], current_stage, status, run_id, creation_timestamp, source }) => [
    version,
    aliases.join(' '),
    current_stage,
    status,
    (signatures.get(version) ?? []).map(formatSigner).join('; '),
    run_id.slice(0, 8),
    formatTime(creation_timestamp),
    source,
  ]);
  const headings = ['version', 'aliases', 'stage', 'status', 'signed by', 'run', 'created (UTC)', 'source'];
  const shown = items.map((item) => ({ ...item, signed_by: signatures.get(item.version) ?? [] }));
  return {
    noun: 'versions',
    items: shown,
    names: items.map(({ version }) => `models:/${name}/${version}`),
    headings,
    rows,
  };
}

/** Which version `models:/name/version` or `models:/name@alias` is. @throws BadRequest, NotFound, Invalid */
export async function getModelVersion(tracking: TrackingClient, uri: string): Promise<VersionName> {
  const [, name = '', sign, version = ''] = /^models:\/([^/@]+)(\/|@)([^/@]+)$/.exec(uri) ?? [];
  if (name === '') {
    throw new StatusError('BadRequest', `cannot read ${uri}: use models:/name/version or models:/name@alias`);
  }
  const found =
    sign === '@'
      ? await tracking.get<{ model_version: WireVersion }>('registered-models/alias', { name, alias: version })
      : await tracking.get<{ model_version: WireVersion }>('model-versions/get', { name, version });
  return { name, version: found.model_version.version };
}

/** @throws BadRequest for a URI of another form; NotFound, Invalid */
export async function getModelSource(tracking: TrackingClient, uri: string): Promise<string> {
  const query = { ...(await getModelVersion(tracking, uri)) };
  return (await tracking.get<{ artifact_uri: string }>('model-versions/get-download-uri', query)).artifact_uri;
}

function formatTime(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
}
