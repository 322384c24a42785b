/** From a URL to a store. Knows which schemes there are; nothing of how each keeps its files. */
import { fileURLToPath } from 'node:url';
import { StatusError } from '../kube/status-error.ts';
import type { BlobStore } from './blob-store.ts';
import { openFolderStore } from './folder-store.ts';
import { type BlobAccess, parseS3Url } from './s3-location.ts';

/**
 * `access` is who asks an S3-compatible store; a folder needs none.
 * @throws BadRequest when the URL is none, or of a scheme that is not supported.
 */
export async function openBlobStore(url: string, access?: BlobAccess): Promise<BlobStore> {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol === 'file:' && parsed.host === '') return openFolderStore(fileURLToPath(parsed));
  if (parsed?.protocol === 's3:') {
    const location = parseS3Url(parsed);
    // Loaded late: AWS's client costs half a second and 35 MB, which a folder need not pay.
    const { openS3Store } = await import('./s3-store.ts');
    return openS3Store(location, access);
  }
  const message = `cannot open the blob store ${url}: only file:///absolute/folder and s3://bucket/prefix are supported`;
  throw new StatusError('BadRequest', `${message}, use one of them`);
}
