/**
 * Registered models: names under which versions are published. Knows names, tags and aliases; versions are elsewhere.
 */
import { sql } from 'kysely';
import { ignoreNotFound, StatusError } from '../../kube/status-error.ts';
import { isUniqueViolation } from '../../sql/database-error.ts';
import { checkAlias, checkModelName } from '../check-name.ts';
import { MODEL_TAG_VALUE_LENGTH_MAX } from '../limits.ts';
import { checkTags, deleteOwned, deleteTag, type KeyValue, readOwned, setTags } from '../owned-values.ts';
import { type Paged, toPage } from '../page-token.ts';
import type { Search } from '../runs/experiments.ts';
import type { AliasRow, RegisteredModelRow } from '../schema.ts';
import { parseFilter } from '../search/search-filter.ts';
import { parseOrder } from '../search/search-order.ts';
import { type SearchTarget, toOrderBy, toWhere } from '../search/search-sql.ts';
import { inTransaction, type Tracking } from '../tracking.ts';
import { splitPrompts } from './prompts.ts';
import { checkUsable } from './version-status.ts';

export interface NewModel {
  readonly name: string;
  readonly description: string;
  readonly tags: readonly KeyValue[];
}

/** A name that points at a version. */
export interface Alias {
  readonly alias: string;
  readonly version: string;
}

const TABLES_OF_MODEL = [
  'tracking_aliases',
  'tracking_pushed_versions',
  'tracking_version_signatures',
  'tracking_model_versions',
  'tracking_registered_models',
] as const;

const TAG_RULE = { lengthMax: MODEL_TAG_VALUE_LENGTH_MAX, tooLong: 'refuse' } as const;

const TARGET: SearchTarget = {
  attributes: { name: 'text', timestamp: 'number', last_updated_timestamp: 'number', creation_timestamp: 'number' },
  entities: ['attribute', 'tag'],
  columns: {
    timestamp: 'last_update_time',
    last_updated_timestamp: 'last_update_time',
    creation_timestamp: 'creation_time',
  },
  owner: sql.ref('tracking_registered_models.model_key'),
  ownerKind: 'registered-model',
};

/** @throws AlreadyExists, Invalid */
export async function createModel(tracking: Tracking, { name, description, tags }: NewModel): Promise<void> {
  checkModelName(name);
  checkTags(tags, TAG_RULE);
  const nowMs = tracking.clock.nowMs();
  const row: RegisteredModelRow = {
    model_key: tracking.newId(),
    workspace: tracking.workspace,
    name,
    description,
    last_version: 0,
    creation_time: nowMs,
    last_update_time: nowMs,
  };
  await inTransaction(tracking, async (within) => {
    await within.db.insertInto('tracking_registered_models').values(row).execute();
    await tagModel(within, row.model_key, tags);
  }).catch(refuseTakenName(name));
}

/** @throws NotFound */
export async function getModelRow({ db, workspace }: Tracking, name: string): Promise<RegisteredModelRow> {
  const models = db.selectFrom('tracking_registered_models').selectAll().where('workspace', '=', workspace);
  const query = models.where('name', '=', name);
  const row = await query.executeTakeFirst();
  if (row) return row;
  throw new StatusError('NotFound', `Registered Model with name=${name} not found`);
}

/**
 * Holds the model until the transaction ends: whoever wants to hold it meanwhile waits, and then sees what was done.
 * @throws NotFound
 */
export async function holdModel({ db, workspace }: Tracking, name: string): Promise<void> {
  const { numUpdatedRows } = await db
    .updateTable('tracking_registered_models')
    .set(({ ref }) => ({ last_version: ref('last_version') }))
    .where('workspace', '=', workspace)
    .where('name', '=', name)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows === 0n) throw new StatusError('NotFound', `Registered Model with name=${name} not found`);
}

/** Changes the name or the description. @throws NotFound, AlreadyExists, Invalid */
export async function updateModel(
  tracking: Tracking,
  name: string,
  change: { readonly newName?: string; readonly description?: string },
): Promise<void> {
  const { newName = name, description } = change;
  checkModelName(newName);
  const row = await getModelRow(tracking, name);
  const changed = {
    name: newName,
    description: description ?? row.description,
    last_update_time: tracking.clock.nowMs(),
  };
  await tracking.db
    .updateTable('tracking_registered_models')
    .set(changed)
    .where('model_key', '=', row.model_key)
    .execute()
    .catch(refuseTakenName(newName));
}

/** Forgets the model with its versions, tags and aliases; files stay. @throws NotFound */
export async function deleteModel(tracking: Tracking, name: string): Promise<void> {
  await inTransaction(tracking, async (within) => {
    const { db } = within;
    const { model_key } = await getModelRow(within, name);
    await deleteOwned(within, { kind: 'registered-model', owner: model_key });
    await db
      .deleteFrom('tracking_tags')
      .where('kind', '=', 'model-version')
      .where('owner', 'like', `${model_key}/%`)
      .execute();
    for (const table of TABLES_OF_MODEL) await db.deleteFrom(table).where('model_key', '=', model_key).execute();
  });
}

/** @throws NotFound, Invalid */
export async function setModelTag(tracking: Tracking, name: string, tag: KeyValue): Promise<void> {
  checkTags([tag], TAG_RULE);
  const { model_key } = await getModelRow(tracking, name);
  await tagModel(tracking, model_key, [tag]);
}

/** Says nothing when there is no such tag, as MLflow does here. @throws NotFound for the model */
export async function deleteModelTag(tracking: Tracking, name: string, key: string): Promise<void> {
  const { model_key } = await getModelRow(tracking, name);
  await deleteTag(tracking, { kind: 'registered-model', owner: model_key }, key).catch(ignoreNotFound);
}

/** Points the alias at the version, wherever it pointed. @throws NotFound, Invalid */
export async function setAlias(tracking: Tracking, name: string, { alias, version }: Alias): Promise<void> {
  checkAlias(alias);
  const model = await getModelRow(tracking, name).catch(ignoreNotFound);
  const found =
    model &&
    (await tracking.db
      .selectFrom('tracking_model_versions')
      .select(['model_key', 'version', 'status', 'status_message'])
      .where('model_key', '=', model.model_key)
      .where('version', '=', Number(version))
      .executeTakeFirst());
  if (!found) throw new StatusError('NotFound', `Model Version (name=${name}, version=${version}) not found`);
  checkUsable({ ...found, name });
  await tracking.db
    .insertInto('tracking_aliases')
    .values({ model_key: found.model_key, version: found.version, alias })
    .onConflict((conflict) => conflict.columns(['model_key', 'alias']).doUpdateSet({ version: found.version }))
    .execute();
}

/** @throws NotFound for the model */
export async function deleteAlias(tracking: Tracking, name: string, alias: string): Promise<void> {
  const { model_key } = await getModelRow(tracking, name);
  const query = tracking.db.deleteFrom('tracking_aliases').where('model_key', '=', model_key);
  await query.where('alias', '=', alias).execute();
}

/** The version that an alias points at. @throws Invalid when nothing has that alias, as MLflow says it */
export async function getAliasedVersion(tracking: Tracking, name: string, alias: string): Promise<string> {
  const { model_key } = await getModelRow(tracking, name);
  const query = tracking.db.selectFrom('tracking_aliases').select('version').where('model_key', '=', model_key);
  const row = await query.where('alias', '=', alias).executeTakeFirst();
  if (row) return String(row.version);
  throw new StatusError('Invalid', `Registered model alias ${alias} not found.`);
}

/** What points at versions of a model. */
export async function listAliases({ db }: Tracking, modelKey: string): Promise<readonly AliasRow[]> {
  return db.selectFrom('tracking_aliases').selectAll().where('model_key', '=', modelKey).execute();
}

/** In order of name, unless told otherwise. @throws Invalid */
export async function searchModels(tracking: Tracking, search: Search): Promise<Paged<RegisteredModelRow>> {
  const { conditions, predicate } = splitPrompts(parseFilter(search.filter, TARGET), TARGET);
  const orders = search.orderBy.map((order) => parseOrder(order, TARGET));
  let query = tracking.db
    .selectFrom('tracking_registered_models')
    .selectAll()
    .where('workspace', '=', tracking.workspace)
    .where(toWhere(conditions, TARGET, tracking.dialect))
    .where(predicate);
  for (const order of toOrderBy(orders, TARGET, tracking.dialect)) query = query.orderBy(order);
  const { limit, offset } = search.page;
  const rows = await query
    .orderBy('name')
    .limit(limit + 1)
    .offset(offset)
    .execute();
  return toPage(rows, search.page);
}

/** Tags of models by key of the model. */
export function readModelTags(tracking: Tracking, owners: readonly string[]) {
  return readOwned(tracking, 'tracking_tags', { kind: 'registered-model', owners });
}

function tagModel(tracking: Tracking, owner: string, tags: readonly KeyValue[]): Promise<void> {
  return setTags(tracking, { kind: 'registered-model', owner }, { tags, rule: TAG_RULE });
}

function refuseTakenName(name: string): (error: unknown) => never {
  return (error) => {
    if (!isUniqueViolation(error)) throw error;
    throw new StatusError('AlreadyExists', `Registered Model (name=${name}) already exists.`, { cause: error });
  };
}
