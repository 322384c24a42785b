/** Manifests and tags of repositories, as rows. A manifest is kept to the byte, when all its blobs are there. */

import { inTransaction, type Tracking } from '../tracking.ts';
import { digestOf, findBlob } from './oci-blobs.ts';
import { ociError } from './oci-error.ts';
import { type Descriptor, type Manifest, parseManifest } from './oci-manifest.ts';
import { isDigest, isTag } from './oci-path.ts';

/** A manifest as it is sent. */
export interface StoredManifest {
  readonly digest: string;
  readonly mediaType: string;
  readonly content: string;
}

/** A manifest that arrives under a tag or its digest. */
export interface NewManifest {
  readonly reference: string;
  readonly mediaType: string;
  readonly content: string;
}

/** What is about a manifest. */
export interface Referrer {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** About which manifest, and of which type if that matters. */
export interface ReferrerQuery {
  readonly subject: string;
  readonly artifactType: string | undefined;
}

const REFERRERS_MAX = 1_000;

/** Reads it and sees that its blobs are there. @throws MANIFEST_INVALID, MANIFEST_BLOB_UNKNOWN, DIGEST_INVALID */
export async function checkManifest(tracking: Tracking, repository: string, arrived: NewManifest): Promise<Manifest> {
  const { reference, content, mediaType } = arrived;
  const digest = digestOf(content, reference);
  if (reference.includes(':') && reference !== digest) {
    throw ociError('DIGEST_INVALID', `cannot keep the manifest ${reference}: what arrived is ${digest}`);
  }
  if (!reference.includes(':') && !isTag(reference)) {
    throw ociError('TAG_INVALID', `cannot tag ${JSON.stringify(reference)}: want letters, digits, _ . -, 128 at most`);
  }
  const manifest = parseManifest(content, mediaType);
  for (const wanted of manifest.config ? [manifest.config, ...manifest.layers] : []) {
    await checkThere(tracking, repository, wanted);
  }
  return manifest;
}

/** Blobs that lie elsewhere, as their URLs say, need not be here. */
async function checkThere(tracking: Tracking, repository: string, wanted: Descriptor): Promise<void> {
  const found = await findBlob(tracking, repository, wanted.digest);
  const isElsewhere = wanted.urls !== undefined || wanted.mediaType.includes('nondistributable');
  if (!found && isElsewhere) return;
  if (!found)
    throw ociError('MANIFEST_BLOB_UNKNOWN', `cannot keep the manifest: ${wanted.digest} is not in it, push it`);
  if (found.sizeBytes === wanted.size) return;
  const what = `${wanted.digest} has ${found.sizeBytes} bytes, not ${wanted.size}`;
  throw ociError('MANIFEST_INVALID', `cannot keep the manifest: ${what}`);
}

/** Keeps it, and points the tag at it; both or neither. */
export async function putManifest(
  tracking: Tracking,
  repository: string,
  { arrived, manifest }: { readonly arrived: NewManifest; readonly manifest: Manifest },
): Promise<string> {
  const { workspace } = tracking;
  const digest = digestOf(arrived.content, arrived.reference);
  await inTransaction(tracking, async ({ db }) => {
    const { mediaType: media_type, content } = arrived;
    await db
      .insertInto('tracking_oci_manifests')
      .values({ workspace, repository, digest, media_type, content, subject: manifest.subject?.digest ?? '' })
      .onConflict((conflict) => conflict.columns(['workspace', 'repository', 'digest']).doUpdateSet({ media_type }))
      .execute();
    if (arrived.reference === digest) return;
    await db
      .insertInto('tracking_oci_tags')
      .values({ workspace, repository, tag: arrived.reference, digest })
      .onConflict((conflict) => conflict.columns(['workspace', 'repository', 'tag']).doUpdateSet({ digest }))
      .execute();
  });
  return digest;
}

/** By tag or digest; undefined when there is none. */
export async function findManifest(
  tracking: Tracking,
  repository: string,
  reference: string,
): Promise<StoredManifest | undefined> {
  const digest = isDigest(reference) ? reference : await findTag(tracking, repository, reference);
  if (digest === undefined) return undefined;
  const row = await tracking.db
    .selectFrom('tracking_oci_manifests')
    .select(['digest', 'media_type', 'content'])
    .where('workspace', '=', tracking.workspace)
    .where('repository', '=', repository)
    .where('digest', '=', digest)
    .executeTakeFirst();
  return row && { digest: row.digest, mediaType: row.media_type, content: row.content };
}

/** That there is none. */
export function manifestUnknown(repository: string, reference: string): Error {
  return ociError('MANIFEST_UNKNOWN', `cannot find ${repository} ${reference}: it has no such manifest`);
}

async function findTag({ db, workspace }: Tracking, repository: string, tag: string): Promise<string | undefined> {
  const row = await db
    .selectFrom('tracking_oci_tags')
    .select('digest')
    .where('workspace', '=', workspace)
    .where('repository', '=', repository)
    .where('tag', '=', tag)
    .executeTakeFirst();
  return row?.digest;
}

/** Forgets a tag, or a manifest with all its tags. @throws MANIFEST_UNKNOWN */
export async function deleteManifest(tracking: Tracking, repository: string, reference: string): Promise<void> {
  const { workspace } = tracking;
  if (!(await findManifest(tracking, repository, reference))) throw manifestUnknown(repository, reference);
  await inTransaction(tracking, async ({ db }) => {
    const tags = db.deleteFrom('tracking_oci_tags').where('workspace', '=', workspace);
    const own = tags.where('repository', '=', repository);
    await own.where(isDigest(reference) ? 'digest' : 'tag', '=', reference).execute();
    if (!isDigest(reference)) return;
    const manifests = db.deleteFrom('tracking_oci_manifests').where('workspace', '=', workspace);
    await manifests.where('repository', '=', repository).where('digest', '=', reference).execute();
  });
}

/** All tags, in no order. @throws NAME_UNKNOWN when nothing was ever pushed there */
export async function listTags(tracking: Tracking, repository: string): Promise<readonly string[]> {
  const rows = await tracking.db
    .selectFrom('tracking_oci_tags')
    .select('tag')
    .where('workspace', '=', tracking.workspace)
    .where('repository', '=', repository)
    .execute();
  if (rows.length > 0 || (await isKnown(tracking, repository))) return rows.map(({ tag }) => tag);
  throw ociError('NAME_UNKNOWN', `cannot list the tags of ${repository}: there is no such repository`);
}

async function isKnown({ db, workspace }: Tracking, repository: string): Promise<boolean> {
  for (const table of ['tracking_oci_manifests', 'tracking_oci_blobs'] as const) {
    const rows = db.selectFrom(table).select('digest').where('workspace', '=', workspace);
    if (await rows.where('repository', '=', repository).limit(1).executeTakeFirst()) return true;
  }
  return false;
}

/** The manifests that are about `subject`, whether that is there or not; 1,000 at most. */
export async function listReferrers(
  tracking: Tracking,
  repository: string,
  { subject, artifactType }: ReferrerQuery,
): Promise<readonly Referrer[]> {
  const rows = await tracking.db
    .selectFrom('tracking_oci_manifests')
    .select(['digest', 'media_type', 'content'])
    .where('workspace', '=', tracking.workspace)
    .where('repository', '=', repository)
    .where('subject', '=', subject)
    .orderBy('digest')
    .limit(REFERRERS_MAX)
    .execute();
  return rows
    .map(({ digest, media_type: mediaType, content }) => {
      const { artifactType: type, annotations } = parseManifest(content, mediaType);
      const size = Buffer.byteLength(content);
      return { mediaType, digest, size, ...(type && { artifactType: type }), ...(annotations && { annotations }) };
    })
    .filter((one) => artifactType === undefined || one.artifactType === artifactType);
}
