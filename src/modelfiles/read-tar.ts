/** A tar's files, for whoever unpacks one that a stranger sent. Knows no place to write to. */
import { StatusError } from '../kube/status-error.ts';
import { findPathProblem } from './archive-path.ts';
import { type Bytes, readBytes, sliceBytes } from './bytes.ts';
import { ARCHIVE_ENTRIES_MAX } from './limits.ts';
import { isExtension, parseTarHeader, readLongName, TAR_BLOCK_BYTES } from './tar-header.ts';

/** A file of a tar, by a path that stays in its folder. */
export interface TarFile {
  readonly path: string;
  readonly bytes: Bytes;
}

/** The files in their order; folders are not told. @throws Invalid for links, paths that escape, and what is broken */
export async function* readTar(bytes: Bytes): AsyncGenerator<TarFile, void, undefined> {
  let longName: string | undefined;
  let entries = 0;
  for (let at = 0; at < bytes.sizeBytes; ) {
    const block = await readBytes(bytes, at, TAR_BLOCK_BYTES);
    if (block.every((byte) => byte === 0)) return;
    const header = parseTarHeader(block);
    const start = at + TAR_BLOCK_BYTES;
    const end = start + header.sizeBytes;
    if (end > bytes.sizeBytes) throw new StatusError('Invalid', `${header.name} is cut off`);
    if (++entries > ARCHIVE_ENTRIES_MAX) {
      throw new StatusError('Invalid', `it has more than ${ARCHIVE_ENTRIES_MAX} entries`);
    }
    at = start + Math.ceil(header.sizeBytes / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
    if (isExtension(header.type)) {
      longName = (await readLongName(bytes, header, start)) ?? longName;
      continue;
    }
    const path = checkPath(longName ?? header.name, header.type);
    longName = undefined;
    if (path !== undefined) yield { path, bytes: sliceBytes(bytes, start, end) };
  }
}

/** Undefined for a folder. */
function checkPath(name: string, type: string): string | undefined {
  const path = name.replace(/^(\.\/)+/, '').replace(/\/+$/, '');
  const problem = path === '' || path === '.' ? undefined : findPathProblem(path);
  if (problem !== undefined) throw new StatusError('Invalid', `its entry ${JSON.stringify(name)}: ${problem}`);
  if (type === '5') return undefined;
  if ('07\0'.includes(type)) return path;
  throw new StatusError('Invalid', `its entry ${JSON.stringify(name)} is a link or a special file`);
}
