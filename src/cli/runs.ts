/** `athanor runs`: finds runs, shows one, compares several. Knows what people look at; nothing of how runs are kept. */
import { StatusError } from '../kube/status-error.ts';
import type { KeyValue } from '../tracking/owned-values.ts';
import type { Experiment } from '../tracking/runs/experiments.ts';
import type { RunMetric } from '../tracking/runs/metric-history.ts';
import type { Run } from '../tracking/runs/run-view.ts';
import type { CommandContext } from './context.ts';
import { formatTable, formatValue, parseFormat } from './output.ts';
import { sparkline } from './sparkline.ts';
import { openTracking, type TrackingClient, type TrackingFlags } from './tracking-client.ts';

export interface RunsFlags extends TrackingFlags {
  readonly experiment: readonly string[];
  readonly filter?: string;
  readonly order?: string;
  readonly limit: string;
}

export interface CompareFlags extends TrackingFlags {
  readonly diff?: boolean;
}

/** Lists leave out what is empty, as protobuf's JSON does. */
type WireRun = { readonly info: Run['info']; readonly data: Partial<Run['data']> };

const ID_LENGTH = 8;
const SPARK_POINTS = 32;
const METRICS_SHOWN = 3;
const EXPERIMENTS_MAX = 1_000;

/** Without ids the newest runs, of all experiments or of those named; with ids, each of those whole. */
export async function showRuns(context: CommandContext, ids: readonly string[], flags: RunsFlags): Promise<void> {
  const tracking = openTracking(context, flags);
  const format = parseFormat(flags.output);
  const runs = ids.length > 0 ? await getRuns(tracking, ids) : await findRuns(tracking, flags);
  if (format === 'json' || format === 'yaml') context.stdout.write(formatValue(runs, format));
  else if (format === 'name') context.stdout.write(runs.map(({ info }) => `${info.run_id}\n`).join(''));
  else if (ids.length > 0) for (const run of runs) context.stdout.write(await describe(tracking, run));
  else context.stdout.write(await listRuns(tracking, runs, format === 'wide'));
}

/** Parameters and metrics of several runs beside each other; `--diff` leaves out what is the same in all. */
export async function compareRuns(context: CommandContext, ids: readonly string[], flags: CompareFlags): Promise<void> {
  if (ids.length < 2) throw new StatusError('BadRequest', 'cannot compare: give two or more runs');
  const tracking = openTracking(context, flags);
  const format = parseFormat(flags.output);
  const runs = await getRuns(tracking, ids);
  const rows = [...compare(runs, 'params'), ...compare(runs, 'metrics')].filter(({ isSame }) => !flags.diff || !isSame);
  if (format === 'json' || format === 'yaml') {
    const shown = rows.map(({ kind, key, values, isSame }) => ({ kind, key, values, same: isSame }));
    context.stdout.write(formatValue({ runs: runs.map(({ info }) => info.run_id), rows: shown }, format));
    return;
  }
  const names = runs.map(({ info }) => `${info.run_name} (${info.run_id.slice(0, ID_LENGTH)})`);
  const cells = rows.map(({ key, kind, values, isSame }) => [
    isSame ? '' : '*',
    kind,
    key,
    ...values.map((value) => value ?? '-'),
  ]);
  context.stdout.write(formatTable(['', 'of', 'name', ...names], cells));
  const metrics = [...new Set(runs.flatMap(({ data }) => (data.metrics ?? []).map(({ key }) => key)))].sort();
  for (const key of metrics) {
    const lines = await readSparks(tracking, runs, key);
    if (lines.size > 0)
      context.stdout.write(
        `\n${key}\n${runs.map(({ info }, index) => sparkRow(names[index] ?? '', lines.get(info.run_id))).join('')}`,
      );
  }
}

function sparkRow(name: string, points: readonly RunMetric[] | undefined): string {
  if (points === undefined) return '';
  const values = points.map(({ value }) => Number(value));
  return `  ${sparkline(values)}  ${values[0]} → ${values.at(-1)}  ${name}\n`;
}

async function findRuns(tracking: TrackingClient, flags: RunsFlags): Promise<readonly WireRun[]> {
  const limit = Number(flags.limit);
  if (!Number.isInteger(limit) || limit < 1) {
    throw new StatusError('BadRequest', `cannot list ${flags.limit} runs: --limit wants a whole number from 1`);
  }
  const ids = await Promise.all(flags.experiment.map((name) => findExperiment(tracking, name)));
  const all = ids.length > 0 ? ids : await listExperiments(tracking);
  const { runs = [] } = await tracking.send<{ runs?: readonly WireRun[] }>('POST', 'runs/search', {
    experiment_ids: all,
    filter: flags.filter ?? '',
    order_by: flags.order === undefined ? [] : flags.order.split(',').map((order) => order.trim()),
    max_results: limit,
  });
  return runs;
}

async function listExperiments(tracking: TrackingClient): Promise<readonly string[]> {
  const wanted = { max_results: EXPERIMENTS_MAX };
  const { experiments = [] } = await tracking.send<{ experiments?: readonly Experiment[] }>(
    'POST',
    'experiments/search',
    wanted,
  );
  return experiments.map(({ experiment_id }) => experiment_id);
}

async function findExperiment(tracking: TrackingClient, name: string): Promise<string> {
  const { experiment } = await tracking.get<{ experiment: Experiment }>('experiments/get-by-name', {
    experiment_name: name,
  });
  return experiment.experiment_id;
}

/** By whole id, by the beginning of one, or by name. @throws NotFound, Conflict when several would do */
export async function getRuns(tracking: TrackingClient, ids: readonly string[]): Promise<readonly WireRun[]> {
  return Promise.all(ids.map((id) => getRun(tracking, id)));
}

async function getRun(tracking: TrackingClient, asked: string): Promise<WireRun> {
  if (/^[0-9a-f]{32}$/.test(asked)) {
    return (await tracking.get<{ run: WireRun }>('runs/get', { run_id: asked })).run;
  }
  const experiment_ids = await listExperiments(tracking);
  const quoted = asked.replaceAll("'", "''");
  const filters = [`run_name = '${quoted}'`, ...(/^[0-9a-f]+$/.test(asked) ? [`run_id LIKE '${asked}%'`] : [])];
  const found: WireRun[] = [];
  for (const filter of filters) {
    const body = { experiment_ids, filter, max_results: 2 };
    found.push(...((await tracking.send<{ runs?: readonly WireRun[] }>('POST', 'runs/search', body)).runs ?? []));
  }
  const [run, another] = found;
  if (run === undefined) throw new StatusError('NotFound', `cannot show run ${asked}: none has this id or name`);
  if (another === undefined || another.info.run_id === run.info.run_id) return run;
  throw new StatusError('Conflict', `cannot show run ${asked}: several have this name, use an id (athanor runs)`);
}

async function listRuns(tracking: TrackingClient, runs: readonly WireRun[], isWide: boolean): Promise<string> {
  if (runs.length === 0) return 'no runs\n';
  const wanted = { max_results: EXPERIMENTS_MAX, view_type: 'ALL' };
  const { experiments = [] } = await tracking.send<{ experiments?: readonly Experiment[] }>(
    'POST',
    'experiments/search',
    wanted,
  );
  const names = new Map(experiments.map(({ experiment_id, name }) => [experiment_id, name]));
  const rows = runs.map(({ info, data }) => [
    isWide ? info.run_id : info.run_id.slice(0, ID_LENGTH),
    info.run_name,
    names.get(info.experiment_id) ?? info.experiment_id,
    info.status,
    new Date(info.start_time).toISOString().slice(0, 19).replace('T', ' '),
    info.end_time === undefined ? '' : formatSeconds((info.end_time - info.start_time) / 1_000),
    (data.metrics ?? [])
      .slice(0, isWide ? undefined : METRICS_SHOWN)
      .map(({ key, value }) => `${key}=${formatNumber(value)}`)
      .join(' '),
  ]);
  return formatTable(['id', 'name', 'experiment', 'status', 'started (UTC)', 'took', 'metrics'], rows);
}

async function describe(tracking: TrackingClient, run: WireRun): Promise<string> {
  const { info, data } = run;
  const took = info.end_time === undefined ? '' : `, took ${formatSeconds((info.end_time - info.start_time) / 1_000)}`;
  const metrics = await Promise.all(
    (data.metrics ?? []).map(async ({ key, value, step }) => {
      const points = (await readSparks(tracking, [run], key)).get(info.run_id) ?? [];
      return [
        key,
        formatNumber(value),
        String(step),
        points.length > 1 ? sparkline(points.map((point) => Number(point.value))) : '',
      ];
    }),
  );
  const own = (data.tags ?? []).filter(({ key }) => !key.startsWith('mlflow.'));
  return [
    `${info.run_name}  ${info.run_id}\n`,
    `${info.status}, started ${new Date(info.start_time).toISOString()}${took}, by ${info.user_id || 'nobody named'}\n`,
    `${tracking.url}/experiments/${info.experiment_id}/runs/${info.run_id}\n`,
    ...(metrics.length > 0 ? ['\n', formatTable(['metric', 'last', 'step', 'history'], metrics)] : []),
    ...section('parameter', data.params ?? []),
    ...section('tag', own),
    '\n',
  ].join('');
}

function section(noun: string, pairs: readonly KeyValue[]): readonly string[] {
  if (pairs.length === 0) return [];
  return [
    '\n',
    formatTable(
      [noun, 'value'],
      pairs.map(({ key, value }) => [key, value]),
    ),
  ];
}

/** Sampled histories by run, of those that have more than one point. */
async function readSparks(
  tracking: TrackingClient,
  runs: readonly WireRun[],
  key: string,
): Promise<ReadonlyMap<string, readonly RunMetric[]>> {
  const query = { run_ids: runs.map(({ info }) => info.run_id), metric_key: key, max_results: String(SPARK_POINTS) };
  const { metrics = [] } = await tracking.get<{ metrics?: readonly RunMetric[] }>(
    'metrics/get-history-bulk-interval',
    query,
  );
  const byRun = Map.groupBy(metrics, ({ run_id }) => run_id);
  return new Map([...byRun].filter(([, points]) => points.length > 1));
}

interface Row {
  readonly kind: 'param' | 'metric';
  readonly key: string;
  readonly values: readonly (string | null)[];
  readonly isSame: boolean;
}

function compare(runs: readonly WireRun[], kind: 'params' | 'metrics'): readonly Row[] {
  const maps = runs.map(
    ({ data }) =>
      new Map(
        (data[kind] ?? []).map(({ key, value }) => [key, typeof value === 'number' ? formatNumber(value) : value]),
      ),
  );
  const keys = [...new Set(maps.flatMap((map) => [...map.keys()]))].sort();
  return keys.map((key) => {
    const values = maps.map((map) => map.get(key) ?? null);
    return { kind: kind === 'params' ? 'param' : 'metric', key, values, isSame: new Set(values).size === 1 };
  });
}

function formatNumber(value: number | string): string {
  return typeof value === 'number' ? String(Number(value.toPrecision(5))) : value;
}

function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)}s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes}m${Math.round(seconds % 60)}s` : `${Math.floor(minutes / 60)}h${minutes % 60}m`;
}
