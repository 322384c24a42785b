/**
 * Signs models and verifies signatures by OpenSSF Model Signing v1.0, with a key or with certificates. Asks nobody:
 * Sigstore's own services, and with them its keyless method, are not here.
 */
import { createPrivateKey, createPublicKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { StatusError } from '../kube/status-error.ts';
import { checkPath, parseCertificatesPem } from './certificate-path.ts';
import type { ModelFile } from './model-files.ts';
import { checkSignature, parseBundle, writeBundle } from './signature-bundle.ts';
import {
  digestModel,
  isIgnored,
  parseStatement,
  type SignedModel,
  type SignedResource,
  withGitPaths,
  writeStatement,
} from './signed-statement.ts';

/** In the details of an error: somebody trusted signed, but other files than these. */
export const OTHER_FILES = 'OtherFiles';
const SUBJECT_LENGTH_MAX = 500;

export interface SignOptions {
  /** The model's name, usually that of its folder. */
  readonly name: string;
  /** P-256, P-384 or P-521, as PEM. */
  readonly privateKey: string;
  /** The signer's certificate and those between it and the root, as PEM; without them the key alone signs. */
  readonly certificates?: string;
  /** Paths of the model that are not part of it, as the signature's own. */
  readonly ignorePaths?: readonly string[];
}

/** The signature, as text of a Sigstore bundle. @throws Invalid for links, and for a key that does not fit */
export async function signModel(files: readonly ModelFile[], options: SignOptions): Promise<string> {
  const key = readKey(() => createPrivateKey(options.privateKey));
  const certificates = options.certificates === undefined ? [] : parseCertificatesPem(options.certificates);
  if (certificates[0] && !certificates[0].checkPrivateKey(key)) {
    throw new StatusError('Invalid', `cannot sign: the key is not that of ${certificates[0].subject}`);
  }
  const ignorePaths = withGitPaths(options.ignorePaths ?? []);
  const model: SignedModel = { name: options.name, ignorePaths, ...(await digestModel(files, ignorePaths)) };
  return writeBundle(writeStatement(model), key, certificates);
}

/** Whom to trust: the owner of a public key, or whoever has a certificate of these authorities; all as PEM. */
export type Trust = { readonly publicKey: string } | { readonly authorities: string };

export interface VerifyOptions {
  readonly trust: Trust;
  /** Paths that are not part of the model besides those that the signature names, as the signature's own. */
  readonly ignorePaths?: readonly string[];
  /** Also what the signature says is no part of the model; git's own files never are. */
  readonly everyFile?: boolean;
}

/**
 * What was signed, when somebody trusted signed just these files.
 * @throws Forbidden when not, Invalid when the signature cannot be read
 */
export async function verifyModel(
  files: readonly ModelFile[],
  signature: string,
  { trust, ignorePaths = [], everyFile = false }: VerifyOptions,
): Promise<SignedModel> {
  const bundle = parseBundle(signature);
  if ('publicKey' in trust)
    checkSignature(
      bundle,
      readKey(() => createPublicKey(trust.publicKey)),
    );
  else {
    const [own] = bundle.certificates;
    await checkPath(bundle.certificates, parseCertificatesPem(trust.authorities));
    if (own) checkSignature(bundle, own.publicKey);
  }
  const signed = parseStatement(bundle.payload.toString());
  const ignored = everyFile ? ignorePaths : [...signed.ignorePaths, ...ignorePaths];
  const present = await digestModel(files, withGitPaths(ignored));
  const difference = describeDifference(signed.resources, present.resources);
  if (difference === undefined) return signed;
  const message = `cannot trust the model ${signed.name}: ${difference}`;
  throw new StatusError('Forbidden', message, { details: { kind: OTHER_FILES } });
}

/** Who signed, as the signature says it; whether to believe it is for who verifies. */
export interface Signer {
  readonly kind: 'key' | 'certificate';
  /** Of a certificate, as `CN=me, O=us`; of a key nothing. */
  readonly subject: string;
  /** SHA-256 of the certificate, or of the public key as PEM; hexadecimal, empty when the signature does not tell. */
  readonly fingerprint: string;
}

/**
 * What a signature says of itself: it is one, and where it has a certificate, of that; nobody is trusted.
 * @throws Invalid, Forbidden
 */
export function readSignature(signature: string): { readonly signer: Signer; readonly model: SignedModel } {
  const bundle = parseBundle(signature);
  const [own] = bundle.certificates;
  if (own)
    checkSignature(
      bundle,
      readKey(() => own.publicKey),
    );
  return { signer: own ? ofCertificate(own) : ofKey(bundle.keyHint), model: parseStatement(bundle.payload.toString()) };
}

function ofKey(hint = ''): Signer {
  return { kind: 'key', subject: '', fingerprint: /^[0-9a-f]{64}$/.test(hint) ? hint : '' };
}

/** Subjects are written by whoever asks for a certificate, and shown on terminals. */
function ofCertificate({ subject, fingerprint256 }: X509Certificate): Signer {
  const plain = (subject ?? '').split('\n').join(', ').replaceAll(/\p{C}/gu, '?').slice(0, SUBJECT_LENGTH_MAX);
  return { kind: 'certificate', subject: plain, fingerprint: fingerprint256.replaceAll(':', '').toLowerCase() };
}

/** Why a signature is not of just these files, git's own aside; undefined when it is. Reads none of them. */
export function findDifference(signed: SignedModel, files: readonly SignedResource[]): string | undefined {
  return describeDifference(
    signed.resources,
    files.filter(({ name }) => !isIgnored(name, withGitPaths([]))),
  );
}

function describeDifference(signed: readonly SignedResource[], present: readonly SignedResource[]): string | undefined {
  const [before, now] = [toMap(signed), toMap(present)];
  const missing = signed.find(({ name }) => !now.has(name));
  if (missing) return `${missing.name} is missing`;
  const more = present.find(({ name }) => !before.has(name));
  if (more) return `${more.name} was not signed`;
  const changed = present.find(({ name, digest }) => before.get(name) !== digest);
  return changed && `${changed.name} has changed since it was signed`;
}

function toMap(resources: readonly SignedResource[]): ReadonlyMap<string, string> {
  return new Map(resources.map(({ name, digest }) => [name, digest]));
}

function readKey(read: () => KeyObject): KeyObject {
  try {
    return read();
  } catch (cause) {
    throw new StatusError('Invalid', 'cannot read the key: it is no key in PEM, make one with openssl', { cause });
  }
}
