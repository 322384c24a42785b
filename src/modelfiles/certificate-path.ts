/** Whether a signer's certificate leads to one that is trusted (RFC 5280, as far as model signing needs it). */
import { X509Certificate } from 'node:crypto';
import { StatusError } from '../kube/status-error.ts';

const PATH_MAX = 8;
const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The certificates of a PEM file. @throws Invalid when there is none */
export function parseCertificatesPem(text: string): readonly X509Certificate[] {
  const found = text.match(PEM) ?? [];
  if (found.length === 0) throw new StatusError('Invalid', 'cannot read certificates: there is none in PEM');
  return found.map((pem) => new X509Certificate(pem));
}

/**
 * Follows issuers from the first certificate to a self-signed one of `trusted`, all valid when the first began to be.
 * @throws Forbidden when there is no such path, or the first is not for signing
 */
export async function checkPath(
  [own, ...others]: readonly X509Certificate[],
  trusted: readonly X509Certificate[],
): Promise<void> {
  if (!own) throw forbid('it has no certificate');
  if (!(await mayItSign(own))) throw forbid(`the certificate of ${own.subject} is not for signing`);
  const atMs = own.validFromDate.getTime();
  let at = own;
  for (let length = 0; length < PATH_MAX; length++) {
    if (!isValidAt(at, atMs)) throw forbid(`the certificate of ${at.subject} was not valid then`);
    const isRoot = at.checkIssued(at);
    if (isRoot && trusted.some(({ fingerprint256 }) => fingerprint256 === at.fingerprint256)) return;
    const next = [...trusted, ...others].find((issuer) => !isRoot && mayIssue(issuer, at));
    if (!next) throw forbid(`nobody who is trusted vouches for ${at.subject}`);
    if (!(await isPathShort(next, length))) throw forbid(`${next.subject} may not vouch that far`);
    at = next;
  }
  throw forbid('its certificates form too long a path');
}

function isValidAt(certificate: X509Certificate, atMs: number): boolean {
  return certificate.validFromDate.getTime() <= atMs && atMs <= certificate.validToDate.getTime();
}

function mayIssue(issuer: X509Certificate, of: X509Certificate): boolean {
  return issuer.ca && of.checkIssued(issuer) && of.verify(issuer.publicKey);
}

/** Loaded when asked for: its library is large, and most who read models verify nothing. */
async function readExtensions(certificate: X509Certificate) {
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  return { x509, parsed: new x509.X509Certificate(certificate.raw) };
}

async function mayItSign(certificate: X509Certificate): Promise<boolean> {
  const { x509, parsed } = await readExtensions(certificate);
  const usage = parsed.getExtension(x509.KeyUsagesExtension)?.usages ?? 0;
  return (usage & x509.KeyUsageFlags.digitalSignature) !== 0 || (certificate.keyUsage ?? []).includes(CODE_SIGNING);
}

/** `between`: certificates between the signer's own and this issuer. */
async function isPathShort(issuer: X509Certificate, between: number): Promise<boolean> {
  const { x509, parsed } = await readExtensions(issuer);
  const limit = parsed.getExtension(x509.BasicConstraintsExtension)?.pathLength;
  return limit === undefined || between <= limit;
}

function forbid(why: string): StatusError {
  return new StatusError('Forbidden', `cannot trust the signature: ${why}`);
}
