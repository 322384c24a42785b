/** A model that is pushed to a registry's repository becomes a version: unpacked, looked through, digest kept. */
import { ignoreNotFound, isStatusError } from '../../kube/status-error.ts';
import { deleteArtifacts, rootOf } from '../artifacts/artifacts.ts';
import { UPLOADS_ROOT } from '../artifacts/uploads.ts';
import { checkAlias } from '../check-name.ts';
import { judgeNew } from '../models/judge-version.ts';
import { createVersionWithin, getVersion, type NamedVersion } from '../models/model-versions.ts';
import { createModel, getModelRow, holdModel, setAlias } from '../models/registered-models.ts';
import { inTransaction, type Tracking } from '../tracking.ts';
import { digestOf } from './oci-blobs.ts';
import { ociError } from './oci-error.ts';
import type { NewManifest } from './oci-manifests.ts';
import { isDigest } from './oci-path.ts';
import type { ModelLayer } from './pushed-layers.ts';
import { unpackModel } from './unpack-model.ts';

/** A manifest whose blobs are there. */
export interface ArrivedPack {
  readonly model: string;
  readonly user: string;
  readonly arrived: NewManifest;
  readonly layers: readonly ModelLayer[];
}

/**
 * Its number. The same manifest is one version, however often it comes, and from however many at once.
 * @throws MANIFEST_INVALID for what cannot be unpacked; DENIED when its files are dangerous: it is in quarantine then
 */
export async function registerPack(tracking: Tracking, pack: ArrivedPack): Promise<number> {
  const { model, arrived } = pack;
  if (pack.layers.some(({ digest }) => !digest.startsWith('sha256:'))) {
    throw ociError('MANIFEST_INVALID', 'cannot register the model: its layers have other digests than sha256');
  }
  const known = await findPushedVersion(tracking, model, digestOf(arrived.content));
  await checkTag(tracking, { model, tag: arrived.reference, known });
  const { version } = known ?? (await unpackVersion(tracking, pack));
  const made = await getJudged(tracking, model, version);
  if (made.status === 'FAILED_REGISTRATION') {
    const where = `version ${version} of ${model} is in quarantine`;
    throw ociError('DENIED', `cannot use what was pushed: ${where}: ${made.status_message}`);
  }
  await point(tracking, { model, made, tag: arrived.reference });
  return version;
}

interface WantedTag {
  readonly model: string;
  readonly tag: string;
  /** The version that the manifest is already. */
  readonly known: NamedVersion | undefined;
}

/** Numbers are the registry's to give. */
async function checkTag(tracking: Tracking, { model, tag, known }: WantedTag): Promise<void> {
  if (!/^\d+$/.test(tag) || Number(tag) === known?.version) return;
  const next = ((await getModelRow(tracking, model).catch(ignoreNotFound))?.last_version ?? 0) + 1;
  if (known === undefined && Number(tag) === next) return;
  const what = known ? `it is version ${known.version}` : `its next version is ${next}`;
  throw ociError('TAG_INVALID', `cannot push ${model}:${tag}: ${what}, push latest or a name`);
}

/** Keeps the files of a new version; those of a manifest that became one meanwhile are not kept twice. */
async function unpackVersion(tracking: Tracking, pack: ArrivedPack): Promise<NamedVersion> {
  const id = tracking.newId();
  const folder = `${rootOf(tracking.workspace)}pushed-models/${id}`;
  const temporaryKey = `${UPLOADS_ROOT}${tracking.workspace}/${id}/unpacked`;
  await unpackModel(tracking.blobs, pack.layers, { folder, temporaryKey });
  const source = `mlflow-artifacts:/${folder}`;
  try {
    await createModel(tracking, { name: pack.model, description: '', tags: [] }).catch((error: unknown) => {
      if (!isStatusError(error, 'AlreadyExists')) throw error;
    });
    const kept = await inTransaction(tracking, (within) => keepVersion(within, pack, source));
    if (kept.source !== source) await deleteArtifacts(tracking.blobs, folder);
    return kept;
  } catch (error) {
    // A database that breaks off may have kept the version: then it needs its files.
    if (isStatusError(error)) await deleteArtifacts(tracking.blobs, folder);
    throw error;
  }
}

/** Looks again while nobody else can: the same manifest may be on its way twice. */
async function keepVersion(within: Tracking, pack: ArrivedPack, source: string): Promise<NamedVersion> {
  const { model, user, arrived } = pack;
  await holdModel(within, model);
  const digest = digestOf(arrived.content);
  const known = await findPushedVersion(within, model, digest);
  await checkTag(within, { model, tag: arrived.reference, known });
  if (known) return known;
  const nothing = { runId: '', runLink: '', modelId: '', description: '', tags: [] };
  const wanted = { name: model, source, userId: user, status: 'PENDING_REGISTRATION', ...nothing } as const;
  const row = await createVersionWithin(within, wanted);
  const { model_key, version } = row;
  await within.db
    .insertInto('tracking_pushed_versions')
    .values({ model_key, version, digest, media_type: arrived.mediaType, content: arrived.content })
    .execute();
  return { ...row, name: model };
}

/** Whoever pushes what another push still looks through looks too: the answer has to say what was found. */
async function getJudged(tracking: Tracking, name: string, version: number): Promise<NamedVersion> {
  const id = { name, version: String(version) };
  const made = await getVersion(tracking, id);
  if (made.status !== 'PENDING_REGISTRATION') return made;
  await judgeNew(tracking, made, made.source);
  return getVersion(tracking, id);
}

/** An alias where MLflow allows one; other names are the registry's own. */
async function point(
  tracking: Tracking,
  { model, made, tag }: { readonly model: string; readonly made: NamedVersion; readonly tag: string },
): Promise<void> {
  if (isDigest(tag) || tag === 'latest' || /^\d+$/.test(tag)) return;
  if (made.status === 'READY' && isAlias(tag)) {
    return setAlias(tracking, model, { alias: tag, version: String(made.version) });
  }
  const digest = await getPushedDigest(tracking, made);
  const place = { workspace: tracking.workspace, repository: `models/${model}`, tag, digest };
  await tracking.db
    .insertInto('tracking_oci_tags')
    .values(place)
    .onConflict((conflict) => conflict.columns(['workspace', 'repository', 'tag']).doUpdateSet({ digest }))
    .execute();
}

function isAlias(tag: string): boolean {
  try {
    checkAlias(tag);
    return true;
  } catch (error) {
    if (isStatusError(error, 'Invalid')) return false;
    throw error;
  }
}

async function getPushedDigest({ db }: Tracking, { model_key, version }: NamedVersion): Promise<string> {
  const rows = db.selectFrom('tracking_pushed_versions').select('digest').where('model_key', '=', model_key);
  return (await rows.where('version', '=', version).executeTakeFirstOrThrow()).digest;
}

/** The version that was pushed as this manifest. */
export async function findPushedVersion(
  tracking: Tracking,
  name: string,
  digest: string,
): Promise<NamedVersion | undefined> {
  const model = await getModelRow(tracking, name).catch(ignoreNotFound);
  if (!model) return undefined;
  const pushed = tracking.db.selectFrom('tracking_pushed_versions').select('version').where('digest', '=', digest);
  const row = await pushed.where('model_key', '=', model.model_key).orderBy('version', 'desc').executeTakeFirst();
  return row && getVersion(tracking, { name, version: String(row.version) });
}

/** Whether the version was pushed with this blob. */
export async function isPushedWith({ db }: Tracking, version: NamedVersion, digest: string): Promise<boolean> {
  const rows = db.selectFrom('tracking_pushed_versions').select('digest').where('version', '=', version.version);
  const own = rows.where('model_key', '=', version.model_key).where('content', 'like', `%${digest}%`);
  return (await own.executeTakeFirst()) !== undefined;
}

/** Tags that are no aliases, to digests of versions that are ready. */
export async function listPushedTags(tracking: Tracking, model: string): Promise<ReadonlyMap<string, string>> {
  const rows = await tracking.db
    .selectFrom('tracking_oci_tags as tag')
    .innerJoin('tracking_pushed_versions as pushed', 'pushed.digest', 'tag.digest')
    .innerJoin('tracking_model_versions as version', (join) =>
      join.onRef('version.model_key', '=', 'pushed.model_key').onRef('version.version', '=', 'pushed.version'),
    )
    .innerJoin('tracking_registered_models as model', 'model.model_key', 'pushed.model_key')
    .where('model.workspace', '=', tracking.workspace)
    .where('model.name', '=', model)
    .where('tag.workspace', '=', tracking.workspace)
    .where('tag.repository', '=', `models/${model}`)
    .where('version.status', '=', 'READY')
    .select(['tag.tag', 'tag.digest'])
    .execute();
  return new Map(rows.map(({ tag, digest }) => [tag, digest]));
}
