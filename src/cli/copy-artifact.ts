/**
 * An artifact from one registry to another, blob by blob, the manifest last. What is there already is not sent again,
 * and a download that breaks goes on where it broke; the digests are the receiver's to check, and the sender's too.
 */
import { createHash } from 'node:crypto';
import { StatusError } from '../kube/status-error.ts';
import { type Descriptor, MANIFEST_BYTES_MAX, type Manifest, parseManifest } from '../tracking/oci/oci-manifest.ts';
import { expectOk, type OciClient } from './oci-client.ts';

const ACCEPT = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.oci.image.index.v1+json',
];
const RESUMES_MAX = 5;

/** A manifest as it came. */
export interface FetchedManifest {
  readonly manifest: Manifest;
  readonly digest: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What was done. */
export interface Copied {
  readonly digest: string;
  readonly blobs: number;
  readonly sentBlobs: number;
  readonly sentBytes: number;
  /** The receiver's answer to the manifest. */
  readonly answer: Response;
}

export interface CopyOptions {
  readonly from: OciClient;
  readonly to: OciClient;
  readonly fetched: FetchedManifest;
  /** Under what the receiver keeps it. */
  readonly tag: string;
  readonly progress: (doneBytes: number, allBytes: number) => void;
}

/** @throws NotFound, and what the registry says */
export async function fetchManifest(client: OciClient, reference: string): Promise<FetchedManifest> {
  const answer = await client.ask(`manifests/${reference}`, { headers: { accept: ACCEPT.join(', ') } });
  const response = await expectOk(`read the manifest ${reference}`, answer);
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const part of response.body ?? []) {
    sizeBytes += part.length;
    if (sizeBytes > MANIFEST_BYTES_MAX) {
      throw new StatusError(
        'Invalid',
        `cannot read the manifest ${reference}: it is larger than ${MANIFEST_BYTES_MAX}`,
      );
    }
    parts.push(part);
  }
  const bytes = new Uint8Array(Buffer.concat(parts));
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const told = reference.includes(':') ? reference : (response.headers.get('docker-content-digest') ?? digest);
  if (told.startsWith('sha256:') && told !== digest) {
    throw new StatusError('Invalid', `cannot believe the manifest ${reference}: its bytes are ${digest}, not ${told}`);
  }
  const mediaType = response.headers.get('content-type')?.split(';', 1)[0] ?? '';
  return { manifest: parseManifest(Buffer.from(bytes).toString(), mediaType), digest, bytes };
}

/** @throws Invalid for an index, which is many artifacts; what the registries say */
export async function copyArtifact({ from, to, fetched, tag, progress }: CopyOptions): Promise<Copied> {
  const { manifest, digest, bytes } = fetched;
  if (!manifest.config)
    throw new StatusError('Invalid', `cannot copy ${digest}: it is an index, name one of its parts`);
  const all = new Map([manifest.config, ...manifest.layers].map((blob) => [blob.digest, blob]));
  const allBytes = [...all.values()].reduce((sum, { size }) => sum + size, 0);
  let [doneBytes, sentBlobs, sentBytes] = [0, 0, 0];
  for (const blob of all.values()) {
    const before = doneBytes;
    const isSent = await copyBlob(blob, { from, to, progress: (more) => progress(before + more, allBytes) });
    doneBytes += blob.size;
    if (isSent) [sentBlobs, sentBytes] = [sentBlobs + 1, sentBytes + blob.size];
    progress(doneBytes, allBytes);
  }
  const put = { method: 'PUT', headers: { 'content-type': manifest.mediaType }, body: async () => bytes };
  const answer = await expectOk('send the manifest', await to.ask(`manifests/${tag}`, put));
  return { digest, blobs: all.size, sentBlobs, sentBytes, answer };
}

interface BlobCopy {
  readonly from: OciClient;
  readonly to: OciClient;
  readonly progress: (doneBytes: number) => void;
}

async function copyBlob(blob: Descriptor, { from, to, progress }: BlobCopy): Promise<boolean> {
  const there = await to.ask(`blobs/${blob.digest}`, { method: 'HEAD' });
  if (there.ok) return false;
  const begun = await expectOk('begin an upload', await to.ask('blobs/uploads/', { method: 'POST' }));
  const location = new URL(begun.headers.get('location') ?? '', begun.url);
  location.searchParams.set('digest', blob.digest);
  const headers = { 'content-type': 'application/octet-stream', 'content-length': String(blob.size) };
  // why: Node's own type of the same thing
  const body = async () => ReadableStream.from(readBlob(from, blob, progress)) as ReadableStream<Uint8Array>;
  await expectOk(`send ${blob.digest}`, await to.ask(location.href, { method: 'PUT', headers, body }));
  return true;
}

/** All of its bytes, however often the connection breaks. @throws Invalid when they are others */
async function* readBlob(
  from: OciClient,
  { digest, size }: Descriptor,
  progress: (doneBytes: number) => void,
): AsyncGenerator<Uint8Array, void> {
  const hash = createHash('sha256');
  let at = 0;
  for (let breaks = 0; ; breaks++) {
    const headers = at === 0 ? {} : { range: `bytes=${at}-` };
    const response = await expectOk(`read ${digest}`, await from.ask(`blobs/${digest}`, { headers }));
    if (at > 0 && response.status !== 206) {
      throw new StatusError('ServiceUnavailable', `cannot go on reading ${digest}: the registry knows no ranges`);
    }
    try {
      for await (const part of response.body ?? []) {
        hash.update(part);
        at += part.length;
        progress(at);
        yield part;
      }
      break;
    } catch (error) {
      if (breaks >= RESUMES_MAX || !(error instanceof TypeError)) throw error;
    }
  }
  const arrived = `sha256:${hash.digest('hex')}`;
  if (at === size && (arrived === digest || !digest.startsWith('sha256:'))) return;
  throw new StatusError('Invalid', `cannot believe ${digest}: its ${at} bytes are ${arrived}`);
}
