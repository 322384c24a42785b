/**
 * Signatures of versions as OCI's referrers: written for those that were sent beside a version, and read from those
 * that others attach. Keeps none itself.
 */
import { text } from 'node:stream/consumers';
import { canonicalJson } from '../../base/json.ts';
import { ignoreNotFound, isStatusError } from '../../kube/status-error.ts';
import { BUNDLE_TYPE } from '../../modelfiles/signature-bundle.ts';
import { SIGNATURE_BYTES_MAX } from '../limits.ts';
import type { NamedVersion } from '../models/model-versions.ts';
import { getModelRow } from '../models/registered-models.ts';
import { addSignature, findBundle, type SignatureRow, selectSignatures } from '../models/version-signatures.ts';
import type { Tracking } from '../tracking.ts';
import { digestOf } from './oci-blobs.ts';
import { IMAGE_MANIFEST, type Manifest } from './oci-manifest.ts';
import type { Referrer, ReferrerQuery, StoredManifest } from './oci-manifests.ts';
import { eachReadyPack, type PacksOfModel } from './ready-packs.ts';
import type { ReadableBlob, Repository } from './repository.ts';

/** What a manifest without a config points at, as OCI has it. */
const EMPTY = '{}';
const EMPTY_CONFIG = { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf(EMPTY), size: 2 } as const;

interface WrittenReferrer {
  readonly row: SignatureRow;
  readonly manifest: StoredManifest;
}

/** The same signature of the same manifest always gives the same bytes. */
function writeReferrer(row: SignatureRow, subject: StoredManifest): WrittenReferrer {
  const content = canonicalJson({
    schemaVersion: 2,
    mediaType: IMAGE_MANIFEST,
    artifactType: BUNDLE_TYPE,
    config: EMPTY_CONFIG,
    layers: [{ mediaType: BUNDLE_TYPE, digest: row.digest, size: row.size_bytes }],
    subject: { mediaType: subject.mediaType, digest: subject.digest, size: Buffer.byteLength(subject.content) },
    annotations: { 'org.opencontainers.image.created': new Date(row.creation_time).toISOString() },
  });
  return { row, manifest: { digest: digestOf(content), mediaType: IMAGE_MANIFEST, content } };
}

/** Besides those of `attached`, which are manifests of their own. */
export async function listSignatureReferrers(
  tracking: Tracking,
  place: PacksOfModel,
  { query, attached }: { readonly query: ReferrerQuery; readonly attached: readonly Referrer[] },
): Promise<readonly Referrer[]> {
  if (query.artifactType !== undefined && query.artifactType !== BUNDLE_TYPE) return [];
  const known = new Set(attached.map(({ digest }) => digest));
  const written = await writeReferrers(tracking, place, query.subject);
  const more = written.filter(({ row, manifest }) => !known.has(row.manifest_digest) && !known.has(manifest.digest));
  return more.map(({ manifest: { mediaType, digest, content } }) => {
    return { mediaType, digest, size: Buffer.byteLength(content), artifactType: BUNDLE_TYPE };
  });
}

/** Undefined when no signature has this manifest. */
export async function findSignatureManifest(
  tracking: Tracking,
  place: PacksOfModel,
  digest: string,
): Promise<StoredManifest | undefined> {
  const written = await writeReferrers(tracking, place);
  return written.find(({ manifest }) => manifest.digest === digest)?.manifest;
}

/** A bundle of the model's, or the empty config that their manifests point at. */
export async function findSignatureBlob(
  tracking: Tracking,
  { model }: PacksOfModel,
  digest: string,
): Promise<ReadableBlob | undefined> {
  const row = await getModelRow(tracking, model).catch(ignoreNotFound);
  if (!row) return undefined;
  const isEmpty = digest === EMPTY_CONFIG.digest && (await selectSignatures(tracking, row.model_key)).length > 0;
  const content = isEmpty ? EMPTY : await findBundle(tracking, row.model_key, digest);
  if (content === undefined) return undefined;
  const bytes = Buffer.from(content);
  return {
    sizeBytes: bytes.length,
    open: async (range) => ({
      sizeBytes: bytes.length,
      body: toBody(range ? bytes.subarray(range.start, (range.end ?? bytes.length) + 1) : bytes),
    }),
  };
}

async function* toBody(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}

/** Of the version whose manifest is `subject`; of all versions without one. Costs nothing but a query without any. */
async function writeReferrers(
  tracking: Tracking,
  place: PacksOfModel,
  subject?: string,
): Promise<readonly WrittenReferrer[]> {
  const model = await getModelRow(tracking, place.model).catch(ignoreNotFound);
  const rows = model ? await selectSignatures(tracking, model.model_key) : [];
  if (rows.length === 0) return [];
  const written: WrittenReferrer[] = [];
  for await (const { version, pack } of eachReadyPack(tracking, place)) {
    if (subject !== undefined && pack.manifest.digest !== subject) continue;
    const own = rows.filter((row) => row.version === version.version);
    written.push(...own.map((row) => writeReferrer(row, pack.manifest)));
  }
  return written;
}

/** What arrived, with the version that it is about. */
export interface ArrivedReferrer {
  readonly plain: Repository;
  readonly version: NamedVersion;
  readonly manifest: Manifest;
  readonly digest: string;
}

/** Keeps a signature that was attached as one of the version's; what is none of a model's files stays an artifact. */
export async function noteSignature(tracking: Tracking, arrived: ArrivedReferrer): Promise<void> {
  const { plain, version, manifest, digest } = arrived;
  const [layer] = manifest.layers;
  if (manifest.artifactType !== BUNDLE_TYPE || layer === undefined || layer.size > SIGNATURE_BYTES_MAX) return;
  const bundle = await text((await (await plain.getBlob(layer.digest)).open()).body);
  const id = { name: version.name, version: String(version.version) };
  await addSignature(tracking, id, { bundle, manifestDigest: digest }).catch((error: unknown) => {
    // why: others sign manifests in bundles too
    if (!isStatusError(error, 'Invalid') && !isStatusError(error, 'Forbidden')) throw error;
  });
}
