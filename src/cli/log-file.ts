/**
 * The log of a running Athanor: a file that lines are appended to. A disk that refuses costs lines, which are counted,
 * never the process or the lines after.
 */
import { type FileHandle, open } from 'node:fs/promises';

/** Lines that may wait for the disk; those beyond are lost. */
const WAITING_MAX_BYTES = 4 * 1024 * 1024;

/** What pino writes to. Opens the file at the first line, and again after it could not be written. */
export class LogFile {
  readonly #path: string;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #lost = 0;
  #file: FileHandle | undefined;
  #isCut = false;
  #flushing: Promise<void> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Takes one line with its end; returns at once. */
  write(line: string): void {
    if (this.#waitingBytes > WAITING_MAX_BYTES) {
      this.#lost++;
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined;
    });
  }

  /** Writes what waits and closes the file. */
  async close(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const lines = this.#waiting;
      this.#waiting = [];
      this.#waitingBytes = 0;
      try {
        await this.#append(lines);
      } catch {
        this.#lost += lines.length; // why: there is nowhere to tell; the next line that can be written does
        this.#isCut = true;
      }
    }
  }

  async #append(lines: readonly string[]): Promise<void> {
    this.#file ??= await open(this.#path, 'a', 0o600);
    const end = this.#isCut ? '\n' : '';
    const note =
      this.#lost === 0 ? '' : `${JSON.stringify({ level: 50, time: Date.now(), lost: this.#lost, msg: LOST })}\n`;
    await this.#file.appendFile(end + note + lines.join(''));
    this.#isCut = false;
    this.#lost = 0;
  }
}

const LOST = 'lines were lost before this one: the log could not be written';
