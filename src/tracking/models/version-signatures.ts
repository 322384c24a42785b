/**
 * Signatures of versions: who vouches for a version's files, kept beside it and never part of it. Says who signed as
 * the signature says it; whom to trust is for who verifies, with the files in hand.
 */
import { createHash } from 'node:crypto';
import { getTree } from '../../blobs/tree.ts';
import { StatusError } from '../../kube/status-error.ts';
import { findDifference, readSignature, type Signer } from '../../modelfiles/sign-model.ts';
import type { SignedModel, SignedResource } from '../../modelfiles/signed-statement.ts';
import { SIGNATURE_BYTES_MAX, SIGNATURES_PER_VERSION_MAX } from '../limits.ts';
import type { VersionSignatureRow } from '../schema.ts';
import { inTransaction, type Tracking } from '../tracking.ts';
import { getVersion, type NamedVersion, type VersionId } from './model-versions.ts';
import { getModelRow, holdModel } from './registered-models.ts';
import { checkUsable } from './version-status.ts';

/** A signature as the API shows it. */
export interface VersionSignature {
  readonly version: string;
  /** Of the bundle, `sha256:...`. */
  readonly digest: string;
  readonly signer: Signer;
  /** When it was kept here, RFC 3339; the signature itself tells no time. */
  readonly createdAt: string;
}

/** One that arrives; `manifestDigest` when it comes as an artifact of its own. */
export interface NewSignature {
  readonly bundle: string;
  readonly manifestDigest?: string;
}

/**
 * Keeps it with the version; the same one once. Nothing else of the version changes.
 * @throws Invalid for what is no signature of just this version's files; Forbidden, ServiceUnavailable for a version
 * that is not ready; Conflict when there are too many; NotFound
 */
export async function addSignature(tracking: Tracking, id: VersionId, arrived: NewSignature) {
  const { bundle, manifestDigest = '' } = arrived;
  const what = `cannot keep the signature with models:/${id.name}/${id.version}`;
  const sizeBytes = Buffer.byteLength(bundle);
  if (sizeBytes > SIGNATURE_BYTES_MAX) {
    throw new StatusError('Invalid', `${what}: it has ${sizeBytes} bytes, ${SIGNATURE_BYTES_MAX} at most`);
  }
  const version = await getVersion(tracking, id);
  const { signer, model } = readSignature(bundle);
  // What is attached may come before the files were looked through; who verifies compares them in any case.
  const isEarly = manifestDigest !== '' && version.status === 'PENDING_REGISTRATION';
  if (manifestDigest === '') checkUsable(version);
  if (!isEarly) checkFiles(model, await readDigests(tracking, version, what), what);
  const row: VersionSignatureRow = {
    model_key: version.model_key,
    version: version.version,
    digest: `sha256:${createHash('sha256').update(bundle).digest('hex')}`,
    ...signer,
    creation_time: tracking.clock.nowMs(),
    size_bytes: sizeBytes,
    manifest_digest: manifestDigest,
    content: bundle,
  };
  return inTransaction(tracking, (within) => keep(within, id, { row, what }));
}

function checkFiles(model: SignedModel, files: readonly SignedResource[], what: string): void {
  const difference = findDifference(model, files);
  if (difference === undefined) return;
  throw new StatusError('Invalid', `${what}: it is of other files: ${difference}, sign this version`);
}

async function readDigests(tracking: Tracking, { digest }: NamedVersion, what: string) {
  if (digest === null)
    throw new StatusError('Invalid', `${what}: its files are not kept here, sign them where they are`);
  const { files } = await getTree(tracking.blobs, digest);
  return files.map((file) => ({ name: file.path, digest: file.digest.replace(/^sha256:/, '') }));
}

async function keep(
  within: Tracking,
  { name }: VersionId,
  { row, what }: { readonly row: VersionSignatureRow; readonly what: string },
): Promise<VersionSignature> {
  await holdModel(within, name);
  const { db } = within;
  const own = db.selectFrom('tracking_version_signatures').where('model_key', '=', row.model_key);
  const { count } = await own
    .where('version', '=', row.version)
    .where('digest', '!=', row.digest)
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  if (Number(count) >= SIGNATURES_PER_VERSION_MAX) {
    throw new StatusError('Conflict', `${what}: it has ${SIGNATURES_PER_VERSION_MAX} already, which is the most`);
  }
  const { manifest_digest } = row;
  const kept = await db
    .insertInto('tracking_version_signatures')
    .values(row)
    .onConflict((conflict) => {
      const known = conflict.columns(['model_key', 'version', 'digest']);
      return known.doUpdateSet(({ ref }) =>
        manifest_digest === '' ? { digest: ref('excluded.digest') } : { manifest_digest },
      );
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  return show(kept);
}

/** Of one version, without bundles, the newest first. @throws NotFound */
export async function listVersionSignatures(tracking: Tracking, id: VersionId): Promise<readonly VersionSignature[]> {
  const { model_key, version } = await getVersion(tracking, id);
  return (await selectSignatures(tracking, model_key)).filter((row) => row.version === version).map(show);
}

/** With its bundle, which may be large. @throws NotFound */
export async function getSignature(tracking: Tracking, id: VersionId, digest: string) {
  const { model_key, version } = await getVersion(tracking, id);
  const rows = tracking.db.selectFrom('tracking_version_signatures').selectAll().where('model_key', '=', model_key);
  const row = await rows.where('version', '=', version).where('digest', '=', digest).executeTakeFirst();
  if (row) return { ...show(row), bundle: row.content };
  throw new StatusError(
    'NotFound',
    `cannot find the signature ${digest}: models:/${id.name}/${id.version} has none such`,
  );
}

/** Of all versions of a model, without bundles, the newest first. @throws NotFound */
export async function listSignatures(tracking: Tracking, name: string): Promise<readonly VersionSignature[]> {
  const { model_key } = await getModelRow(tracking, name);
  return (await selectSignatures(tracking, model_key)).map(show);
}

/** What is kept of signatures besides their bundles. */
export type SignatureRow = Omit<VersionSignatureRow, 'content'>;

/** Rows of all versions of a model, the newest first. */
export async function selectSignatures({ db }: Tracking, modelKey: string): Promise<readonly SignatureRow[]> {
  return db
    .selectFrom('tracking_version_signatures')
    .select(['model_key', 'version', 'digest', 'kind', 'subject', 'fingerprint'])
    .select(['creation_time', 'size_bytes', 'manifest_digest'])
    .where('model_key', '=', modelKey)
    .orderBy('creation_time', 'desc')
    .orderBy('digest')
    .execute();
}

/** A bundle of any version of the model; undefined when there is none of that digest. */
export async function findBundle({ db }: Tracking, modelKey: string, digest: string): Promise<string | undefined> {
  const rows = db.selectFrom('tracking_version_signatures').select('content').where('model_key', '=', modelKey);
  return (await rows.where('digest', '=', digest).executeTakeFirst())?.content;
}

function show({ version, digest, kind, subject, fingerprint, creation_time }: SignatureRow): VersionSignature {
  const createdAt = new Date(creation_time).toISOString();
  return { version: String(version), digest, signer: { kind, subject, fingerprint }, createdAt };
}
