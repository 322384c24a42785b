/**
 * Signatures of an artifact from one registry to another, as OCI's referrers: by the API of distribution-spec 1.1, and
 * by its tags where a registry does not know that API. Trusts none of them.
 */
import { BUNDLE_TYPE } from '../modelfiles/signature-bundle.ts';
import { SIGNATURE_BYTES_MAX, SIGNATURES_PER_VERSION_MAX } from '../tracking/limits.ts';
import { IMAGE_INDEX, parseReferrers, type ReferrerDescriptor } from '../tracking/oci/oci-manifest.ts';
import { copyArtifact, fetchManifest } from './copy-artifact.ts';
import { expectOk, type OciClient } from './oci-client.ts';

export interface CopySignatures {
  readonly from: OciClient;
  readonly to: OciClient;
  /** Digest of what they are about, which is the same in both. */
  readonly subject: string;
}

/** How many there were. @throws what the registries say */
export async function copySignatures({ from, to, subject }: CopySignatures): Promise<number> {
  const found = (await listReferrers(from, subject)).filter(({ artifactType }) => artifactType === BUNDLE_TYPE);
  let copied = 0;
  for (const descriptor of found.slice(0, SIGNATURES_PER_VERSION_MAX)) {
    const fetched = await fetchManifest(from, descriptor.digest);
    const { layers, subject: about } = fetched.manifest;
    if (about?.digest !== subject || layers.some(({ size }) => size > SIGNATURE_BYTES_MAX)) continue;
    const { answer } = await copyArtifact({ from, to, fetched, tag: fetched.digest, progress: () => undefined });
    if (answer.headers.get('oci-subject') === null) await tagReferrer(to, subject, descriptor);
    copied++;
  }
  return copied;
}

async function listReferrers(client: OciClient, subject: string): Promise<readonly ReferrerDescriptor[]> {
  const query = `referrers/${subject}?artifactType=${encodeURIComponent(BUNDLE_TYPE)}`;
  const answer = await client.ask(query, { headers: { accept: IMAGE_INDEX } });
  if (answer.ok) return parseReferrers(await answer.text());
  await answer.body?.cancel();
  return readTag(client, subject);
}

/** Registries without the API keep a list under this tag, which their clients write. */
const tagOf = (subject: string): string => subject.replace(':', '-');

async function readTag(client: OciClient, subject: string): Promise<readonly ReferrerDescriptor[]> {
  const answer = await client.ask(`manifests/${tagOf(subject)}`, { headers: { accept: IMAGE_INDEX } });
  if (answer.status === 404) return [];
  return parseReferrers(await (await expectOk(`read what is about ${subject}`, answer)).text());
}

async function tagReferrer(client: OciClient, subject: string, descriptor: ReferrerDescriptor): Promise<void> {
  const listed = await readTag(client, subject);
  if (listed.some(({ digest }) => digest === descriptor.digest)) return;
  const index = { schemaVersion: 2, mediaType: IMAGE_INDEX, manifests: [...listed, descriptor] };
  const body = new Uint8Array(Buffer.from(JSON.stringify(index)));
  const put = { method: 'PUT', headers: { 'content-type': IMAGE_INDEX }, body: async () => body };
  const answer = await expectOk('send the list of signatures', await client.ask(`manifests/${tagOf(subject)}`, put));
  await answer.body?.cancel();
}
