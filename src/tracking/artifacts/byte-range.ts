/** The Range header of HTTP (RFC 9110, section 14). Several ranges at once get the whole answer, as it allows. */

/** What is to be sent: all of it, some bytes (both ends included), or nothing since it asks for what is not there. */
export type RangeAnswer = 'whole' | 'none' | { readonly start: number; readonly end: number };

/** Never throws: a header that is not understood counts as none. */
export function parseByteRange(header: string | undefined, sizeBytes: number): RangeAnswer {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '') ?? [];
  if (first === '' && last === '') return 'whole';
  if (first === '') {
    const length = Math.min(Number(last), sizeBytes);
    return length === 0 ? 'none' : { start: sizeBytes - length, end: sizeBytes - 1 };
  }
  const start = Number(first);
  const end = last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  if (last !== '' && Number(last) < start) return 'whole';
  return start >= sizeBytes ? 'none' : { start, end };
}
