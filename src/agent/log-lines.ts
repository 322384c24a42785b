/** The format of container logs (CRI: `<time> <stream> <F|P> <text>`) and how output is cut into lines. Pure. */
import { LOG_LINE_MAX_BYTES } from './limits.ts';

export type LogStream = 'stdout' | 'stderr';

export interface LogLine {
  readonly time: string;
  readonly stream: LogStream;
  readonly isPartial: boolean;
  readonly text: string;
}

/** RFC 3339 with nine digits; only milliseconds are known. */
export function formatLogTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000000Z');
}

/** The line in the file, or undefined when it is not one. */
export function parseLogLine(line: string): LogLine | undefined {
  const match = /^(\S+) (stdout|stderr) ([FP]) ?([\s\S]*)$/.exec(line);
  if (match === null) return undefined;
  const [, time = '', stream, flag, text = ''] = match;
  return { time, stream: stream === 'stderr' ? 'stderr' : 'stdout', isPartial: flag === 'P', text };
}

const NEWLINE = 10;

/** Cuts one stream of output into the lines of the file; very long lines are split into partial ones. */
export class LineCutter {
  readonly #stream: LogStream;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: LogStream) {
    this.#stream = stream;
  }

  /** The complete lines so far; what follows the last newline waits, up to `LOG_LINE_MAX_BYTES`. */
  cut(chunk: Buffer, nowMs: number): Buffer[] {
    const lines: Buffer[] = [];
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (let end = bytes.indexOf(NEWLINE); ; end = bytes.indexOf(NEWLINE)) {
      const isFull = end >= 0 && end <= LOG_LINE_MAX_BYTES;
      if (!isFull && bytes.length <= LOG_LINE_MAX_BYTES) break;
      const length = isFull ? end : findCut(bytes);
      lines.push(this.#format(bytes.subarray(0, length), isFull ? 'F' : 'P', nowMs));
      bytes = bytes.subarray(isFull ? length + 1 : length);
    }
    this.#rest = Buffer.from(bytes);
    return lines;
  }

  /** What is left when the stream ends without a newline. */
  finish(nowMs: number): Buffer[] {
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    return rest.length === 0 ? [] : [this.#format(rest, 'P', nowMs)];
  }

  #format(text: Buffer, flag: 'F' | 'P', nowMs: number): Buffer {
    const head = Buffer.from(`${formatLogTime(nowMs)} ${this.#stream} ${flag} `);
    return Buffer.concat([head, text, Buffer.from('\n')]);
  }
}

/** At most `LOG_LINE_MAX_BYTES`, and never inside a UTF-8 character. */
function findCut(bytes: Buffer): number {
  let length = LOG_LINE_MAX_BYTES;
  while (length > LOG_LINE_MAX_BYTES - 4 && ((bytes[length] ?? 0) & 0xc0) === 0x80) length--;
  return length;
}
