/**
 * The cluster's own authority: certificates, the key of service accounts, the owner's token. Made once, kept in one
 * folder, mode 0600.
 */
import { randomBytes, webcrypto } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CryptoKey, exportPKCS8, exportSPKI, generateKeyPair, importPKCS8, importSPKI } from 'jose';

export interface Credentials {
  readonly caPem: string;
  readonly serverCertPem: string;
  readonly serverKeyPem: string;
  readonly tokenPrivateKey: CryptoKey;
  readonly tokenPublicKey: CryptoKey;
  readonly ownerToken: string;
}

const YEARS_VALID = 10;
const FILES = {
  ca: 'ca.crt',
  serverCert: 'server.crt',
  serverKey: 'server.key',
  tokenPrivate: 'sa.key',
  tokenPublic: 'sa.pub',
  owner: 'owner.token',
} as const;

/** Reads the folder, filling in what is missing. Everything belongs together: without a CA all of it is made anew. */
export async function ensureCredentials(folder: string): Promise<Credentials> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const texts = (await readAll(folder)) ?? (await createAll(folder));
  return {
    caPem: texts.ca,
    serverCertPem: texts.serverCert,
    serverKeyPem: texts.serverKey,
    ownerToken: texts.owner.trim(),
    tokenPrivateKey: await importPKCS8(texts.tokenPrivate, 'ES256'),
    tokenPublicKey: await importSPKI(texts.tokenPublic, 'ES256'),
  };
}

type Texts = Record<keyof typeof FILES, string>;

async function readAll(folder: string): Promise<Texts | undefined> {
  try {
    const entries = await Promise.all(
      Object.entries(FILES).map(async ([name, file]) => [name, await readFile(join(folder, file), 'utf8')] as const),
    );
    return Object.fromEntries(entries) as Texts; // why: one entry per key of FILES
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined; // why: fs errors carry a code
    throw error;
  }
}

/** The CA certificate is written last: it marks the set as whole. */
async function createAll(folder: string): Promise<Texts> {
  const token = await generateKeyPair('ES256', { extractable: true });
  const certificates = await createCertificates();
  const texts: Texts = {
    ...certificates,
    owner: `${randomBytes(32).toString('hex')}\n`,
    tokenPrivate: await exportPKCS8(token.privateKey),
    tokenPublic: await exportSPKI(token.publicKey),
  };
  const names = Object.keys(FILES) as (keyof Texts)[]; // why: the keys of FILES are those of Texts
  for (const name of names.toSorted((a, b) => Number(a === 'ca') - Number(b === 'ca'))) {
    const path = join(folder, FILES[name]);
    await writeFile(`${path}.new`, texts[name], { mode: 0o600 });
    await rename(`${path}.new`, path);
  }
  return texts;
}

/**
 * A CA, and a server certificate for the names by which a laptop's cluster is called. The library is loaded only when
 * it is needed.
 */
async function createCertificates(): Promise<Pick<Texts, 'ca' | 'serverCert' | 'serverKey'>> {
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  x509.cryptoProvider.set(webcrypto as never); // why: Node's WebCrypto is the standard's, under another type name
  const signingAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const caKeys = await webcrypto.subtle.generateKey(signingAlgorithm, true, ['sign', 'verify']);
  const serverKeys = await webcrypto.subtle.generateKey(signingAlgorithm, true, ['sign', 'verify']);
  const notBefore = new Date(Date.now() - 3_600_000);
  const notAfter = new Date(Date.now() + YEARS_VALID * 365 * 24 * 3_600_000);
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomBytes(8).toString('hex'),
    name: 'CN=athanor-ca',
    notBefore,
    notAfter,
    signingAlgorithm,
    keys: caKeys as never, // why: as above
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(caKeys.publicKey as never), // why: as above
    ],
  });
  const server = await x509.X509CertificateGenerator.create({
    serialNumber: randomBytes(8).toString('hex'),
    subject: 'CN=athanor-apiserver',
    issuer: ca.subject,
    notBefore,
    notAfter,
    signingAlgorithm,
    publicKey: serverKeys.publicKey as never,
    signingKey: caKeys.privateKey as never, // why: as above
    extensions: [
      new x509.BasicConstraintsExtension(false),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1']),
      new x509.SubjectAlternativeNameExtension([
        { type: 'ip', value: '127.0.0.1' },
        { type: 'ip', value: '::1' },
        ...[
          'localhost',
          'kubernetes',
          'kubernetes.default',
          'kubernetes.default.svc',
          'kubernetes.default.svc.cluster.local',
        ].map((value) => ({ type: 'dns' as const, value })),
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(caKeys.publicKey as never), // why: as above
    ],
  });
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', serverKeys.privateKey);
  return {
    ca: ca.toString('pem'),
    serverCert: server.toString('pem'),
    serverKey: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'),
  };
}
