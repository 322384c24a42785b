/**
 * What a model's signature says (OpenSSF Model Signing v1.0): an in-toto statement that names each file with its
 * digest, and the model by the digest over those. Knows which files count; signs nothing.
 */
import { createHash } from 'node:crypto';
import { isJsonObject } from '../base/json.ts';
import { StatusError } from '../kube/status-error.ts';
import { findPathProblem } from './archive-path.ts';
import type { ModelFile } from './model-files.ts';

/** A file of a signed model. */
export interface SignedResource {
  readonly name: string;
  /** Hexadecimal. */
  readonly digest: string;
}

/** A model as a signature has it. */
export interface ModelDigest {
  /** SHA-256 over the digests of the resources, in their order; hexadecimal. */
  readonly digest: string;
  readonly resources: readonly SignedResource[];
}

/** What was signed. */
export interface SignedModel extends ModelDigest {
  readonly name: string;
  readonly ignorePaths: readonly string[];
}

const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
const PREDICATE_TYPE = 'https://model_signing/signature/v1.0';
const HASH = 'sha256';
/** Git's own files belong to the repository, not to the model; every signer leaves them out. */
const GIT_PATHS = ['.git', '.gitattributes', '.github', '.gitignore'];

/** What is not part of the model: these paths and what lies below them, and git's own. */
export function withGitPaths(ignorePaths: readonly string[]): readonly string[] {
  return [...new Set([...ignorePaths, ...GIT_PATHS])];
}

/** Reads every file. @throws Invalid for links and special files, which a signature cannot hold */
export async function digestModel(
  files: readonly ModelFile[],
  ignorePaths: readonly string[] = withGitPaths([]),
): Promise<ModelDigest> {
  const counted = files.filter(({ path }) => !isIgnored(path, ignorePaths));
  const resources: SignedResource[] = [];
  for (const file of counted.toSorted((a, b) => compareParts(a.path, b.path))) {
    if (file.isSpecial) {
      throw new StatusError(
        'Invalid',
        `cannot digest the model: ${file.path} is a link or no file, replace it by a copy`,
      );
    }
    const hash = createHash(HASH);
    for await (const part of file.bytes.stream(0, file.bytes.sizeBytes)) hash.update(part);
    resources.push({ name: file.path, digest: hash.digest('hex') });
  }
  return { digest: rootDigest(resources), resources };
}

/** Whether a path is one of these, or below one. */
export function isIgnored(path: string, ignorePaths: readonly string[]): boolean {
  return ignorePaths.some((place) => isWithin(path, place));
}

function isWithin(path: string, place: string): boolean {
  const plain = place.replace(/^\.\//, '').replace(/\/+$/, '');
  return path === plain || path.startsWith(`${plain}/`);
}

/** By parts of the path, as the reference implementation sorts: `a/b` stands before `a.txt`. */
function compareParts(a: string, b: string): number {
  const [left, right] = [a.split('/'), b.split('/')];
  for (const [index, part] of left.entries()) {
    const other = right[index];
    if (other === undefined) return 1;
    if (part !== other) return Buffer.compare(Buffer.from(part), Buffer.from(other));
  }
  return left.length - right.length;
}

function rootDigest(resources: readonly SignedResource[]): string {
  const hash = createHash('sha256');
  for (const { digest } of resources) hash.update(Buffer.from(digest, 'hex'));
  return hash.digest('hex');
}

/** The statement as text. */
export function writeStatement({ name, digest, resources, ignorePaths }: SignedModel): string {
  return JSON.stringify({
    _type: STATEMENT_TYPE,
    subject: [{ name, digest: { sha256: digest } }],
    predicateType: PREDICATE_TYPE,
    predicate: {
      serialization: { method: 'files', hash_type: HASH, allow_symlinks: false, ignore_paths: ignorePaths },
      resources: resources.map(({ name: path, digest: own }) => ({ name: path, algorithm: HASH, digest: own })),
    },
  });
}

/** @throws Invalid when the text is no statement of a model, or contradicts itself */
export function parseStatement(text: string): SignedModel {
  const statement = parseJson(text);
  if (!isJsonObject(statement) || statement['_type'] !== STATEMENT_TYPE) throw refuse('it holds no in-toto statement');
  if (statement['predicateType'] !== PREDICATE_TYPE) throw refuse(`it states ${String(statement['predicateType'])}`);
  const { subject, predicate } = statement;
  const [first] = Array.isArray(subject) && subject.length === 1 ? subject : [];
  if (!isJsonObject(first) || !isJsonObject(predicate)) throw refuse('it is not about one model');
  const digest = isJsonObject(first['digest']) ? String(first['digest']['sha256']) : '';
  const resources = parseResources(predicate['resources']);
  if (rootDigest(resources) !== digest) throw refuse('its digest is not that of its files');
  return {
    name: String(first['name']),
    digest,
    resources,
    ignorePaths: parseSerialization(predicate['serialization']),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw refuse('it holds no in-toto statement', cause);
  }
}

function parseResources(value: unknown): readonly SignedResource[] {
  if (!Array.isArray(value)) throw refuse('it names no files');
  const resources = value.map((item: unknown) => {
    const { name, algorithm, digest } = isJsonObject(item) ? item : {};
    if (typeof name !== 'string' || typeof digest !== 'string') throw refuse('it names a file without a digest');
    if (algorithm !== HASH) throw refuse(`it has digests of ${String(algorithm)}, which are not read here`);
    if (!/^[0-9a-f]{64}$/.test(digest) || findPathProblem(name)) throw refuse(`it names ${name}`);
    return { name, digest };
  });
  if (new Set(resources.map(({ name }) => name)).size < resources.length) throw refuse('it names a file twice');
  return resources;
}

function parseSerialization(value: unknown): readonly string[] {
  const { method, ignore_paths: paths = [] } = isJsonObject(value) ? value : {};
  if (method !== 'files') throw refuse(`it was made by the method ${String(method)}, which is not read here`);
  if (!Array.isArray(paths) || !paths.every((path) => typeof path === 'string')) throw refuse('it ignores no paths');
  // A place outside the model is no file of it; the model as a whole cannot be left out.
  return paths.filter((path) => path !== '' && path !== '.' && findPathProblem(path) === undefined);
}

function refuse(why: string, cause?: unknown): StatusError {
  return new StatusError('Invalid', `cannot read the signature: ${why}, sign the model again`, { cause });
}
