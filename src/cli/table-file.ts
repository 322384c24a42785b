/** Rows into files: Parquet, CSV (RFC 4180) or JSON, row by row, so that no table is in memory. Knows no runs. */
import { type FileHandle, open } from 'node:fs/promises';
import { StatusError } from '../kube/status-error.ts';

/** What a column holds; times are milliseconds since 1970. */
export type ColumnType = 'text' | 'integer' | 'number' | 'time';
/** Columns of a table in their order. */
export type Columns = Readonly<Record<string, ColumnType>>;
/** A row by column; null where it has none. */
export type TableRow = Readonly<Record<string, string | number | null>>;
export type TableFormat = 'parquet' | 'csv' | 'json';

const ROWS_PER_GROUP = 50_000;
const BUFFER_CHARS = 256 * 1024;
const PARQUET_TYPES = { text: 'STRING', integer: 'INT64', number: 'DOUBLE', time: 'TIMESTAMP' } as const;

/** @throws BadRequest for a word that is no format */
export function parseTableFormat(text: string): TableFormat {
  if (text === 'parquet' || text === 'csv' || text === 'json') return text;
  throw new StatusError('BadRequest', `cannot export as '${text}': want parquet, csv or json`);
}

export interface TableFile {
  readonly path: string;
  readonly format: TableFormat;
  readonly columns: Columns;
}

/** Writes all rows; returns how many. */
export async function writeTable(file: TableFile, rows: AsyncIterable<TableRow>): Promise<number> {
  let count = 0;
  const counted = async function* () {
    for await (const row of rows) {
      count += 1;
      yield row;
    }
  };
  if (file.format === 'parquet') await writeParquet(file, counted());
  else await writeText(file, file.format === 'csv' ? toCsv(file.columns, counted()) : toJson(file.columns, counted()));
  return count;
}

async function writeParquet({ path, columns }: TableFile, rows: AsyncIterable<TableRow>): Promise<void> {
  const { fileWriter, parquetWriteRows } = await import('hyparquet-writer');
  const typed = Object.entries(columns).map(([name, type]) => ({ name, type: PARQUET_TYPES[type], nullable: true }));
  const converted = async function* () {
    for await (const row of rows) yield toParquet(columns, row);
  };
  await parquetWriteRows({
    writer: fileWriter(path),
    rows: converted(),
    columns: typed,
    rowGroupSize: ROWS_PER_GROUP,
    createdBy: 'athanor',
  });
}

function toParquet(columns: Columns, row: TableRow): Record<string, unknown> {
  const convert = (type: ColumnType, value: string | number) => {
    if (type === 'integer') return BigInt(value);
    return type === 'time' ? new Date(value) : value;
  };
  return Object.fromEntries(
    Object.entries(columns).map(([name, type]) => [name, findCell(row, name, (value) => convert(type, value))]),
  );
}

function findCell<T>(row: TableRow, name: string, convert: (value: string | number) => T): T | null {
  const value = row[name] ?? null;
  return value === null ? null : convert(value);
}

async function* toCsv(columns: Columns, rows: AsyncIterable<TableRow>): AsyncGenerator<string> {
  yield `${Object.keys(columns).join(',')}\r\n`;
  for await (const row of rows) {
    const cells = Object.entries(columns).map(
      ([name, type]) => findCell(row, name, (value) => toText(type, value)) ?? '',
    );
    yield `${cells.map(quote).join(',')}\r\n`;
  }
}

async function* toJson(columns: Columns, rows: AsyncIterable<TableRow>): AsyncGenerator<string> {
  let separator = '[\n';
  for await (const row of rows) {
    const cells = Object.entries(columns).map(([name, type]) => [
      name,
      findCell(row, name, (value) => toJsonValue(type, value)),
    ]);
    yield `${separator}${JSON.stringify(Object.fromEntries(cells))}`;
    separator = ',\n';
  }
  yield separator === '[\n' ? '[]\n' : '\n]\n';
}

/** JSON has no NaN and no infinity: they go in quotes. */
function toJsonValue(type: ColumnType, value: string | number): string | number {
  if (type === 'time') return toText(type, value);
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}

function toText(type: ColumnType, value: string | number): string {
  return type === 'time' ? new Date(value).toISOString() : String(value);
}

function quote(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

async function writeText({ path }: TableFile, parts: AsyncIterable<string>): Promise<void> {
  const file: FileHandle = await open(path, 'wx');
  try {
    let pending = '';
    for await (const part of parts) {
      pending += part;
      if (pending.length < BUFFER_CHARS) continue;
      await file.write(pending);
      pending = '';
    }
    await file.write(pending);
  } finally {
    await file.close();
  }
}
