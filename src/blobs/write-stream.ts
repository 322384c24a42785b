/** Writes a stream to a new file and onto the disk, counting and hashing as it goes. */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import type { ByteSource, PutResult } from './blob-store.ts';

/** Returns after fsync. On an error the caller removes what was written. */
export async function writeStream(path: string, source: ByteSource, mode = 0o644): Promise<PutResult> {
  const file = await open(path, 'wx', mode);
  try {
    const result = await copyInto(file, source);
    await file.sync();
    return result;
  } finally {
    await file.close();
  }
}

async function copyInto(file: FileHandle, source: ByteSource): Promise<PutResult> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const bytes of source) {
    hash.update(bytes);
    sizeBytes += bytes.byteLength;
    await writeAll(file, bytes);
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}

/** One write() may take fewer bytes than it was given. */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let offset = 0; offset < bytes.byteLength; ) {
    const { bytesWritten } = await file.write(bytes, offset, bytes.byteLength - offset);
    offset += bytesWritten;
  }
}
