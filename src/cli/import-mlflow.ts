/**
 * `athanor import mlflow`: runs, models and files of an MLflow store come here with their ids. What cannot be read is
 * told with its place, and the rest goes on; a run comes whole or not at all; a second time only what is new.
 */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isStatusError, StatusError, toStatusError } from '../kube/status-error.ts';
import type { MetricPoint } from '../tracking/runs/metrics.ts';
import type { CommandContext } from './context.ts';
import { openFileStore } from './import-mlflow-files.ts';
import { openSqliteStore } from './import-mlflow-sqlite.ts';
import {
  type ImportSource,
  listFiles,
  type Readable,
  type SourceExperiment,
  type SourceFiles,
  type SourceModel,
  type SourceRun,
  type SourceVersion,
} from './import-source.ts';
import { formatValue, parseFormat } from './output.ts';
import { openTracking, type TrackingClient, type TrackingFlags } from './tracking-client.ts';

export interface ImportFlags extends TrackingFlags {
  readonly output?: string;
  readonly dryRun?: boolean;
  /** Folder of the files that a server served as mlflow-artifacts:. */
  readonly artifacts?: string;
}

interface Imported {
  readonly id: string;
  readonly is_new: boolean;
}

/** What came, and what could not. */
class Tally {
  readonly counts = {
    experiments: 0,
    runs: 0,
    runsNew: 0,
    metrics: 0,
    files: 0,
    loggedModels: 0,
    models: 0,
    versions: 0,
  };
  readonly problems: { readonly where: string; readonly message: string }[] = [];
}

interface Import {
  readonly source: ImportSource;
  /** Undefined for a dry run. */
  readonly door: TrackingClient | undefined;
  readonly tally: Tally;
  /** From the source's URIs of files to where they are now; longest first when it is used. */
  readonly places: Map<string, string>;
  readonly say: (line: string) => void;
}

const METRICS_PER_REQUEST = 5_000;
const SAY_EVERY_RUNS = 100;

/** @throws Invalid when the place holds no store; @returns 1 when something could not be imported */
export async function importMlflow(context: CommandContext, place: string, flags: ImportFlags): Promise<number> {
  const format = parseFormat(flags.output);
  const source = openSource(place, flags.artifacts === undefined ? undefined : resolve(flags.artifacts));
  const door = flags.dryRun === true ? undefined : openTracking(context, flags);
  const tally = new Tally();
  const say = (line: string) => void context.stderr.write(`${line}\n`);
  const work: Import = { source, door, tally, places: new Map(), say };
  try {
    for (const experiment of source.experiments()) await importOne(work, experiment, importExperiment);
    for (const model of source.models()) await importOne(work, model, importModel);
  } finally {
    source.close();
  }
  const { counts, problems } = tally;
  for (const { where, message } of problems)
    say(`not imported: ${message.includes(where) ? '' : `${where}: `}${message}`);
  if (format === 'json' || format === 'yaml') context.stdout.write(formatValue({ ...counts, problems }, format));
  else context.stdout.write(describe(tally, flags.dryRun === true));
  return problems.length === 0 ? 0 : 1;
}

function describe({ counts, problems }: Tally, isDry: boolean): string {
  const { experiments, runs, runsNew, metrics, files, models, versions } = counts;
  const did = isDry ? 'would import' : 'imported';
  const fresh = isDry ? '' : ` (${runsNew} new)`;
  const what = `${experiments} experiments, ${runs} runs${fresh}, ${metrics} metric points, ${files} files`;
  return `${did} ${what}, ${models} models, ${versions} versions; ${problems.length} problems\n`;
}

function openSource(place: string, artifacts: string | undefined): ImportSource {
  const path = toPath(place);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new StatusError('NotFound', `cannot import ${place}: there is no such file or folder`);
  return found.isDirectory() ? openFileStore(path, artifacts) : openSqliteStore(path, artifacts);
}

/** SQLAlchemy's URLs have three slashes for a relative path and four for an absolute one. */
function toPath(place: string): string {
  const sqlite = /^sqlite:\/\/\/(.+)$/.exec(place)?.[1];
  if (sqlite !== undefined) return resolve(sqlite);
  return place.startsWith('file:') && URL.canParse(place) ? fileURLToPath(place) : resolve(place);
}

/** What cannot be read or is refused is noted; what cannot be reached or has no room ends the whole. */
async function importOne<T>(
  work: Import,
  { where, read }: Readable<T>,
  take: (work: Import, item: T) => Promise<void>,
): Promise<void> {
  try {
    await take(work, read());
  } catch (error) {
    const { reason, message } = toStatusError(error);
    if (['ServiceUnavailable', 'InsufficientStorage', 'Unauthorized', 'Forbidden', 'Timeout'].includes(reason))
      throw error;
    work.tally.problems.push({ where, message: reason === 'InternalError' ? String(error) : message });
  }
}

async function importExperiment(work: Import, experiment: SourceExperiment): Promise<void> {
  const { door, source, tally, say } = work;
  const { id: sourceId, ...rest } = experiment;
  const made = await door?.ask<Imported>('athanor/import/experiment', rest);
  tally.counts.experiments += 1;
  const home = door && made && (await findHome(door, made.id));
  const runs = [...source.runs(sourceId)];
  for (const [index, run] of runs.entries()) {
    await importOne(work, run, (_, item) => importRun(work, item, home));
    if ((index + 1) % SAY_EVERY_RUNS === 0) say(`experiment '${experiment.name}': ${index + 1} of ${runs.length} runs`);
  }
  for (const model of source.loggedModels(sourceId))
    await importOne(work, model, async (_, { files, ...item }) => {
      await moveFiles(work, files, home && `${home.root}/models/${item.model.model_id}/artifacts`);
      const of = { ...item, model: { ...item.model, experiment_id: home?.id } };
      await door?.ask('athanor/import/logged-model', of);
      tally.counts.loggedModels += 1;
    });
  say(`experiment '${experiment.name}': ${runs.length} runs`);
}

interface Home {
  readonly id: string;
  /** Where its artifacts begin, without the scheme; undefined when they are not in tracking's own store. */
  readonly root: string | undefined;
}

async function findHome(door: TrackingClient, id: string): Promise<Home> {
  const path = `experiments/get?experiment_id=${encodeURIComponent(id)}`;
  const { experiment } = await door.ask<{ experiment: { artifact_location: string } }>(path);
  return { id, root: /^mlflow-artifacts:\/+(.*)$/.exec(experiment.artifact_location)?.[1]?.replace(/\/+$/, '') };
}

/** Points and files first, the run last: who looks meanwhile sees nothing of it. */
async function importRun(work: Import, item: SourceRun, home: Home | undefined): Promise<void> {
  const { door, tally } = work;
  const { run, params, tags, datasets, outputs } = item;
  let points = 0;
  for (const metrics of inBatches(item.metrics())) {
    await door?.ask('athanor/import/metrics', { run_id: run.run_id, metrics });
    points += metrics.length;
  }
  await moveFiles(work, item.files, home?.root === undefined ? undefined : `${home.root}/${run.run_id}/artifacts`);
  const body = { run: { ...run, experiment_id: home?.id }, params, tags, datasets, outputs };
  const made = await door?.ask<Imported>('athanor/import/run', body);
  tally.counts.runs += 1;
  tally.counts.metrics += points;
  if (made?.is_new === true) tally.counts.runsNew += 1;
}

function* inBatches(points: Iterable<MetricPoint>): Generator<readonly MetricPoint[]> {
  let batch: MetricPoint[] = [];
  for (const point of points) {
    batch.push(point);
    if (batch.length < METRICS_PER_REQUEST) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Copies what lies here; files elsewhere stay where they are. */
async function moveFiles(
  { door, tally, places }: Import,
  files: SourceFiles,
  target: string | undefined,
): Promise<void> {
  if (files.folder === undefined) return;
  for (const path of listFiles(files.folder)) {
    const isSent =
      door === undefined ||
      target === undefined ||
      (await door.putFile(`${target}/${path}`, `${files.folder}/${path}`));
    if (isSent) tally.counts.files += 1;
  }
  if (target !== undefined && files.uri !== '') places.set(files.uri, `mlflow-artifacts:/${target}`);
}

async function importModel(work: Import, model: SourceModel): Promise<void> {
  const { door, tally } = work;
  const { name, versions, aliases, ...rest } = model;
  await door?.ask('athanor/import/registered-model', { name, ...rest });
  const came = new Set<string>();
  for (const item of versions) {
    const number = String(item.version.version);
    await importOne(work, { where: `model ${name}, version ${number}`, read: () => item }, async () => {
      await importVersion(work, name, item);
      came.add(number);
    });
  }
  for (const each of aliases) if (came.has(each.version)) await keepAlias(door, { name, ...each });
  tally.counts.models += 1;
}

async function importVersion({ door, tally, places }: Import, name: string, item: SourceVersion): Promise<void> {
  const source = moveSource(item.version.source, places);
  if (door !== undefined && /^(file:|\/)/.test(source))
    throw new StatusError('Invalid', `its files are at ${source}, which is of no run that came; mend that run first`);
  await door?.ask('athanor/import/model-version', { name, version: { ...item.version, source }, tags: item.tags });
  tally.counts.versions += 1;
}

/** One that points somewhere already was moved here since: it stays. */
async function keepAlias(
  door: TrackingClient | undefined,
  wanted: { readonly name: string; readonly alias: string; readonly version: string },
): Promise<void> {
  const query = new URLSearchParams({ name: wanted.name, alias: wanted.alias });
  const there = await door?.ask(`registered-models/alias?${query}`).catch((error: unknown) => {
    if (!isStatusError(error, 'NotFound') && !isStatusError(error, 'Invalid')) throw error;
  });
  if (there === undefined) await door?.ask('registered-models/alias', wanted);
}

function moveSource(source: string, places: ReadonlyMap<string, string>): string {
  for (let end = source.length; end > 0; end = source.lastIndexOf('/', end - 1)) {
    const moved = places.get(source.slice(0, end));
    if (moved !== undefined) return moved + source.slice(end);
  }
  return source;
}
