/** A pushed model's layers as files of the artifact store. Knows what is too much; judges nothing that files hold. */
import type { BlobStore } from '../../blobs/blob-store.ts';
import { contentKey } from '../../blobs/content.ts';
import { isStatusError } from '../../kube/status-error.ts';
import type { Bytes } from '../../modelfiles/bytes.ts';
import { FILES_MAX, RATIO_FLOOR_BYTES, RATIO_MAX, UNPACKED_BYTES_MAX } from '../../modelfiles/limits.ts';
import { readTar } from '../../modelfiles/read-tar.ts';
import { unpack } from '../../modelfiles/unpacked.ts';
import { deleteArtifacts, putArtifact } from '../artifacts/artifacts.ts';
import { ociError } from './oci-error.ts';
import { checkModelPath, type ModelLayer } from './pushed-layers.ts';

/** Where the files go, and where what is unpacked on the way lies meanwhile. */
export interface UnpackPlace {
  readonly folder: string;
  readonly temporaryKey: string;
}

/** All files or none. @throws MANIFEST_INVALID for what cannot be unpacked, or would be too much */
export async function unpackModel(blobs: BlobStore, layers: readonly ModelLayer[], place: UnpackPlace): Promise<void> {
  const taken = new Set<string>();
  const keep = async (path: string, bytes: Bytes) => {
    const plain = checkModelPath(path);
    if (taken.has(plain)) throw unreadable(`it has ${plain} twice`);
    if (taken.size >= FILES_MAX) throw unreadable(`it has more than ${FILES_MAX} files`);
    taken.add(plain);
    await putArtifact(blobs, `${place.folder}/${plain}`, bytes.stream(0, bytes.sizeBytes));
  };
  try {
    for (const layer of layers) await unpackLayer(blobs, layer, { keep, place });
    if (taken.size === 0) throw unreadable('it has no files');
  } catch (error) {
    await deleteArtifacts(blobs, place.folder);
    // why: readers of tars know no registry
    if (isStatusError(error, 'Invalid') && error.details === undefined) throw unreadable(error.message, error);
    throw error;
  }
}

interface Unpacking {
  readonly keep: (path: string, bytes: Bytes) => Promise<void>;
  readonly place: UnpackPlace;
}

async function unpackLayer(blobs: BlobStore, layer: ModelLayer, { keep, place }: Unpacking): Promise<void> {
  const packed = await bytesOf(blobs, contentKey(layer.digest));
  if (layer.form === 'raw') return keep(layer.path, packed);
  if (layer.form === 'tar') return keepAll(packed, keep);
  const { temporaryKey } = place;
  try {
    // A tar is read here and there; packed ones can be read from the beginning only.
    await blobs.put(temporaryKey, limited(unpack(packed, 'gzip'), packed.sizeBytes));
    await keepAll(await bytesOf(blobs, temporaryKey), keep);
  } finally {
    await blobs.delete(temporaryKey);
  }
}

async function keepAll(tar: Bytes, keep: Unpacking['keep']): Promise<void> {
  for await (const { path, bytes } of readTar(tar)) await keep(path, bytes);
}

async function* limited(source: AsyncIterable<Uint8Array>, packedBytes: number): AsyncGenerator<Uint8Array, void> {
  let sizeBytes = 0;
  for await (const part of source) {
    sizeBytes += part.length;
    const isBomb = sizeBytes > RATIO_FLOOR_BYTES && sizeBytes > packedBytes * RATIO_MAX;
    if (isBomb || sizeBytes > UNPACKED_BYTES_MAX) throw unreadable(`a layer unpacks to more than ${sizeBytes} bytes`);
    yield part;
  }
}

async function bytesOf(blobs: BlobStore, key: string): Promise<Bytes> {
  const { sizeBytes } = await blobs.stat(key);
  return {
    sizeBytes,
    stream: async function* (start, end) {
      if (end > start) yield* (await blobs.open(key, { start, end: end - 1 })).body;
    },
  };
}

function unreadable(why: string, cause?: unknown): Error {
  return ociError('MANIFEST_INVALID', `cannot read the model: ${why}`, cause);
}
