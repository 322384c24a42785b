/** Reads a container's log files as `kubectl logs` asks: tail, since, limit, follow. Knows no HTTP. */
import { type FileHandle, open } from 'node:fs/promises';
import { type LogLine, parseLogLine } from './log-lines.ts';

export interface LogQuery {
  readonly tailLines?: number | undefined;
  readonly limitBytes?: number | undefined;
  readonly sinceMs?: number | undefined;
  readonly timestamps?: boolean | undefined;
}

/** One instance's log, and how to wait for more of it. */
export interface LogSource {
  readonly path: string;
  readonly filesMax: number;
  /** Resolves true when more may have been written, false when no more will come or the signal fired. */
  waitForMore(signal: AbortSignal): Promise<boolean>;
}

const CHUNK_BYTES = 64 * 1024;

/** The text of the log in pieces of whole lines; with `follow` until the instance has ended or the signal fires. */
export async function* readLog(source: LogSource, query: LogQuery, follow?: AbortSignal): AsyncGenerator<string> {
  let leftBytes = query.limitBytes ?? Number.POSITIVE_INFINITY;
  for await (const line of selectLines(source, query, follow)) {
    const bytes = Buffer.from(formatLine(line, query.timestamps === true));
    yield bytes.subarray(0, Math.min(bytes.length, leftBytes)).toString();
    leftBytes -= bytes.length;
    if (leftBytes <= 0) return;
  }
}

function formatLine({ time, text, isPartial }: LogLine, timestamps: boolean): string {
  return `${timestamps ? `${time} ` : ''}${text}${isPartial ? '' : '\n'}`;
}

async function* selectLines(source: LogSource, query: LogQuery, follow?: AbortSignal): AsyncGenerator<LogLine> {
  const { tailLines, sinceMs } = query;
  const tail: LogLine[] = [];
  const current = new FileFollower(source);
  try {
    for await (const line of readExisting(source, current)) {
      if (sinceMs !== undefined && Date.parse(line.time) < sinceMs) continue;
      if (tailLines === undefined) yield line;
      else if (tail.push(line) > tailLines) tail.shift();
    }
    yield* tail;
    if (follow !== undefined) yield* followLines(source, current, follow);
  } finally {
    await current.close();
  }
}

/** Rotated files from the oldest, then what the newest holds now. */
async function* readExisting(source: LogSource, current: FileFollower): AsyncGenerator<LogLine> {
  for (let index = source.filesMax - 1; index >= 1; index--) {
    const older = new FileFollower({ ...source, path: `${source.path}.${index}` });
    try {
      yield* older.read();
    } finally {
      await older.close();
    }
  }
  yield* current.read();
}

async function* followLines(source: LogSource, current: FileFollower, signal: AbortSignal): AsyncGenerator<LogLine> {
  for (let more = true; more; ) {
    more = await source.waitForMore(signal);
    if (signal.aborted) return;
    yield* current.read();
    while (await current.reopenIfRotated()) yield* current.read();
  }
}

/** Reads a file from where it stopped last; notices when another file has taken its name. */
class FileFollower {
  readonly #path: string;
  readonly #filesMax: number;
  #file: FileHandle | undefined;
  #inode = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(source: LogSource) {
    this.#path = source.path;
    this.#filesMax = source.filesMax;
  }

  async *read(): AsyncGenerator<LogLine> {
    const file = this.#file ?? (await this.#open());
    if (file === undefined) return;
    const buffer = Buffer.alloc(CHUNK_BYTES);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES, null);
      if (bytesRead === 0) return;
      const lines = Buffer.concat([this.#rest, buffer.subarray(0, bytesRead)]);
      const end = lines.lastIndexOf(10) + 1;
      this.#rest = Buffer.from(lines.subarray(end));
      yield* parseLines(lines.subarray(0, end));
    }
  }

  /** True when the file was rotated away: the next read begins with the one written after it. */
  async reopenIfRotated(): Promise<boolean> {
    const next = await this.#openNext();
    if (next === undefined) return false;
    await this.close();
    this.#file = next;
    this.#inode = (await next.stat()).ino;
    return true;
  }

  /** The file after the one being read; the oldest when that one is gone; undefined when it is still the newest. */
  async #openNext(): Promise<FileHandle | undefined> {
    let next: FileHandle | undefined;
    for (let index = 0; index < this.#filesMax; index++) {
      const file = await openIfThere(index === 0 ? this.#path : `${this.#path}.${index}`);
      if (file === undefined) continue;
      if ((await file.stat()).ino === this.#inode) {
        await file.close();
        return next;
      }
      await next?.close();
      next = file;
    }
    return next;
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    this.#rest = Buffer.alloc(0);
  }

  async #open(): Promise<FileHandle | undefined> {
    this.#file = await openIfThere(this.#path);
    if (this.#file !== undefined) this.#inode = (await this.#file.stat()).ino;
    return this.#file;
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function parseLines(bytes: Buffer): LogLine[] {
  const lines = bytes.toString('utf8').split('\n');
  return lines.map((line) => parseLogLine(line)).filter((line) => line !== undefined);
}
