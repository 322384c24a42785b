/**
 * Signs models and verifies signatures by OpenSSF Model Signing v1.0, with a key or with certificates. Asks nobody:
 * Sigstore's own services, and with them its keyless method, are not here.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { StatusError } from '../kube/status-error.ts';
import { checkPath, parseCertificatesPem } from './certificate-path.ts';
import type { ModelFile } from './model-files.ts';
import { checkSignature, parseBundle, writeBundle } from './signature-bundle.ts';
import {
  digestModel,
  parseStatement,
  type SignedModel,
  type SignedResource,
  withGitPaths,
  writeStatement,
} from './signed-statement.ts';

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
}

/**
 * What was signed, when somebody trusted signed just these files.
 * @throws Forbidden when not, Invalid when the signature cannot be read
 */
export async function verifyModel(
  files: readonly ModelFile[],
  signature: string,
  { trust, ignorePaths = [] }: VerifyOptions,
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
  const present = await digestModel(files, withGitPaths([...signed.ignorePaths, ...ignorePaths]));
  const difference = describeDifference(signed.resources, present.resources);
  if (difference === undefined) return signed;
  throw new StatusError('Forbidden', `cannot trust the model ${signed.name}: ${difference}`);
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
