/** Imports a folder as a tree. Knows how to read files while they may change; nothing of what they hold. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { BlobStore } from './blob-store.ts';
import { type Content, hasContent, putContent } from './content.ts';
import { explainFileError } from './file-error.ts';
import { mapConcurrently } from './map-concurrently.ts';
import { type FoundFile, scanFolder } from './scan-folder.ts';
import { putTreeFiles, type Tree, type TreeFile } from './tree.ts';

const FILES_AT_ONCE = 8;

/** Keeps every file below `folder`, then the list of them. @throws as scanFolder does. */
export async function putTree(store: BlobStore, folder: string, signal?: AbortSignal): Promise<Tree> {
  const found = await scanFolder(folder);
  const files = await mapConcurrently(found, FILES_AT_ONCE, async (file) => {
    signal?.throwIfAborted();
    return importFile(store, file);
  });
  return putTreeFiles(store, files);
}

async function importFile(store: BlobStore, { path, source, executable }: FoundFile): Promise<TreeFile> {
  try {
    const known = await hashFile(source);
    const content = (await hasContent(store, known.digest)) ? known : await putContent(store, createReadStream(source));
    return { path, ...content, ...(executable && { executable }) };
  } catch (error) {
    throw explainFileError(error, `import ${path}`);
  }
}

/** Reading twice is cheaper than writing what the store has already. */
async function hashFile(path: string): Promise<Content> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const bytes of createReadStream(path)) {
    hash.update(bytes);
    sizeBytes += bytes.length;
  }
  return { digest: `sha256:${hash.digest('hex')}`, sizeBytes };
}
