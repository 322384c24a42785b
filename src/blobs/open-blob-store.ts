/** From a URL to a store. Knows which schemes there are; nothing of how each keeps its files. */
import { fileURLToPath } from 'node:url';
import { StatusError } from '../kube/status-error.ts';
import type { BlobStore } from './blob-store.ts';
import { openFolderStore } from './folder-store.ts';

/** @throws BadRequest when the URL is none, or of a scheme that is not supported. */
export async function openBlobStore(url: string): Promise<BlobStore> {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol === 'file:' && parsed.host === '') return openFolderStore(fileURLToPath(parsed));
  const message = `cannot open the blob store ${url}: only file:///absolute/folder is supported, use that form`;
  throw new StatusError('BadRequest', message);
}
