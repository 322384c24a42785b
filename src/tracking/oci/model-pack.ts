/**
 * A version as a CNCF ModelPack (modelpack/model-spec): config, manifest, and one raw layer for each file, whose digest
 * is the file's own. Pure; the same version always gives the same bytes.
 */
import { canonicalJson } from '../../base/json.ts';
import type { TreeFile } from '../../blobs/tree.ts';
import type { NamedVersion } from '../models/model-versions.ts';
import { digestOf } from './oci-blobs.ts';
import { IMAGE_MANIFEST } from './oci-manifest.ts';
import type { StoredManifest } from './oci-manifests.ts';

/** What ModelPack calls a model. */
export const PACK_TYPE = 'application/vnd.cncf.model.manifest.v1+json';
export const PACK_CONFIG_TYPE = 'application/vnd.cncf.model.config.v1+json';
/** Where a layer's file goes. */
export const PATH_ANNOTATION = 'org.cncf.model.filepath';
/** As oras has it. */
export const TITLE_ANNOTATION = 'org.opencontainers.image.title';

/** What a layer holds; the first whose pattern fits the file's name. */
const KINDS: readonly (readonly [string, RegExp])[] = [
  ['doc', /(^|\/)(readme|license|notice|copying)[^/]*$|\.(md|rst|pdf)$/i],
  ['code', /\.(py|ipynb|sh|js|ts|c|cc|cpp|h|rs|go)$/i],
  ['weight.config', /(^|\/)MLmodel$|\.(json|ya?ml|txt|toml|cfg|ini|jinja2?|model)$/i],
  ['dataset', /\.(csv|parquet|arrow)$/i],
  ['weight', /./s],
];
const FORMATS: Readonly<Record<string, string>> = {
  safetensors: 'safetensors',
  onnx: 'onnx',
  gguf: 'gguf',
  pt: 'pt',
  pth: 'pt',
};

/** A version's manifest and config, whole. */
export interface WrittenPack {
  readonly manifest: StoredManifest;
  readonly config: { readonly digest: string; readonly content: string };
}

/** `files` are those that were looked through. */
export function writePack(version: NamedVersion, files: readonly TreeFile[]): WrittenPack {
  const content = canonicalJson({
    descriptor: {
      name: version.name,
      version: String(version.version),
      createdAt: new Date(version.creation_time).toISOString(),
      ...(version.description !== '' && { description: version.description }),
    },
    config: { ...findFormat(files) },
    modelfs: { type: 'layers', diffIds: files.map(({ digest }) => digest) },
  });
  const config = { digest: digestOf(content), content };
  const manifest = canonicalJson({
    schemaVersion: 2,
    mediaType: IMAGE_MANIFEST,
    artifactType: PACK_TYPE,
    config: { mediaType: PACK_CONFIG_TYPE, digest: config.digest, size: Buffer.byteLength(content) },
    layers: files.map(({ path, digest, sizeBytes }) => ({
      mediaType: `application/vnd.cncf.model.${kindOf(path)}.v1.raw`,
      digest,
      size: sizeBytes,
      annotations: { [PATH_ANNOTATION]: path, [TITLE_ANNOTATION]: path },
    })),
  });
  return { manifest: { digest: digestOf(manifest), mediaType: IMAGE_MANIFEST, content: manifest }, config };
}

function kindOf(path: string): string {
  return KINDS.find(([, pattern]) => pattern.test(path))?.[0] ?? 'weight';
}

function findFormat(files: readonly TreeFile[]): { readonly format?: string } {
  const found = new Set(files.flatMap(({ path }) => FORMATS[path.slice(path.lastIndexOf('.') + 1)] ?? []));
  const [format] = found;
  return found.size === 1 && format !== undefined ? { format } : {};
}
