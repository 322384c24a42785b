/**
 * A signature as a file: Sigstore's bundle around a DSSE envelope. Knows keys' curves and hashes; nothing of models.
 */
import { createPublicKey, type KeyObject, sign, verify, X509Certificate } from 'node:crypto';
import { createHash } from 'node:crypto';
import { isJsonObject, type JsonObject } from '../base/json.ts';
import { StatusError } from '../kube/status-error.ts';

/** What a bundle is, as a file and as an artifact. */
export const BUNDLE_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const PAYLOAD_TYPE = 'application/vnd.in-toto+json';
/** The hash that goes with each curve, by OpenSSL's names. */
const HASHES: Readonly<Record<string, string>> = { prime256v1: 'sha256', secp384r1: 'sha384', secp521r1: 'sha512' };

/** An opened bundle; nothing of it is verified yet. */
export interface Bundle {
  readonly payload: Buffer;
  readonly signature: Buffer;
  /** SHA-256 of the public key as PEM; of a bundle without certificates. */
  readonly keyHint: string | undefined;
  /** The signer's own first. */
  readonly certificates: readonly X509Certificate[];
}

/** The bundle as text. `certificates` begin with the signer's own. @throws Invalid for a key of another kind */
export function writeBundle(statement: string, key: KeyObject, certificates: readonly X509Certificate[]): string {
  const payload = Buffer.from(statement);
  const publicKey = createPublicKey(key);
  const signature = sign(hashOf(publicKey), encode(payload), key);
  const chain = certificates.map(({ raw }) => ({ rawBytes: raw.toString('base64') }));
  const material =
    chain.length > 0 ? { x509CertificateChain: { certificates: chain } } : { publicKey: { hint: hintOf(publicKey) } };
  return JSON.stringify({
    mediaType: BUNDLE_TYPE,
    verificationMaterial: { ...material, tlogEntries: [] },
    dsseEnvelope: {
      payload: payload.toString('base64'),
      payloadType: PAYLOAD_TYPE,
      signatures: [{ sig: signature.toString('base64'), keyid: '' }],
    },
  });
}

/** @throws Invalid when the text is no bundle with one signature of an in-toto statement */
export function parseBundle(text: string): Bundle {
  const bundle = parseJson(text);
  if (bundle['mediaType'] !== BUNDLE_TYPE) throw refuse(`it is of type ${String(bundle['mediaType'])}`);
  const envelope = objectAt(bundle, 'dsseEnvelope');
  if (envelope['payloadType'] !== PAYLOAD_TYPE) throw refuse(`it holds ${String(envelope['payloadType'])}`);
  const signatures = envelope['signatures'];
  const [only] = Array.isArray(signatures) && signatures.length === 1 ? signatures : [];
  if (!isJsonObject(only)) throw refuse('it has not one signature');
  const material = objectAt(bundle, 'verificationMaterial');
  const { hint } = isJsonObject(material['publicKey']) ? material['publicKey'] : {};
  return {
    payload: bytesAt(envelope, 'payload'),
    signature: bytesAt(only, 'sig'),
    keyHint: typeof hint === 'string' && hint !== '' ? hint : undefined,
    certificates: parseCertificates(material['x509CertificateChain']),
  };
}

/** @throws Forbidden when the key did not sign this; Invalid for a key of another kind */
export function checkSignature({ payload, signature, keyHint }: Bundle, key: KeyObject): void {
  if (keyHint !== undefined && keyHint !== hintOf(key)) throw forbid('it was made with another key');
  if (!verify(hashOf(key), encode(payload), key, signature))
    throw forbid('it was not made by this key, or of other files');
}

/** What is signed: the payload behind its type and lengths (DSSE v1, PAE). */
function encode(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${payload.length} `), payload]);
}

function hashOf(key: KeyObject): string {
  const curve = key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? 'unknown';
  const hash = HASHES[curve];
  if (hash !== undefined) return hash;
  throw new StatusError('Invalid', `cannot use a key of ${curve}: models are signed with P-256, P-384 or P-521`);
}

function hintOf(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'pem' }))
    .digest('hex');
}

function parseCertificates(chain: unknown): readonly X509Certificate[] {
  const listed = isJsonObject(chain) && Array.isArray(chain['certificates']) ? chain['certificates'] : [];
  try {
    return listed.map((item: unknown) => new X509Certificate(bytesAt(isJsonObject(item) ? item : {}, 'rawBytes')));
  } catch (cause) {
    throw cause instanceof StatusError ? cause : refuse('it has a certificate that cannot be read', cause);
  }
}

function parseJson(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw refuse('it is not JSON', cause);
  }
  if (!isJsonObject(value)) throw refuse('it is no bundle');
  return value;
}

function objectAt(value: JsonObject, key: string): JsonObject {
  const found = value[key];
  if (isJsonObject(found)) return found;
  throw refuse(`it has no ${key}`);
}

function bytesAt(value: JsonObject, key: string): Buffer {
  const found = value[key];
  if (typeof found === 'string') return Buffer.from(found, 'base64');
  throw refuse(`it has no ${key}`);
}

function refuse(why: string, cause?: unknown): StatusError {
  return new StatusError('Invalid', `cannot read the signature: ${why}, sign the model again`, { cause });
}

function forbid(why: string): StatusError {
  return new StatusError('Forbidden', `cannot trust the signature: ${why}`);
}
