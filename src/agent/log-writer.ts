/**
 * Writes one container instance's output to its log files. The container's pipes end in the agent: if the agent is
 * killed the container dies with it, so nothing is lost but what stood in the pipes.
 */
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import { LOG_PENDING_MAX_BYTES } from './limits.ts';
import { LineCutter, type LogStream } from './log-lines.ts';

export interface LogWriterOptions {
  /** The newest file; older ones are `<path>.1` (younger) to `<path>.<filesMax - 1>`. */
  readonly path: string;
  readonly fileMaxBytes: number;
  readonly filesMax: number;
  readonly clock: Clock;
  /** Called after lines have reached the file. */
  readonly onWritten: () => void;
  /** The disk begins to refuse; what cannot be written is dropped, in whole lines, so that the container goes on. */
  readonly onError: (error: unknown) => void;
}

/** Writes one container's log, line by line, in files of bounded size. */
export class LogWriter {
  readonly #options: LogWriterOptions;
  readonly #sources = new Set<Readable>();
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #file: FileHandle | undefined;
  #fileBytes = 0;
  #flushing: Promise<void> | undefined;
  #isRefused = false;

  constructor(options: LogWriterOptions) {
    this.#options = options;
  }

  /** Takes all output of the pipe, pausing it while the disk is behind. Resolves when the pipe has ended. */
  consume(source: Readable, stream: LogStream): Promise<void> {
    const cutter = new LineCutter(stream);
    const { clock } = this.#options;
    this.#sources.add(source);
    return new Promise((resolve) => {
      source.on('data', (chunk: Buffer) => this.#add(cutter.cut(chunk, clock.nowMs())));
      source.once('error', this.#options.onError);
      source.once('close', () => {
        this.#sources.delete(source);
        this.#add(cutter.finish(clock.nowMs()));
        resolve();
      });
    });
  }

  /** Writes what is pending and closes the file. */
  async close(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
    await this.#file?.close();
    this.#file = undefined;
  }

  #add(lines: readonly Buffer[]): void {
    if (lines.length === 0) return;
    this.#pending.push(...lines);
    this.#pendingBytes += lines.reduce((sum, { length }) => sum + length, 0);
    if (this.#pendingBytes > LOG_PENDING_MAX_BYTES) for (const source of this.#sources) source.pause();
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined;
    });
  }

  async #flush(): Promise<void> {
    while (this.#pending.length > 0) {
      const lines = this.#pending;
      this.#pending = [];
      this.#pendingBytes = 0;
      try {
        await this.#write(lines);
        this.#isRefused = false;
      } catch (error) {
        if (!this.#isRefused) this.#options.onError(error);
        this.#isRefused = true;
      }
      for (const source of this.#sources) source.resume();
      this.#options.onWritten();
    }
  }

  async #write(lines: readonly Buffer[]): Promise<void> {
    let from = 0;
    while (from < lines.length) {
      const file = this.#file ?? (await this.#open());
      let until = from;
      let fileBytes = this.#fileBytes;
      while (until < lines.length && (until === from || fileBytes < this.#options.fileMaxBytes)) {
        fileBytes += lines[until++]?.length ?? 0;
      }
      await this.#append(file, Buffer.concat(lines.slice(from, until)));
      if (this.#fileBytes >= this.#options.fileMaxBytes) await this.#rotate();
      from = until;
    }
  }

  /** All of it, or nothing: half a line would spoil the next one. */
  async #append(file: FileHandle, bytes: Buffer): Promise<void> {
    try {
      await file.appendFile(bytes);
    } catch (error) {
      await file.truncate(this.#fileBytes);
      throw error;
    }
    this.#fileBytes += bytes.length;
  }

  async #open(): Promise<FileHandle> {
    await mkdir(dirname(this.#options.path), { recursive: true, mode: 0o700 });
    this.#file = await open(this.#options.path, 'a', 0o600);
    this.#fileBytes = (await this.#file.stat()).size;
    return this.#file;
  }

  async #rotate(): Promise<void> {
    const { path, filesMax } = this.#options;
    await this.#file?.close();
    this.#file = undefined;
    await rm(filesMax > 1 ? `${path}.${filesMax - 1}` : path, { force: true });
    for (let index = filesMax - 2; index >= 0; index--) {
      const older = index === 0 ? path : `${path}.${index}`;
      await rename(older, `${path}.${index + 1}`).catch(ignoreMissing);
    }
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
}
