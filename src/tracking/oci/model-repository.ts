/**
 * The repository `models/<name>`: its tags are the versions that are ready, their aliases and `latest`; a model that is
 * pushed there becomes the next version. What is attached to a version (a signature) is kept as in any repository.
 */
import { ignoreNotFound, isStatusError } from '../../kube/status-error.ts';
import { getVersion, listVersionsOf, type NamedVersion } from '../models/model-versions.ts';
import { getAliasedVersion, listAliases } from '../models/registered-models.ts';
import { checkUsable } from '../models/version-status.ts';
import type { Tracking } from '../tracking.ts';
import { blobUnknown, digestOf, findBlob, linkBlob, putVerified } from './oci-blobs.ts';
import { ociError } from './oci-error.ts';
import { parseManifest } from './oci-manifest.ts';
import { checkManifest, type NewManifest, putManifest } from './oci-manifests.ts';
import { isDigest } from './oci-path.ts';
import { findModelLayers } from './pushed-layers.ts';
import { eachReadyPack, findPack, listReady, type Pack, type PackCache, type ReadyPack } from './ready-packs.ts';
import { findPushedVersion, isPushedWith, listPushedTags, registerPack } from './register-pack.ts';
import type { KeptManifest, ReadableBlob, Repository } from './repository.ts';
import {
  findSignatureBlob,
  findSignatureManifest,
  listSignatureReferrers,
  noteSignature,
} from './signature-referrers.ts';

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
      if (pack) return pack.manifest;
      const signature = isDigest(reference) && (await findSignatureManifest(tracking, repository, reference));
      return signature || plain.getManifest(reference);
    },
    putManifest: (arrived) => takeManifest(tracking, repository, arrived),
    statBlob: async (digest) => (await findOwnBlob(tracking, repository, digest)) ?? plain.statBlob(digest),
    getBlob: async (digest) => {
      const found = await findOwnBlob(tracking, repository, digest);
      if (found) return found;
      return getUnready(tracking, repository, digest);
    },
    listReferrers: async (query) => {
      const attached = await plain.listReferrers(query);
      return [...attached, ...(await listSignatureReferrers(tracking, repository, { query, attached }))];
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
  repository: ModelRepository,
  digest: string,
): Promise<Pack | undefined> {
  const pushed = await findPushedVersion(tracking, repository.model, digest);
  if (pushed) checkUsable(pushed);
  return (await findReadyPack(tracking, repository, digest))?.pack;
}

async function findReadyPack(
  tracking: Tracking,
  repository: ModelRepository,
  digest: string,
): Promise<ReadyPack | undefined> {
  for await (const found of eachReadyPack(tracking, repository)) {
    if (found.pack.manifest.digest === digest) return found;
  }
  return undefined;
}

/** Of a version or of its signatures. Costs a look at every version that was not packed before. */
async function findOwnBlob(
  tracking: Tracking,
  repository: ModelRepository,
  digest: string,
): Promise<ReadableBlob | undefined> {
  for await (const { pack } of eachReadyPack(tracking, repository)) {
    const blob = pack.blobs.get(digest);
    if (blob) return { sizeBytes: blob.sizeBytes, open: (range) => blob.open(tracking, range) };
  }
  return findSignatureBlob(tracking, repository, digest);
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
  repository: ModelRepository,
  arrived: NewManifest,
): Promise<KeptManifest> {
  const { model, plain, user } = repository;
  await takeOwnBlobs(tracking, repository, arrived);
  const manifest = await checkManifest(tracking, plain.name, arrived);
  const layers = findModelLayers(manifest);
  if (layers) {
    const version = await registerPack(tracking, { model, user, arrived, layers });
    return { digest: digestOf(arrived.content), subject: undefined, version };
  }
  const digest = digestOf(arrived.content, arrived.reference);
  const { subject } = manifest;
  if (!subject) {
    const what = `it is ${manifest.artifactType ?? manifest.mediaType}, want a ModelPack, a ModelKit or Docker's`;
    throw ociError('MANIFEST_INVALID', `cannot register a version of ${model}: ${what}`);
  }
  await putManifest(tracking, plain.name, { arrived: { ...arrived, reference: digest }, manifest });
  const ready = await findReadyPack(tracking, repository, subject.digest);
  const version = ready?.version ?? (await findPushedVersion(tracking, model, subject.digest));
  if (version) await noteSignature(tracking, { plain, version, manifest, digest });
  return { digest, subject: subject.digest };
}

/** Its pusher was told that blobs of versions are there, and sent none of them. */
async function takeOwnBlobs(tracking: Tracking, repository: ModelRepository, arrived: NewManifest): Promise<void> {
  const { config, layers } = parseManifest(arrived.content, arrived.mediaType);
  for (const { digest } of config ? [config, ...layers] : []) {
    if (await findBlob(tracking, repository.plain.name, digest)) continue;
    const blob = await findOwnBlob(tracking, repository, digest);
    if (!blob) continue;
    const { body } = await blob.open();
    await linkBlob(tracking, repository.plain.name, await putVerified(tracking.blobs, body, digest));
  }
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
