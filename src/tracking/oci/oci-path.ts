/**
 * Paths of the registry's API: whose repository, and what of it. Pure; the grammar is distribution-spec 1.1's.
 * `<workspace>/<name>` is a repository of that workspace; `<name>` and `models/<name>` are the caller's.
 */
import { ociError } from './oci-error.ts';

/** Where it begins, as every client knows it. */
export const OCI_PREFIX = '/v2/';
/** Which version a pushed model became. */
export const VERSION_HEADER = 'athanor-model-version';

export type OciEndpoint = 'manifests' | 'blobs' | 'uploads' | 'tags' | 'referrers';

/** One place of the API; `reference` is a tag, a digest or an upload, and empty where there is none. */
export interface OciPath {
  /** Undefined: the caller's. */
  readonly workspace: string | undefined;
  /** Without the workspace. */
  readonly repository: string;
  readonly endpoint: OciEndpoint;
  readonly reference: string;
}

/** A repository by its full name. */
export type OciRepository = Pick<OciPath, 'workspace' | 'repository'>;

const MODELS = 'models/';
const NAME_LENGTH_MAX = 255;
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const WORKSPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const PLACES: readonly { readonly endpoint: OciEndpoint; readonly pattern: RegExp }[] = [
  { endpoint: 'uploads', pattern: /^(.+)\/blobs\/uploads\/?([^/]*)$/ },
  { endpoint: 'tags', pattern: /^(.+)\/tags\/(list)$/ },
  { endpoint: 'manifests', pattern: /^(.+)\/manifests\/([^/]+)$/ },
  { endpoint: 'blobs', pattern: /^(.+)\/blobs\/([^/]+)$/ },
  { endpoint: 'referrers', pattern: /^(.+)\/referrers\/([^/]+)$/ },
];

/** What follows `/v2/` in a URL that the router could read; undefined for no place of the API. @throws NAME_INVALID */
export function findOciPath(rest: string): OciPath | undefined {
  for (const { endpoint, pattern } of PLACES) {
    const [, name, reference = ''] = pattern.exec(rest) ?? [];
    if (name === undefined) continue;
    return { ...parseRepository(decodeURIComponent(name)), endpoint, reference: decodeURIComponent(reference) };
  }
  return undefined;
}

/** @throws NAME_INVALID */
export function parseRepository(name: string): OciRepository {
  const [first = '', ...others] = name.split('/');
  if (name.length > NAME_LENGTH_MAX) throw badName(name.slice(0, NAME_LENGTH_MAX), `it is too long`);
  const hasWorkspace = others.length > 0 && first !== 'models' && WORKSPACE.test(first);
  const repository = hasWorkspace ? others.join('/') : name;
  const model = findModelName(repository);
  // Names of models are MLflow's, and wider than a registry's.
  const isFine = model === undefined ? repository.split('/').every((part) => COMPONENT.test(part)) : isModel(model);
  if (!isFine) throw badName(name, 'want lower-case words with . _ - between them, parted by /');
  return { workspace: hasWorkspace ? first : undefined, repository };
}

/** Undefined for a repository that is no registered model's. */
export function findModelName(repository: string): string | undefined {
  return repository.startsWith(MODELS) ? repository.slice(MODELS.length) : undefined;
}

/** Whether this is a digest that the store can check. */
export function isDigest(reference: string): boolean {
  return /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/.test(reference);
}

/** @throws DIGEST_INVALID */
export function checkDigest(digest: string): void {
  if (isDigest(digest)) return;
  throw ociError(
    'DIGEST_INVALID',
    `cannot use the digest ${digest.slice(0, 100)}: want sha256: and 64 digits, or sha512: and 128`,
  );
}

/** Whether this may be a tag. */
export function isTag(reference: string): boolean {
  return TAG.test(reference);
}

function isModel(name: string): boolean {
  return name.trim() !== '' && !/[/:\0]/.test(name) && name !== '.' && name !== '..';
}

function badName(name: string, why: string) {
  return ociError('NAME_INVALID', `cannot use the repository ${JSON.stringify(name)}: ${why}`);
}
