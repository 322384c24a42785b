/** `athanor export runs`: everything of an experiment as tables in a folder, which is whole or not there. */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { ignoreNotFound, StatusError } from '../kube/status-error.ts';
import type { CommandContext } from './context.ts';
import { formatValue, parseFormat } from './output.ts';
import { readHistory } from './run-history.ts';
import { type Columns, parseTableFormat, type TableRow, writeTable } from './table-file.ts';
import { openTracking, type TrackingClient, type TrackingFlags } from './tracking-client.ts';

export interface ExportRunsFlags extends TrackingFlags {
  /** Name or id. */
  readonly experiment: string;
  readonly format: string;
  readonly output?: string;
}

interface KeyValue {
  readonly key: string;
  readonly value?: string;
}

interface WireRun {
  readonly info: Readonly<Record<string, string | number | undefined>> & { readonly run_id: string };
  readonly data?: {
    readonly metrics?: readonly { readonly key: string }[];
    readonly params?: readonly KeyValue[];
    readonly tags?: readonly KeyValue[];
  };
  readonly inputs?: {
    readonly dataset_inputs?: readonly {
      readonly dataset: Readonly<Record<string, string | undefined>>;
      readonly tags?: readonly KeyValue[];
    }[];
  };
}

interface Table {
  readonly columns: Columns;
  /** The rows of one run. */
  rows(door: TrackingClient, run: WireRun): AsyncIterable<TableRow> | Iterable<TableRow>;
}

const PAGE = 1_000;
const KEY_VALUES: Columns = { run_id: 'text', key: 'text', value: 'text' };

const TABLES: Readonly<Record<string, Table>> = {
  runs: {
    columns: {
      run_id: 'text',
      experiment_id: 'text',
      run_name: 'text',
      status: 'text',
      user_id: 'text',
      start_time: 'time',
      end_time: 'time',
      lifecycle_stage: 'text',
      artifact_uri: 'text',
    },
    rows: (_, { info: { start_time, end_time, ...info } }) => [
      { ...dropUndefined(info), start_time: toNumber(start_time), end_time: toNumber(end_time) },
    ],
  },
  params: { columns: KEY_VALUES, rows: (_, { info, data }) => toRows(info.run_id, data?.params) },
  tags: { columns: KEY_VALUES, rows: (_, { info, data }) => toRows(info.run_id, data?.tags) },
  metrics: {
    columns: { run_id: 'text', key: 'text', step: 'integer', timestamp: 'time', value: 'number' },
    rows: readPoints,
  },
  datasets: {
    columns: { run_id: 'text', name: 'text', digest: 'text', source_type: 'text', source: 'text', context: 'text' },
    rows: (_, { info, inputs }) =>
      (inputs?.dataset_inputs ?? []).map(({ dataset, tags = [] }) => ({
        ...dropUndefined(dataset),
        run_id: info.run_id,
        context: tags.find(({ key }) => key === 'mlflow.data.context')?.value ?? null,
      })),
  },
};

/** Deleted runs too. @throws NotFound, AlreadyExists when the folder is there */
export async function exportRuns(context: CommandContext, folder: string, flags: ExportRunsFlags): Promise<void> {
  const format = parseTableFormat(flags.format);
  const output = parseFormat(flags.output);
  const target = resolve(folder);
  if (existsSync(target))
    throw new StatusError('AlreadyExists', `cannot make ${folder}: it is there, choose a new folder`);
  const door = openTracking(context, flags);
  const experimentId = await findExperiment(door, flags.experiment);
  await mkdir(dirname(target), { recursive: true });
  const arriving = join(dirname(target), `.arriving-${randomUUID()}`);
  await mkdir(arriving);
  const counts: Record<string, number> = {};
  try {
    for (const [name, table] of Object.entries(TABLES)) {
      const file = { path: join(arriving, `${name}.${format}`), format, columns: table.columns };
      counts[name] = await writeTable(file, listRows(door, experimentId, table));
    }
    await rename(arriving, target);
  } finally {
    await rm(arriving, { recursive: true, force: true });
  }
  if (output === 'json' || output === 'yaml') context.stdout.write(formatValue({ folder: target, ...counts }, output));
  else
    context.stdout.write(
      `${target}: ${Object.entries(counts)
        .map(([name, count]) => `${count} ${name}`)
        .join(', ')}\n`,
    );
}

async function* listRows(door: TrackingClient, experimentId: string, table: Table): AsyncGenerator<TableRow> {
  for (let token = ''; ; ) {
    const page = await door.ask<{ runs?: readonly WireRun[]; next_page_token?: string }>('runs/search', {
      experiment_ids: [experimentId],
      run_view_type: 'ALL',
      max_results: PAGE,
      order_by: ['attributes.start_time ASC'],
      ...(token !== '' && { page_token: token }),
    });
    for (const run of page.runs ?? []) yield* table.rows(door, run);
    if (!page.next_page_token) return;
    token = page.next_page_token;
  }
}

async function* readPoints(door: TrackingClient, { info, data }: WireRun): AsyncGenerator<TableRow> {
  for (const { key } of data?.metrics ?? [])
    for await (const point of readHistory(door, info.run_id, key)) yield { run_id: info.run_id, key, ...point };
}

function toRows(run_id: string, values: readonly KeyValue[] = []): readonly TableRow[] {
  return values.map(({ key, value = '' }) => ({ run_id, key, value }));
}

function toNumber(value: string | number | undefined): number | null {
  return value === undefined ? null : Number(value);
}

function dropUndefined(values: Readonly<Record<string, string | number | undefined>>): TableRow {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, value ?? null]));
}

/** By name first: names may be numbers too. */
async function findExperiment(door: TrackingClient, nameOrId: string): Promise<string> {
  type Answer = { readonly experiment: { readonly experiment_id: string } };
  const byName = new URLSearchParams({ experiment_name: nameOrId });
  const found = await door.ask<Answer>(`experiments/get-by-name?${byName}`).catch(ignoreNotFound);
  if (found) return found.experiment.experiment_id;
  if (!/^\d+$/.test(nameOrId)) throw new StatusError('NotFound', `cannot export: there is no experiment '${nameOrId}'`);
  return (await door.ask<Answer>(`experiments/get?experiment_id=${nameOrId}`)).experiment.experiment_id;
}
