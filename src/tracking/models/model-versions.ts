/** Versions of registered models: numbered, never renumbered. Knows stages and sources; files are elsewhere. */
import { type SelectQueryBuilder, sql } from 'kysely';
import { ignoreNotFound, StatusError } from '../../kube/status-error.ts';
import { MODEL_TAG_VALUE_LENGTH_MAX } from '../limits.ts';
import { checkTags, deleteOwned, deleteTag, type KeyValue, setTags } from '../owned-values.ts';
import { type Paged, toPage } from '../page-token.ts';
import type { Search } from '../runs/experiments.ts';
import type { ModelVersionRow, TrackingSchema, VersionStatus } from '../schema.ts';
import { parseFilter } from '../search/search-filter.ts';
import { parseOrder } from '../search/search-order.ts';
import { type SearchTarget, toOrderBy, toWhere } from '../search/search-sql.ts';
import { inTransaction, type Tracking, type VersionKey } from '../tracking.ts';
import { splitPrompts } from './prompts.ts';
import { getModelRow } from './registered-models.ts';
import { checkUsable } from './version-status.ts';

/** A version with its model's present name. */
export interface NamedVersion extends ModelVersionRow {
  readonly name: string;
}

export interface NewVersion {
  readonly name: string;
  readonly source: string;
  readonly runId: string;
  readonly runLink: string;
  readonly modelId: string;
  readonly description: string;
  readonly userId: string;
  readonly tags: readonly KeyValue[];
  /** Pending until its files were looked through. */
  readonly status: VersionStatus;
}

/** Which version of which model. */
export interface VersionId {
  readonly name: string;
  readonly version: string;
}

const STAGES = ['None', 'Staging', 'Production', 'Archived'];

const TABLES_OF_VERSION = [
  'tracking_aliases',
  'tracking_pushed_versions',
  'tracking_version_signatures',
  'tracking_model_versions',
] as const;

const TAG_RULE = { lengthMax: MODEL_TAG_VALUE_LENGTH_MAX, tooLong: 'refuse' } as const;

const TARGET: SearchTarget = {
  attributes: {
    name: 'text',
    run_id: 'text',
    source_path: 'text',
    version_number: 'number',
    creation_timestamp: 'number',
    last_updated_timestamp: 'number',
  },
  entities: ['attribute', 'tag'],
  columns: {
    name: 'model.name',
    run_id: 'version.run_id',
    source_path: 'version.source',
    version_number: 'version.version',
    creation_timestamp: 'version.creation_time',
    last_updated_timestamp: 'version.last_update_time',
  },
  owner: sql`(version.model_key || '/' || cast(version.version as text))`,
  ownerKind: 'model-version',
};

/** Publishes the next version. @throws NotFound when there is no such model */
export async function createVersion(tracking: Tracking, wanted: NewVersion): Promise<ModelVersionRow> {
  checkTags(wanted.tags, TAG_RULE);
  return inTransaction(tracking, (within) => createVersionWithin(within, wanted));
}

/** The same as a part of a transaction. @throws NotFound */
export async function createVersionWithin(within: Tracking, wanted: NewVersion): Promise<ModelVersionRow> {
  const nowMs = within.clock.nowMs();
  const model = await within.db
    .updateTable('tracking_registered_models')
    .set({ last_version: sql`last_version + 1`, last_update_time: nowMs })
    .where('name', '=', wanted.name)
    .where('workspace', '=', within.workspace)
    .returning(['model_key', 'last_version'])
    .executeTakeFirst();
  if (!model) throw new StatusError('NotFound', `Registered Model with name=${wanted.name} not found`);
  const row: ModelVersionRow = {
    model_key: model.model_key,
    version: model.last_version,
    source: wanted.source,
    run_id: wanted.runId,
    run_link: wanted.runLink,
    model_id: wanted.modelId,
    user_id: wanted.userId,
    stage: 'None',
    description: wanted.description,
    status: wanted.status,
    status_message: '',
    digest: null,
    size_bytes: null,
    creation_time: nowMs,
    last_update_time: nowMs,
  };
  await within.db.insertInto('tracking_model_versions').values(row).execute();
  await tagVersion(within, row, wanted.tags);
  return row;
}

/** @throws NotFound; Invalid when `version` is no number */
export async function getVersion(tracking: Tracking, { name, version }: VersionId): Promise<NamedVersion> {
  if (!/^\d{1,15}$/.test(version)) {
    throw new StatusError('Invalid', `Parameter 'version' must be an integer, got '${version}'.`);
  }
  const row = await selectVersions(tracking)
    .where('model.name', '=', name)
    .where('version.version', '=', Number(version))
    .executeTakeFirst();
  if (row) return row;
  throw new StatusError('NotFound', `Model Version (name=${name}, version=${version}) not found`);
}

/** @throws NotFound */
export async function describeVersion(tracking: Tracking, id: VersionId, description: string): Promise<void> {
  await changeVersion(tracking, await getVersion(tracking, id), { description });
}

/** Moves a version to a stage; with `archiveOthers`, those there before go to Archived. @throws NotFound, Invalid */
export async function setStage(
  tracking: Tracking,
  id: VersionId,
  { stage, archiveOthers }: { stage: string; archiveOthers: boolean },
): Promise<void> {
  const known = parseStage(stage);
  await inTransaction(tracking, async (within) => {
    const row = await getVersion(within, id);
    if (known === 'Production' || known === 'Staging') checkUsable(row);
    if (archiveOthers) await archive(within, row.model_key, known);
    await changeVersion(within, row, { stage: known });
  });
}

/** @throws Invalid */
function parseStage(stage: string): string {
  const known = STAGES.find((name) => name.toLowerCase() === stage.toLowerCase());
  if (known !== undefined) return known;
  const rule = `Value must be one of ${STAGES.join(', ')}.`;
  throw new StatusError('Invalid', `Invalid Model Version stage: ${stage}. ${rule}`);
}

/** Forgets the version, its tags and what points at it; its number is never given again. @throws NotFound */
export async function deleteVersion(tracking: Tracking, id: VersionId): Promise<void> {
  await inTransaction(tracking, async (within) => {
    const row = await getVersion(within, id);
    await deleteOwned(within, ownerOf(row));
    for (const table of TABLES_OF_VERSION) {
      const query = within.db.deleteFrom(table).where('model_key', '=', row.model_key);
      await query.where('version', '=', row.version).execute();
    }
  });
}

/** @throws NotFound, Invalid */
export async function setVersionTag(tracking: Tracking, id: VersionId, tag: KeyValue): Promise<void> {
  checkTags([tag], TAG_RULE);
  await tagVersion(tracking, await getVersion(tracking, id), [tag]);
}

/** Says nothing when there is no such tag, as MLflow does here. @throws NotFound for the version */
export async function deleteVersionTag(tracking: Tracking, id: VersionId, key: string): Promise<void> {
  await deleteTag(tracking, ownerOf(await getVersion(tracking, id)), key).catch(ignoreNotFound);
}

/** The newest version of each of these stages (all stages when none is given). @throws NotFound, Invalid */
export async function getLatestVersions(
  tracking: Tracking,
  name: string,
  stages: readonly string[],
): Promise<readonly NamedVersion[]> {
  const wanted = new Set(stages.map((stage) => parseStage(stage).toLowerCase()));
  const { model_key } = await getModelRow(tracking, name);
  const rows = await selectLatest(tracking, [model_key]);
  return rows.filter(({ stage }) => wanted.size === 0 || wanted.has(stage.toLowerCase()));
}

/** The newest version of each stage of these models. */
export async function selectLatest(tracking: Tracking, modelKeys: readonly string[]): Promise<readonly NamedVersion[]> {
  if (modelKeys.length === 0) return [];
  const newest = sql<number>`(select max(other.version) from tracking_model_versions as other
    where other.model_key = version.model_key and other.stage = version.stage)`;
  return selectVersions(tracking)
    .where('version.model_key', 'in', modelKeys)
    .where('version.version', '=', newest)
    .orderBy('version.version')
    .execute();
}

/** Last changed first, unless told otherwise. @throws Invalid */
export async function searchVersions(tracking: Tracking, search: Search): Promise<Paged<NamedVersion>> {
  const { conditions, predicate } = splitPrompts(parseFilter(search.filter, TARGET), TARGET);
  const orders = search.orderBy.map((order) => parseOrder(order, TARGET));
  let query = selectVersions(tracking)
    .where(toWhere(conditions, TARGET, tracking.dialect))
    .where(predicate);
  for (const order of toOrderBy(orders, TARGET, tracking.dialect)) query = query.orderBy(order);
  const { limit, offset } = search.page;
  const rows = await query
    .orderBy('version.last_update_time', 'desc')
    .orderBy('model.name')
    .orderBy('version.version', 'desc')
    .limit(limit + 1)
    .offset(offset)
    .execute();
  return toPage(rows, search.page);
}

/** All versions of a model, the newest first; none when there is no such model. */
export async function listVersionsOf(tracking: Tracking, name: string): Promise<readonly NamedVersion[]> {
  return selectVersions(tracking).where('model.name', '=', name).orderBy('version.version', 'desc').execute();
}

/** What tags call a version. */
export function ownerOf({ model_key, version }: Pick<ModelVersionRow, 'model_key' | 'version'>) {
  return { kind: 'model-version', owner: `${model_key}/${version}` } as const;
}

/** A version in whatever workspace it is; undefined when it is gone. */
export async function selectVersionByKey({ db }: Pick<Tracking, 'db'>, key: VersionKey) {
  return db
    .selectFrom('tracking_model_versions as version')
    .innerJoin('tracking_registered_models as model', 'model.model_key', 'version.model_key')
    .where('version.model_key', '=', key.model_key)
    .where('version.version', '=', key.version)
    .selectAll('version')
    .select('model.workspace')
    .executeTakeFirst();
}

type VersionTables = TrackingSchema & { version: ModelVersionRow; model: TrackingSchema['tracking_registered_models'] };

function selectVersions({
  db,
  workspace,
}: Tracking): SelectQueryBuilder<VersionTables, 'version' | 'model', NamedVersion> {
  return db
    .selectFrom('tracking_model_versions as version')
    .innerJoin('tracking_registered_models as model', 'model.model_key', 'version.model_key')
    .where('model.workspace', '=', workspace)
    .selectAll('version')
    .select('model.name');
}

type VersionChange = Partial<Pick<ModelVersionRow, 'stage' | 'description'>>;

async function changeVersion(tracking: Tracking, row: ModelVersionRow, change: VersionChange): Promise<void> {
  await tracking.db
    .updateTable('tracking_model_versions')
    .set({ ...change, last_update_time: tracking.clock.nowMs() })
    .where('model_key', '=', row.model_key)
    .where('version', '=', row.version)
    .execute();
}

async function archive({ db, clock }: Tracking, modelKey: string, stage: string): Promise<void> {
  if (stage !== 'Staging' && stage !== 'Production') {
    throw new StatusError(
      'Invalid',
      `Only versions in Staging or Production can make way for others, not in ${stage}.`,
    );
  }
  await db
    .updateTable('tracking_model_versions')
    .set({ stage: 'Archived', last_update_time: clock.nowMs() })
    .where('model_key', '=', modelKey)
    .where('stage', '=', stage)
    .execute();
}

function tagVersion(tracking: Tracking, row: ModelVersionRow, tags: readonly KeyValue[]): Promise<void> {
  return setTags(tracking, ownerOf(row), { tags, rule: TAG_RULE });
}
