/**
 * The repository `models/<name>`: its tags are the versions that are ready, their aliases and `latest`; a model that is
 * pushed there becomes the next version. What is attached to a version (a signature) is kept as in any repository.
 */
import { ignoreNotFound, isStatusError } from '../../kube/status-error.ts';
import { getVersion, listVersionsOf, type NamedVersion } from '../models/model-versions.ts';
import { getAliasedVersion, listAliases } from '../models/registered-models.ts';
import { checkUsable } from '../models/version-status.ts';
import type { Tracking } from '../tracking.ts';
import { blobUnknown, digestOf } from './oci-blobs.ts';
import { ociError } from './oci-error.ts';
import { checkManifest, type NewManifest, putManifest } from './oci-manifests.ts';
import { isDigest } from './oci-path.ts';
import { findModelLayers } from './pushed-layers.ts';
import { findPack, type Pack, type PackCache } from './ready-packs.ts';
import { findPushedVersion, isPushedWith, listPushedTags, registerPack } from './register-pack.ts';
import type { KeptManifest, ReadableBlob, Repository } from './repository.ts';

/** A model's repository, and the plain one of that name below it. */
export interface ModelRepository {
  readonly model: string;
  readonly plain: Repository;
  readonly packs: PackCache;
  readonly user: string;
}

const LATEST = 'latest';

/** As others see it. */
export function openModelRepository(tracking: Tracking, repository: ModelRepository): Repository {
  const { plain } = repository;
  return {
    name: plain.name,
    getManifest: async (reference) => {
      const pack = await findByReference(tracking, repository, reference);
      return pack ? pack.manifest : plain.getManifest(reference);
    },
    putManifest: (arrived) => takeManifest(tracking, repository, arrived),
    statBlob: async (digest) => (await findReadyBlob(tracking, repository, digest)) ?? plain.statBlob(digest),
    getBlob: async (digest) => {
      const found = await findReadyBlob(tracking, repository, digest);
      if (found) return found;
      return getUnready(tracking, repository, digest);
    },
    listTags: () => listModelTags(tracking, repository),
    checkMayDelete: () => {
      const what = 'its manifests are versions of a registered model, delete those in the registry';
      throw ociError('UNSUPPORTED', `cannot delete from ${plain.name}: ${what}`);
    },
  };
}

/** @throws DENIED for a version in quarantine, UNAVAILABLE for one that is still looked through */
async function findByReference(
  tracking: Tracking,
  repository: ModelRepository,
  reference: string,
): Promise<Pack | undefined> {
  const { model, plain } = repository;
  if (isDigest(reference)) return findByDigest(tracking, repository, reference);
  const version = await findTagged(tracking, model, reference);
  if (!version) {
    const tagged = await plain.getManifest(reference).catch(ignoreNotFound);
    const digest = tagged?.digest ?? (await listPushedTags(tracking, model)).get(reference);
    return digest === undefined ? undefined : findByDigest(tracking, repository, digest);
  }
  checkUsable(version);
  const pack = await findPack(tracking, repository.packs, version);
  if (pack) return pack;
  throw ociError('MANIFEST_UNKNOWN', `cannot pull ${plain.name} ${reference}: its files are at ${version.source}`);
}

async function findTagged(tracking: Tracking, name: string, tag: string): Promise<NamedVersion | undefined> {
  if (/^\d{1,15}$/.test(tag)) return getVersion(tracking, { name, version: tag }).catch(ignoreNotFound);
  if (tag === LATEST) return (await listReady(tracking, name))[0];
  const version = await getAliasedVersion(tracking, name, tag).catch((error: unknown) => {
    // why: MLflow's word for an alias that is not there
    if (isStatusError(error, 'Invalid') || isStatusError(error, 'NotFound')) return undefined;
    throw error;
  });
  return version === undefined ? undefined : getVersion(tracking, { name, version });
}

async function findByDigest(
  tracking: Tracking,
  { model, packs }: ModelRepository,
  digest: string,
): Promise<Pack | undefined> {
  const pushed = await findPushedVersion(tracking, model, digest);
  if (pushed) checkUsable(pushed);
  for (const version of await listReady(tracking, model)) {
    const pack = await findPack(tracking, packs, version);
    if (pack?.manifest.digest === digest) return pack;
  }
  return undefined;
}

async function listReady(tracking: Tracking, model: string): Promise<readonly NamedVersion[]> {
  return (await listVersionsOf(tracking, model)).filter(({ status, digest }) => status === 'READY' && digest !== null);
}

/** Costs a look at every version that was not packed before. */
async function findReadyBlob(
  tracking: Tracking,
  { model, packs }: ModelRepository,
  digest: string,
): Promise<ReadableBlob | undefined> {
  for (const version of await listReady(tracking, model)) {
    const blob = (await findPack(tracking, packs, version))?.blobs.get(digest);
    if (blob) return { sizeBytes: blob.sizeBytes, open: (range) => blob.open(tracking, range) };
  }
  return undefined;
}

/** Blobs of versions in quarantine may not be had; those of what is attached to a version may. */
async function getUnready(
  tracking: Tracking,
  { model, plain }: ModelRepository,
  digest: string,
): Promise<ReadableBlob> {
  const blob = await plain.statBlob(digest);
  for (const version of await listVersionsOf(tracking, model)) {
    const isOwn = version.status !== 'READY' && (await isPushedWith(tracking, version, digest));
    if (isOwn) checkUsable(version);
  }
  const attached = await tracking.db
    .selectFrom('tracking_oci_manifests')
    .select('digest')
    .where('workspace', '=', tracking.workspace)
    .where('repository', '=', plain.name)
    .where('content', 'like', `%${digest}%`)
    .executeTakeFirst();
  if (attached) return blob;
  throw blobUnknown(plain.name, digest);
}

async function takeManifest(
  tracking: Tracking,
  { model, plain, user }: ModelRepository,
  arrived: NewManifest,
): Promise<KeptManifest> {
  const manifest = await checkManifest(tracking, plain.name, arrived);
  const layers = findModelLayers(manifest);
  if (layers) {
    const version = await registerPack(tracking, { model, user, arrived, layers });
    return { digest: digestOf(arrived.content), subject: undefined, version };
  }
  const digest = digestOf(arrived.content, arrived.reference);
  if (!manifest.subject) {
    const what = `it is ${manifest.artifactType ?? manifest.mediaType}, want a ModelPack, a ModelKit or Docker's`;
    throw ociError('MANIFEST_INVALID', `cannot register a version of ${model}: ${what}`);
  }
  await putManifest(tracking, plain.name, { arrived: { ...arrived, reference: digest }, manifest });
  return { digest, subject: manifest.subject.digest };
}

async function listModelTags(tracking: Tracking, { model, plain }: ModelRepository): Promise<readonly string[]> {
  const ready = await listReady(tracking, model);
  const [newest] = ready;
  if (!newest) return plain.listTags();
  const numbers = new Set(ready.map(({ version }) => version));
  const aliases = (await listAliases(tracking, newest.model_key)).filter(({ version }) => numbers.has(version));
  const pushed = await listPushedTags(tracking, model);
  return [...new Set([...[...numbers].map(String), ...aliases.map(({ alias }) => alias), ...pushed.keys(), LATEST])];
}
