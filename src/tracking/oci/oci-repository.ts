/** Opens the repository of a name: a registered model's, or a plain one. */
import type { ByteRange } from '../../blobs/blob-store.ts';
import type { Tracking } from '../tracking.ts';
import { openModelRepository } from './model-repository.ts';
import { getBlob, openLinked } from './oci-blobs.ts';
import { checkManifest, findManifest, listReferrers, listTags, manifestUnknown, putManifest } from './oci-manifests.ts';
import { findModelName } from './oci-path.ts';
import type { PackCache } from './ready-packs.ts';
import type { Repository } from './repository.ts';

/** Who asks, and what was made for those before. */
export interface RepositoryContext {
  readonly packs: PackCache;
  readonly user: string;
}

/** The caller's repository of that name, whether anything is in it or not. */
export function openRepository(tracking: Tracking, name: string, context: RepositoryContext): Repository {
  const plain = openPlain(tracking, name);
  const model = findModelName(name);
  return model === undefined ? plain : openModelRepository(tracking, { model, plain, ...context });
}

function openPlain(tracking: Tracking, name: string): Repository {
  const readBlob = async (digest: string) => {
    const blob = await getBlob(tracking, name, digest);
    return { sizeBytes: blob.sizeBytes, open: (range?: ByteRange) => openLinked(tracking.blobs, blob, range) };
  };
  return {
    name,
    getManifest: async (reference) => {
      const found = await findManifest(tracking, name, reference);
      if (found) return found;
      throw manifestUnknown(name, reference);
    },
    putManifest: async (arrived) => {
      const manifest = await checkManifest(tracking, name, arrived);
      const digest = await putManifest(tracking, name, { arrived, manifest });
      return { digest, subject: manifest.subject?.digest };
    },
    statBlob: readBlob,
    getBlob: readBlob,
    listReferrers: (query) => listReferrers(tracking, name, query),
    listTags: () => listTags(tracking, name),
    checkMayDelete: () => undefined,
  };
}
