/** What a manifest says: OCI's image manifest and index, and Docker's of the same shape. Pure. */
import { z } from 'zod';
import { ociError } from './oci-error.ts';
import { isDigest } from './oci-path.ts';

/** As the specification asks of a registry. */
export const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;
export const IMAGE_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const IMAGE_INDEX = 'application/vnd.oci.image.index.v1+json';

const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const LISTS: ReadonlySet<string> = new Set([IMAGE_INDEX, DOCKER_LIST]);
const KNOWN: ReadonlySet<string> = new Set([IMAGE_MANIFEST, DOCKER_MANIFEST, ...LISTS]);
const LAYERS_MAX = 20_000;

const annotations = z.record(z.string(), z.string());
const descriptor = z.object({
  mediaType: z.string(),
  digest: z.string().refine(isDigest, 'want sha256: and 64 hexadecimal digits, or sha512: and 128'),
  size: z.number().int().nonnegative(),
  annotations: annotations.optional(),
  urls: z.array(z.string()).optional(),
});
const common = {
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  artifactType: z.string().optional(),
  subject: descriptor.optional(),
  annotations: annotations.optional(),
};
const image = z.object({ ...common, config: descriptor, layers: z.array(descriptor).max(LAYERS_MAX) });
const index = z.object({ ...common, manifests: z.array(descriptor).max(LAYERS_MAX) });

const referrers = z.object({
  manifests: z.array(descriptor.extend({ artifactType: z.string().optional() })).max(LAYERS_MAX),
});

/** What points at a manifest about another. */
export type ReferrerDescriptor = z.infer<typeof referrers>['manifests'][number];

/** The list of an index of referrers. @throws MANIFEST_INVALID */
export function parseReferrers(text: string): readonly ReferrerDescriptor[] {
  const parsed = referrers.safeParse(parseJson(text));
  if (parsed.success) return parsed.data.manifests;
  throw invalid('it is no list of what is about another');
}

/** What points at a blob. */
export type Descriptor = z.infer<typeof descriptor>;

/** What a registry has to know of a manifest. */
export interface Manifest {
  readonly mediaType: string;
  /** Of an image manifest without one, its config's. */
  readonly artifactType: string | undefined;
  readonly config: Descriptor | undefined;
  /** Of an index, none: its parts are manifests. */
  readonly layers: readonly Descriptor[];
  readonly subject: Descriptor | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
}

/** `mediaType` is what its sender or its row calls it. @throws MANIFEST_INVALID */
export function parseManifest(text: string, mediaType: string): Manifest {
  if (!KNOWN.has(mediaType)) throw invalid(`its type is ${mediaType || 'not told'}, want one of OCI's or Docker's`);
  const parsed = (LISTS.has(mediaType) ? index : image).safeParse(parseJson(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalid(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'it has another shape'}`);
  }
  const { data } = parsed;
  if (data.mediaType !== undefined && data.mediaType !== mediaType) {
    throw invalid(`it calls itself ${data.mediaType}, and its sender ${mediaType}`);
  }
  const isImage = 'layers' in data;
  return {
    mediaType,
    artifactType: data.artifactType ?? (isImage ? data.config.mediaType : undefined),
    config: isImage ? data.config : undefined,
    layers: isImage ? data.layers : [],
    subject: data.subject,
    annotations: data.annotations,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalid('it is not JSON', error);
  }
}

function invalid(why: string, cause?: unknown): Error {
  return ociError('MANIFEST_INVALID', `cannot read the manifest: ${why}`, cause);
}
