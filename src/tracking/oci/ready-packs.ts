/**
 * Versions of registered models as registry artifacts: the manifest they were pushed as, or a ModelPack written from
 * their files. Copies no file; only versions that are ready have one.
 */
import type { ByteRange, OpenBlob } from '../../blobs/blob-store.ts';
import { contentKey } from '../../blobs/content.ts';
import { getTree } from '../../blobs/tree.ts';
import { ignoreNotFound } from '../../kube/status-error.ts';
import { findArtifactPath, openArtifact } from '../artifacts/artifacts.ts';
import { listVersionsOf, type NamedVersion } from '../models/model-versions.ts';
import { resolveSource } from '../models/version-files.ts';
import type { ModelVersionRow } from '../schema.ts';
import type { Tracking } from '../tracking.ts';
import { writePack } from './model-pack.ts';
import { parseManifest } from './oci-manifest.ts';
import type { StoredManifest } from './oci-manifests.ts';

/** A blob of a version. */
export interface PackBlob {
  readonly sizeBytes: number;
  open(tracking: Tracking, range?: ByteRange): Promise<OpenBlob>;
}

/** A version as an artifact. */
export interface Pack {
  readonly manifest: StoredManifest;
  /** By digest. */
  readonly blobs: ReadonlyMap<string, PackBlob>;
}

/** Packs that were made already: a version's files never change under its digest. */
export type PackCache = Map<string, Pack>;

const PACKS_KEPT = 256;

/** Undefined for a version whose files are elsewhere. */
export async function findPack(tracking: Tracking, cache: PackCache, version: NamedVersion): Promise<Pack | undefined> {
  if (version.digest === null || version.status !== 'READY') return undefined;
  const { model_key, digest, description, name } = version;
  const key = JSON.stringify([model_key, version.version, digest, description, name]);
  const known = cache.get(key);
  if (known) return known;
  const pack = (await findPushed(tracking, version)) ?? (await makePack(tracking, version, digest));
  const [oldest] = cache.keys();
  if (cache.size >= PACKS_KEPT && oldest !== undefined) cache.delete(oldest);
  cache.set(key, pack);
  return pack;
}

/** A model, and its packs that were made already. */
export interface PacksOfModel {
  readonly model: string;
  readonly packs: PackCache;
}

export interface ReadyPack {
  readonly version: NamedVersion;
  readonly pack: Pack;
}

/** Versions that can be pulled, the newest first. */
export async function listReady(tracking: Tracking, model: string): Promise<readonly NamedVersion[]> {
  return (await listVersionsOf(tracking, model)).filter(({ status, digest }) => status === 'READY' && digest !== null);
}

/** Their artifacts, each made when it is asked for and was not made before. */
export async function* eachReadyPack(
  tracking: Tracking,
  { model, packs }: PacksOfModel,
): AsyncGenerator<ReadyPack, void> {
  for (const version of await listReady(tracking, model)) {
    const pack = await findPack(tracking, packs, version);
    if (pack) yield { version, pack };
  }
}

async function findPushed({ db }: Tracking, version: ModelVersionRow): Promise<Pack | undefined> {
  const rows = db.selectFrom('tracking_pushed_versions').selectAll().where('model_key', '=', version.model_key);
  const row = await rows.where('version', '=', version.version).executeTakeFirst();
  if (!row) return undefined;
  const { config, layers } = parseManifest(row.content, row.media_type);
  const blobs = [...(config ? [config] : []), ...layers].map(({ digest, size }): [string, PackBlob] => [
    digest,
    { sizeBytes: size, open: (on, range) => on.blobs.open(contentKey(digest), range) },
  ]);
  return {
    manifest: { digest: row.digest, mediaType: row.media_type, content: row.content },
    blobs: new Map(blobs),
  };
}

async function makePack(tracking: Tracking, version: NamedVersion, digest: string): Promise<Pack> {
  const { files } = await getTree(tracking.blobs, digest);
  const { manifest, config } = writePack(version, files);
  const bytes = Buffer.from(config.content);
  const blobs = files.map((file): [string, PackBlob] => [
    file.digest,
    { sizeBytes: file.sizeBytes, open: (on, range) => openFile(on, version.source, { path: file.path, range }) },
  ]);
  const configBlob: PackBlob = {
    sizeBytes: bytes.length,
    open: async (_on, range) => ({
      sizeBytes: bytes.length,
      body: toBody(range ? bytes.subarray(range.start, (range.end ?? bytes.length) + 1) : bytes),
    }),
  };
  return { manifest, blobs: new Map([...blobs, [config.digest, configBlob]]) };
}

async function* toBody(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}

/** A source is a folder, or is the file itself. */
async function openFile(
  tracking: Tracking,
  source: string,
  { path, range }: { readonly path: string; readonly range: ByteRange | undefined },
): Promise<OpenBlob> {
  const root = (findArtifactPath(await resolveSource(tracking, source)) ?? '').replace(/\/+$/, '');
  const inFolder = await openArtifact(tracking.blobs, `${root}/${path}`, range).catch(ignoreNotFound);
  return inFolder ?? openArtifact(tracking.blobs, root, range);
}
