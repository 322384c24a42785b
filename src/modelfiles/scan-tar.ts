/** Tars: ustar, GNU and pax. Knows their headers; entries are looked at where they lie. */
import { StatusError } from '../kube/status-error.ts';
import { findPathProblem } from './archive-path.ts';
import { readBytes, sliceBytes } from './bytes.ts';
import { ARCHIVE_ENTRIES_MAX } from './limits.ts';
import type { Scan } from './scan-context.ts';
import { isExtension, parseTarHeader, readLongName, TAR_BLOCK_BYTES, type TarHeader } from './tar-header.ts';

/** Looks at the tar and at all entries. @throws Invalid when it is broken */
export async function scanTar(scan: Scan): Promise<void> {
  if (!scan.mayNest) return scan.tell('archive-nested', scan.name);
  let longName: string | undefined;
  let entries = 0;
  for (let at = 0; at < scan.bytes.sizeBytes; ) {
    const block = await readBytes(scan.bytes, at, TAR_BLOCK_BYTES);
    if (block.every((byte) => byte === 0)) return checkRest(scan, at);
    const header = parseTarHeader(block);
    const start = at + TAR_BLOCK_BYTES;
    if (start + header.sizeBytes > scan.bytes.sizeBytes) throw new StatusError('Invalid', `${header.name} is cut off`);
    if (++entries > ARCHIVE_ENTRIES_MAX) return scan.tell('archive-bomb', `more than ${ARCHIVE_ENTRIES_MAX} entries`);
    if (isExtension(header.type)) longName = (await readLongName(scan.bytes, header, start)) ?? longName;
    else {
      await scanEntry(scan, { ...header, name: longName ?? header.name }, start);
      longName = undefined;
    }
    at = start + Math.ceil(header.sizeBytes / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
  }
}

/** Behind the end there are zeros only, or another reader would go on. */
async function checkRest({ bytes, tell }: Scan, at: number): Promise<void> {
  for await (const part of bytes.stream(at, bytes.sizeBytes)) {
    if (part.some((byte) => byte !== 0)) return tell('polyglot', 'bytes behind the end of the tar');
  }
}

async function scanEntry(scan: Scan, { name, sizeBytes, type }: TarHeader, start: number): Promise<void> {
  const plain = name.replace(/^(\.\/)+/, '');
  const problem = plain === '' ? undefined : findPathProblem(plain);
  if (problem !== undefined) scan.tell('archive-path', name, problem);
  if (type === '1' || type === '2') scan.tell('archive-link', name);
  else if ('3467SDMV'.includes(type) && type !== '5' && type !== '7') scan.tell('archive-link', name, 'a special file');
  else if (type === '0' || type === '7' || type === '\0') {
    await scan.scanInner(plain, sliceBytes(scan.bytes, start, start + sizeBytes));
  }
}
