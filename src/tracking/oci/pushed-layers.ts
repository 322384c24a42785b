/**
 * Which artifacts are models, and what their layers hold: CNCF ModelPack, KitOps ModelKits, and Docker's models. Pure;
 * unpacks nothing.
 */
import { findKeyProblem } from '../../blobs/blob-key.ts';
import { findPathProblem } from '../../modelfiles/archive-path.ts';
import { PACK_CONFIG_TYPE, PATH_ANNOTATION, TITLE_ANNOTATION } from './model-pack.ts';
import { ociError } from './oci-error.ts';
import type { Descriptor, Manifest } from './oci-manifest.ts';

/** A layer of a model; a raw one is the file `path`. */
export interface ModelLayer {
  readonly digest: string;
  readonly form: 'raw' | 'tar' | 'tar+gzip';
  readonly path: string;
}

const KITOPS_CONFIG = 'application/vnd.kitops.modelkit.config.v1+json';
const DOCKER_CONFIG = /^application\/vnd\.docker\.ai\.model\.config\.v\d+\.\d+\+json$/;
const DOCKER_LAYER = 'application/vnd.docker.ai.';
const PACKED = /^application\/vnd\.(?:cncf\.model|kitops\.modelkit)\.[a-z.]+\.v1\.(raw|tar|tar\+gzip)$/;
/** Names that Docker's layers leave to whoever unpacks them. */
const DOCKER_NAMES: Readonly<Record<string, string>> = {
  'gguf.v3': 'model.gguf',
  'gguf.v3.lora': 'lora.gguf',
  'gguf.v3.mmproj': 'mmproj.gguf',
  license: 'LICENSE',
  'chat.template.jinja': 'template.jinja',
};

/** Undefined for what is no model. @throws MANIFEST_INVALID for a model with a layer that nobody here can read */
export function findModelLayers({ config, layers }: Manifest): readonly ModelLayer[] | undefined {
  const type = config?.mediaType ?? '';
  const isDocker = DOCKER_CONFIG.test(type);
  if (!isDocker && type !== PACK_CONFIG_TYPE && type !== KITOPS_CONFIG) return undefined;
  if (layers.length === 0) throw unreadable('it has no layers');
  return layers.map((layer) => (isDocker ? readDocker(layer) : readPacked(layer)));
}

function readPacked(layer: Descriptor): ModelLayer {
  const form = PACKED.exec(layer.mediaType)?.[1];
  if (form === 'tar' || form === 'tar+gzip') return { digest: layer.digest, form, path: '' };
  if (form === 'raw') return toRaw(layer, undefined);
  throw unreadable(`a layer is ${layer.mediaType}, want raw, tar or tar+gzip`);
}

function readDocker(layer: Descriptor): ModelLayer {
  if (!layer.mediaType.startsWith(DOCKER_LAYER))
    throw unreadable(`a layer is ${layer.mediaType}, want one of Docker's`);
  return toRaw(layer, DOCKER_NAMES[layer.mediaType.slice(DOCKER_LAYER.length)]);
}

function toRaw({ digest, annotations = {} }: Descriptor, fallback: string | undefined): ModelLayer {
  const path = annotations[PATH_ANNOTATION] ?? annotations[TITLE_ANNOTATION] ?? fallback ?? digest.replace(':', '-');
  return { digest, form: 'raw', path: checkModelPath(path) };
}

/** The path of a model's file, plain. @throws MANIFEST_INVALID for one that leaves its folder */
export function checkModelPath(path: string): string {
  const plain = path.replace(/^(\.\/)+/, '');
  const problem = findPathProblem(plain) ?? findKeyProblem(plain);
  if (problem === undefined) return plain;
  throw unreadable(`its file ${JSON.stringify(path.slice(0, 200))}: ${problem}`);
}

function unreadable(why: string): Error {
  return ociError('MANIFEST_INVALID', `cannot read the model: ${why}`);
}
