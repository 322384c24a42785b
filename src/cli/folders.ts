/** `athanor push` and `athanor pull`: folders into and out of the blob store, by digest. */

import { resolve } from 'node:path';
import { materialize } from '../blobs/materialize.ts';
import { openBlobStore } from '../blobs/open-blob-store.ts';
import { putTree } from '../blobs/put-tree.ts';
import { StatusError } from '../kube/status-error.ts';
import type { CommandContext } from './context.ts';
import { formatValue, parseFormat } from './output.ts';

/** Keeps a folder and prints its digest, the same for the same content. */
export async function pushFolder(
  { config, stdout }: CommandContext,
  folder: string,
  output: string | undefined,
): Promise<void> {
  const format = parseFormat(output);
  const { digest, files } = await putTree(await openBlobStore(config.blobsUrl, config.blobsAccess), resolve(folder));
  const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  stdout.write(
    format === 'json' || format === 'yaml'
      ? formatValue({ digest, files: files.length, sizeBytes }, format)
      : `${digest}\n`,
  );
}

/** Lays a kept folder out in a new one. */
export async function pullFolder({ config, stdout }: CommandContext, digest: string, folder: string): Promise<void> {
  if (!/^sha256:[0-9a-f]{64}$/.test(digest))
    throw new StatusError('BadRequest', `cannot pull '${digest}': want sha256: and 64 hexadecimal digits`);
  await materialize(await openBlobStore(config.blobsUrl, config.blobsAccess), {
    digest,
    targetFolder: resolve(folder),
  });
  stdout.write(`${folder}\n`);
}
