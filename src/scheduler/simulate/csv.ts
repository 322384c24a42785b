/** Reads a trace's CSV: a header line, then rows of as many cells. Cells are never quoted in the traces we know. */
import { StatusError } from '../../kube/status-error.ts';

/** One row, with the line it stands on, for messages. */
export interface CsvRow {
  readonly line: number;
  readonly cells: Readonly<Record<string, string>>;
}

/** How many wrong rows are told before the rest is only counted. */
const TOLD_PROBLEMS = 10;

/** Collects what is wrong with a file, so that all of it can be told at once and nothing is half loaded. */
export class CsvProblems {
  readonly #file: string;
  readonly #found: string[] = [];

  constructor(file: string) {
    this.#file = file;
  }

  add(line: number, message: string): void {
    this.#found.push(`line ${line}: ${message}`);
  }

  /** @throws Invalid when anything was added. */
  check(): void {
    if (this.#found.length === 0) return;
    const told = this.#found.slice(0, TOLD_PROBLEMS);
    const rest = this.#found.length - told.length;
    const more = rest > 0 ? `; and ${rest} more` : '';
    throw new StatusError('Invalid', `cannot read ${this.#file}: ${told.join('; ')}${more}`);
  }

  /** A whole number of the row, within bounds. Adds a problem and gives NaN when it is none. */
  wholeNumber({ line, cells }: CsvRow, column: string, { least = 0, most = Number.MAX_SAFE_INTEGER } = {}): number {
    const text = cells[column] ?? '';
    const value = Number(text);
    if (text.trim() !== '' && Number.isSafeInteger(value) && value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `${least} to ${most}`;
    this.add(line, `${column} is '${text}', want a whole number of ${range}`);
    return Number.NaN;
  }
}

/** @throws Invalid when a column is missing or a row has another number of cells; the message has the line numbers. */
export function parseCsv(text: string, file: string, columns: readonly string[]): readonly CsvRow[] {
  const problems = new CsvProblems(file);
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const header = (lines[0] ?? '').split(',').map((name) => name.trim());
  const missing = columns.filter((column) => !header.includes(column));
  if (missing.length > 0)
    problems.add(1, `there is no column ${missing.join(', ')}; the columns are ${header.join(', ')}`);
  problems.check();
  const rows: CsvRow[] = [];
  for (const [index, line] of lines.entries()) {
    if (index === 0 || line.trim() === '') continue;
    const cells = line.split(',');
    if (cells.length !== header.length)
      problems.add(index + 1, `has ${cells.length} cells, the header ${header.length}`);
    else rows.push({ line: index + 1, cells: Object.fromEntries(header.map((name, at) => [name, cells[at] ?? ''])) });
  }
  problems.check();
  return rows;
}
