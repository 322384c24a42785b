/** Experiments: named groups of runs. Knows their life; nothing of HTTP. */
import { type RawBuilder, sql } from 'kysely';
import { ignoreNotFound, isStatusError, StatusError } from '../../kube/status-error.ts';
import { isUniqueViolation } from '../../sql/database-error.ts';
import { chunk } from '../../sql/insert-rows.ts';
import { checkOwnPath, findArtifactPath, rootOf } from '../artifacts/artifacts.ts';
import { checkExperimentName } from '../check-name.ts';
import { EXPERIMENT_TAG_VALUE_LENGTH_MAX } from '../limits.ts';
import { checkTags, deleteTag, type KeyValue, readOwned, setTags } from '../owned-values.ts';
import { type Page, type Paged, toPage } from '../page-token.ts';
import type { ExperimentRow, LifecycleStage } from '../schema.ts';
import { parseFilter } from '../search/search-filter.ts';
import { parseOrder } from '../search/search-order.ts';
import { type SearchTarget, toOrderBy, toWhere } from '../search/search-sql.ts';
import { DEFAULT_WORKSPACE, inTransaction, nextNumber, type Tracking } from '../tracking.ts';

/** As MLflow's REST API shows one. */
export interface Experiment extends ExperimentRow {
  readonly tags: readonly KeyValue[];
}

export interface NewExperiment {
  readonly name: string;
  readonly artifactLocation?: string | undefined;
  readonly tags: readonly KeyValue[];
}

/** Which lifecycle stages a search shows. */
export type ViewType = 'ACTIVE_ONLY' | 'DELETED_ONLY' | 'ALL';

/** What a search of any noun asks for. */
export interface Search {
  readonly filter: string;
  readonly orderBy: readonly string[];
  readonly view: ViewType;
  readonly page: Page;
}

const DEFAULT_EXPERIMENT = { id: '0', name: 'Default' } as const;
const EXPERIMENTS_AT_ONCE = 1_000;
const EXPERIMENTS_PER_SEARCH_MAX = 10_000;
const TAG_RULE = { lengthMax: EXPERIMENT_TAG_VALUE_LENGTH_MAX, tooLong: 'refuse' } as const;

const TARGET: SearchTarget = {
  attributes: { name: 'text', creation_time: 'number', last_update_time: 'number', experiment_id: 'text' },
  entities: ['attribute', 'tag'],
  columns: {},
  owner: sql.ref('tracking_experiments.experiment_id'),
  ownerKind: 'experiment',
};

/** Makes the experiment `Default` with id 0, as every MLflow server has it. */
export async function ensureDefaultExperiment(tracking: Tracking): Promise<void> {
  const row = planExperiment(tracking, DEFAULT_EXPERIMENT);
  await tracking.db
    .insertInto('tracking_experiments')
    .values(row)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Returns the new id. @throws AlreadyExists when an experiment, deleted ones included, has the name. */
export async function createExperiment(tracking: Tracking, wanted: NewExperiment): Promise<string> {
  const { name, artifactLocation, tags } = wanted;
  checkExperimentName(name);
  checkTags(tags, TAG_RULE);
  return inTransaction(tracking, async (within) => {
    const id = String(await nextNumber(within, 'experiment'));
    const place = findArtifactPath(artifactLocation ?? '');
    if (place !== undefined) checkOwnPath(tracking.workspace, place);
    const row = planExperiment(tracking, { id, name, artifactLocation });
    await within.db.insertInto('tracking_experiments').values(row).execute();
    await tagExperiment(within, id, tags);
    return id;
  }).catch(refuseTakenName(name));
}

/** `0` is the workspace's own experiment `Default`, made when it is first asked for. @throws NotFound, Invalid */
export async function getExperiment(tracking: Tracking, id: string): Promise<Experiment> {
  if (isOwnDefault(tracking, id)) return getOwnDefault(tracking);
  if (!/^-?\d+$/.test(id)) {
    throw new StatusError('Invalid', `Invalid experiment ID '${id}'. Experiment ID must be a valid integer.`);
  }
  const row = await selectExperiments(tracking).where('experiment_id', '=', id).executeTakeFirst();
  if (!row) throw new StatusError('NotFound', `No Experiment with id=${id} exists`);
  return withTags(tracking, row);
}

/** @throws NotFound */
export async function getExperimentByName(tracking: Tracking, name: string): Promise<Experiment> {
  const row = await selectExperiments(tracking).where('name', '=', name).executeTakeFirst();
  if (!row) throw new StatusError('NotFound', `Could not find experiment with name '${name}'`);
  return withTags(tracking, row);
}

/** @throws NotFound, also for a deleted one: it takes no new runs. */
export async function getActiveExperiment(tracking: Tracking, id: string): Promise<Experiment> {
  const experiment = await getExperiment(tracking, id);
  if (experiment.lifecycle_stage === 'active') return experiment;
  throw new StatusError('Invalid', `The experiment ${id} must be in the 'active' state. Current state is deleted.`);
}

/** @throws NotFound, AlreadyExists when the name is taken */
export async function renameExperiment(tracking: Tracking, id: string, name: string): Promise<void> {
  checkExperimentName(name);
  const { experiment_id } = await getActiveExperiment(tracking, id);
  const change = { name, last_update_time: tracking.clock.nowMs() };
  await tracking.db
    .updateTable('tracking_experiments')
    .set(change)
    .where('experiment_id', '=', experiment_id)
    .execute()
    .catch(refuseTakenName(name));
}

/** Deletes or restores the experiment and its runs. @throws NotFound when it is not in the other stage. */
export async function setExperimentStage(tracking: Tracking, id: string, stage: LifecycleStage): Promise<void> {
  const own = isOwnDefault(tracking, id) ? (await getOwnDefault(tracking)).experiment_id : id;
  await inTransaction(tracking, async ({ db, clock }) => {
    const { numUpdatedRows } = await db
      .updateTable('tracking_experiments')
      .set({ lifecycle_stage: stage, last_update_time: clock.nowMs() })
      .where('experiment_id', '=', own)
      .where('workspace', '=', tracking.workspace)
      .where('lifecycle_stage', '!=', stage)
      .executeTakeFirstOrThrow();
    if (numUpdatedRows === 0n) throw new StatusError('NotFound', `No Experiment with id=${id} exists`);
    await db.updateTable('tracking_runs').set({ lifecycle_stage: stage }).where('experiment_id', '=', own).execute();
  });
}

/** @throws NotFound, Invalid */
export async function setExperimentTag(tracking: Tracking, id: string, tag: KeyValue): Promise<void> {
  checkTags([tag], TAG_RULE);
  const { experiment_id } = await getActiveExperiment(tracking, id);
  await tagExperiment(tracking, experiment_id, [tag]);
}

/** @throws NotFound */
export async function deleteExperimentTag(tracking: Tracking, id: string, key: string): Promise<void> {
  const { experiment_id } = await getActiveExperiment(tracking, id);
  await deleteTag(tracking, { kind: 'experiment', owner: experiment_id }, key);
}

/** Newest first, unless told otherwise. @throws Invalid for a filter or order that says nothing. */
export async function searchExperiments(tracking: Tracking, search: Search): Promise<Paged<Experiment>> {
  const conditions = parseFilter(search.filter, TARGET);
  const orders = search.orderBy.map((order) => parseOrder(order, TARGET));
  let query = selectExperiments(tracking).where(toWhere(conditions, TARGET, tracking.dialect));
  if (search.view !== 'ALL') query = query.where('lifecycle_stage', '=', stageOf(search.view));
  for (const order of toOrderBy(orders, TARGET, tracking.dialect)) query = query.orderBy(order);
  const rows = await query
    .orderBy('creation_time', 'desc')
    .orderBy('experiment_id', 'asc')
    .limit(search.page.limit + 1)
    .offset(search.page.offset)
    .execute();
  const { items, ...rest } = toPage(rows, search.page);
  const tags = await readTags(tracking, items);
  return { ...rest, items: items.map((row) => ({ ...row, tags: tags.get(row.experiment_id) ?? [] })) };
}

/** The one stage that a view shows. */
export function stageOf(view: Exclude<ViewType, 'ALL'>): LifecycleStage {
  return view === 'ACTIVE_ONLY' ? 'active' : 'deleted';
}

function selectExperiments({ db, workspace }: Tracking) {
  return db.selectFrom('tracking_experiments').selectAll().where('workspace', '=', workspace);
}

/** MLflow's clients work in experiment 0 unless told otherwise; that number is the default workspace's. */
function isOwnDefault({ workspace }: Tracking, id: string): boolean {
  return id === DEFAULT_EXPERIMENT.id && workspace !== DEFAULT_WORKSPACE;
}

/** Whatever it is called by now: it is known by its number from when it was first asked for. */
async function getOwnDefault(tracking: Tracking): Promise<Experiment> {
  const known = await findOwnDefault(tracking);
  if (known) return withTags(tracking, known);
  const { name } = DEFAULT_EXPERIMENT;
  const found = await getExperimentByName(tracking, name).catch(ignoreNotFound);
  const id = found?.experiment_id ?? (await createExperiment(tracking, { name, tags: [] }).catch(ignoreTaken));
  // Another request was quicker when there is no id: then it notes the number, and so does this one, from the name.
  const value = Number(id ?? (await getExperimentByName(tracking, name)).experiment_id);
  await tracking.db
    .insertInto('tracking_counters')
    .values({ name: ownDefaultKey(tracking), value })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
  const noted = await findOwnDefault(tracking);
  if (!noted) throw new StatusError('NotFound', `No Experiment with id=${DEFAULT_EXPERIMENT.id} exists`);
  return withTags(tracking, noted);
}

function ownDefaultKey({ workspace }: Tracking): string {
  return `default-experiment-of/${workspace}`;
}

async function findOwnDefault(tracking: Tracking): Promise<ExperimentRow | undefined> {
  const id = tracking.db
    .selectFrom('tracking_counters')
    .select(sql<string>`cast(value as text)`.as('id'))
    .where('name', '=', ownDefaultKey(tracking));
  return selectExperiments(tracking).where('experiment_id', '=', id).executeTakeFirst();
}

function ignoreTaken(error: unknown): undefined {
  if (!isStatusError(error, 'AlreadyExists')) throw error;
}

/** Those of the ids that are experiments of this workspace. */
export async function keepOwn(tracking: Tracking, asked: readonly string[]): Promise<readonly string[]> {
  const { db, workspace } = tracking;
  const resolve = async (id: string) =>
    isOwnDefault(tracking, id) ? (await getOwnDefault(tracking)).experiment_id : id;
  const ids = await Promise.all([...new Set(asked)].map(resolve));
  const query = db.selectFrom('tracking_experiments').select('experiment_id').where('workspace', '=', workspace);
  const own: string[] = [];
  for (const part of chunk(ids, EXPERIMENTS_AT_ONCE)) {
    own.push(...(await query.where('experiment_id', 'in', part).execute()).map((row) => row.experiment_id));
  }
  if (own.length <= EXPERIMENTS_PER_SEARCH_MAX) return own;
  throw new StatusError('Invalid', `cannot search ${own.length} experiments: ${EXPERIMENTS_PER_SEARCH_MAX} at most`);
}

/** True of a row whose experiment is one of this workspace. */
export function isOwn({ workspace }: Tracking, experimentId: RawBuilder<unknown>): RawBuilder<boolean> {
  return sql<boolean>`exists (select 1 from tracking_experiments as own
    where own.experiment_id = ${experimentId} and own.workspace = ${workspace})`;
}

async function withTags(tracking: Tracking, row: ExperimentRow): Promise<Experiment> {
  const tags = await readTags(tracking, [row]);
  return { ...row, tags: tags.get(row.experiment_id) ?? [] };
}

function readTags(tracking: Tracking, rows: readonly ExperimentRow[]) {
  const owners = rows.map((row) => row.experiment_id);
  return readOwned(tracking, 'tracking_tags', { kind: 'experiment', owners });
}

function tagExperiment(tracking: Tracking, id: string, tags: readonly KeyValue[]): Promise<void> {
  return setTags(tracking, { kind: 'experiment', owner: id }, { tags, rule: TAG_RULE });
}

interface ExperimentPlan {
  readonly id: string;
  readonly name: string;
  readonly artifactLocation?: string | undefined;
}

function planExperiment({ workspace, clock }: Tracking, plan: ExperimentPlan): ExperimentRow {
  const { id, name, artifactLocation } = plan;
  const nowMs = clock.nowMs();
  return {
    experiment_id: id,
    workspace,
    name,
    artifact_location: artifactLocation || `mlflow-artifacts:/${rootOf(workspace)}${id}`,
    lifecycle_stage: 'active',
    creation_time: nowMs,
    last_update_time: nowMs,
  };
}

function refuseTakenName(name: string): (error: unknown) => never {
  return (error) => {
    if (!isUniqueViolation(error)) throw error;
    const message = `Experiment(name=${name}) already exists. If it is deleted, restore it or choose another name.`;
    throw new StatusError('AlreadyExists', message, { cause: error });
  };
}
