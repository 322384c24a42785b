/**
 * `athanor import tensorboard`: each folder with event files becomes a run, or all of them go into one that is named.
 * The same folder gives the same run, so that a second import adds what was written since.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import { StatusError, toStatusError } from '../kube/status-error.ts';
import type { MetricPoint } from '../tracking/runs/metrics.ts';
import type { CommandContext } from './context.ts';
import { formatValue, parseFormat } from './output.ts';
import { type EventFiles, loadEventFiles } from './tfevents.ts';
import { openTracking, type TrackingClient, type TrackingFlags } from './tracking-client.ts';

export interface ImportTensorboardFlags extends TrackingFlags {
  readonly output?: string;
  readonly dryRun?: boolean;
  /** Default: the folder's name. */
  readonly experiment?: string;
  /** A run that is there; undefined makes one of each folder. */
  readonly run?: string;
}

interface Problem {
  readonly where: string;
  readonly message: string;
}

interface EventFolder {
  /** Relative to the log folder; empty for itself. */
  readonly name: string;
  readonly files: readonly string[];
}

interface Work {
  readonly door: TrackingClient | undefined;
  readonly events: EventFiles;
  readonly problems: Problem[];
}

const POINTS_PER_REQUEST = 5_000;
const EVENT_FILE = /\.tfevents\./;
const NOT_IN_KEYS = /[^/\w.\- :\p{L}\p{N}]/gu;

/** @throws NotFound when there is no event file; @returns 1 when one of them is damaged */
export async function importTensorboard(
  context: CommandContext,
  logdir: string,
  flags: ImportTensorboardFlags,
): Promise<number> {
  const format = parseFormat(flags.output);
  const root = resolve(logdir);
  const folders = findEventFolders(root);
  if (folders.length === 0)
    throw new StatusError('NotFound', `cannot import ${logdir}: there is no event file (*.tfevents.*) in it`);
  const door = flags.dryRun === true ? undefined : openTracking(context, flags);
  const work: Work = { door, events: await loadEventFiles(), problems: [] };
  const experiment = flags.experiment ?? basename(root);
  const body = { name: experiment, tags: [] };
  const made = flags.run === undefined ? await door?.ask<{ id: string }>('athanor/import/experiment', body) : undefined;
  if (flags.run !== undefined) await door?.ask(`runs/get?run_id=${encodeURIComponent(flags.run)}`);
  const runs: { readonly run_id: string; readonly name: string; readonly points: number }[] = [];
  for (const folder of folders) {
    const run_id = flags.run ?? idOf(experiment, folder);
    const { points, firstMs, lastMs } = await sendPoints(work, run_id, folder);
    const name = folder.name || basename(root);
    if (flags.run === undefined) {
      const run = {
        run_id,
        experiment_id: made?.id,
        run_name: name,
        status: 'FINISHED',
        start_time: firstMs,
        end_time: lastMs,
      };
      const tags = [
        { key: 'mlflow.runName', value: name },
        { key: 'athanor.importedFrom', value: 'tensorboard' },
      ];
      await door?.ask('athanor/import/run', { run, params: [], tags, datasets: [], outputs: [] });
    }
    runs.push({ run_id, name, points });
    context.stderr.write(`${name}: ${points} points\n`);
  }
  return report(context, format, { runs, problems: work.problems });
}

function report(
  { stdout, stderr }: CommandContext,
  format: ReturnType<typeof parseFormat>,
  { runs, problems }: { readonly runs: readonly { readonly points: number }[]; readonly problems: readonly Problem[] },
): number {
  for (const { message } of problems) stderr.write(`not imported: ${message}\n`);
  const points = runs.reduce((sum, run) => sum + run.points, 0);
  if (format === 'json' || format === 'yaml') stdout.write(formatValue({ runs, points, problems }, format));
  else stdout.write(`${runs.length} runs, ${points} metric points; ${problems.length} problems\n`);
  return problems.length === 0 ? 0 : 1;
}

interface Sent {
  readonly points: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

async function sendPoints(work: Work, run_id: string, { files }: EventFolder): Promise<Sent> {
  const { door } = work;
  let sent = 0;
  let firstMs = Number.POSITIVE_INFINITY;
  let lastMs = 0;
  let metrics: MetricPoint[] = [];
  const flush = async () => {
    if (metrics.length > 0) await door?.ask('athanor/import/metrics', { run_id, metrics });
    sent += metrics.length;
    metrics = [];
  };
  for (const point of readPoints(work, files)) {
    firstMs = Math.min(firstMs, point.timestamp);
    lastMs = Math.max(lastMs, point.timestamp);
    metrics.push(point);
    if (metrics.length === POINTS_PER_REQUEST) await flush();
  }
  await flush();
  return { points: sent, firstMs: Number.isFinite(firstMs) ? firstMs : 0, lastMs };
}

/** A damaged file gives what comes before the damage. */
function* readPoints({ events, problems }: Work, files: readonly string[]): Generator<MetricPoint> {
  for (const file of files) {
    try {
      for (const { tag, step, wallTimeMs, value } of events.read(file))
        yield { key: keyOf(tag), value, timestamp: wallTimeMs, step };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      problems.push({ where: file, message: toMessage(error, file) });
    }
  }
}

function toMessage(error: Error, file: string): string {
  const { reason, message } = toStatusError(error);
  return reason === 'InternalError' ? `cannot read ${file}: ${error.message}` : message;
}

/** Tags may be anything; what tracking's names may not hold becomes an underscore. */
function keyOf(tag: string): string {
  const key = tag
    .replaceAll(NOT_IN_KEYS, '_')
    .replaceAll(/\/{2,}/g, '/')
    .replaceAll(/^\/+|\/+$/g, '');
  return key.slice(0, 250) || 'unnamed';
}

/** Beside the names, the first file's own name, which holds its writer's time and host. */
function idOf(experiment: string, { name, files: [first = ''] }: EventFolder): string {
  const text = JSON.stringify(['tensorboard', experiment, name, basename(first)]);
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

function findEventFolders(root: string): readonly EventFolder[] {
  if (!existsSync(root)) throw new StatusError('NotFound', `cannot import ${root}: there is no such folder`);
  const found = new Map<string, string[]>();
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !EVENT_FILE.test(entry.name)) continue;
    const files = found.get(entry.parentPath) ?? [];
    files.push(join(entry.parentPath, entry.name));
    found.set(entry.parentPath, files);
  }
  return [...found]
    .map(([folder, files]) => ({ name: relative(root, folder), files: files.sort() }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
