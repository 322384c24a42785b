/** Lays a tree of the blob store out in a folder that is a mount point and so cannot be replaced itself. */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobStore } from '../blobs/blob-store.ts';
import { materialize } from '../blobs/materialize.ts';

/** Replaces what an interrupted call may have left. @throws NotFound when the store has no such tree. */
export async function fetchTree(
  store: BlobStore,
  { digest, target }: { readonly digest: string; readonly target: string },
): Promise<void> {
  await emptyFolder(target);
  const arriving = join(target, `.arriving-${randomUUID()}`); // why: the tree may have a file of any name
  await materialize(store, { digest, targetFolder: arriving });
  for (const name of await readdir(arriving)) await rename(join(arriving, name), join(target, name));
  await rm(arriving, { recursive: true });
}

/** Makes the folder when it is missing; removes what an earlier try may have left in it. */
export async function emptyFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  for (const name of await readdir(path)) await rm(join(path, name), { recursive: true, force: true });
}
