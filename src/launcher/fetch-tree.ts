/** Lays a tree of the blob store out in a folder that is a mount point and so cannot be replaced itself. */
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobStore } from '../blobs/blob-store.ts';
import { materialize } from '../blobs/materialize.ts';

const ARRIVING = '.athanor-arriving';

/** Replaces what an interrupted call may have left. @throws NotFound when the store has no such tree. */
export async function fetchTree(
  store: BlobStore,
  { digest, target }: { readonly digest: string; readonly target: string },
): Promise<void> {
  await mkdir(target, { recursive: true });
  for (const name of await readdir(target)) await rm(join(target, name), { recursive: true, force: true });
  const arriving = join(target, ARRIVING);
  await materialize(store, { digest, targetFolder: arriving });
  for (const name of await readdir(arriving)) await rename(join(arriving, name), join(target, name));
  await rm(arriving, { recursive: true });
}
