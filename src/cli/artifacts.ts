/** `athanor artifacts`: files of a run or of a model's version, listed or brought here. */
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { StatusError } from '../kube/status-error.ts';
import type { ModelFile } from '../modelfiles/model-files.ts';
import { type FileEntry, findArtifactPath } from '../tracking/artifacts/artifacts.ts';
import type { CommandContext } from './context.ts';
import { getModelSource } from './models.ts';
import { formatTable, formatValue, parseFormat } from './output.ts';
import { getRuns } from './runs.ts';
import { FILES, openTracking, placeOf, type TrackingClient, type TrackingFlags } from './tracking-client.ts';

export interface ArtifactsFlags extends TrackingFlags {
  /** Bring the files into this folder instead of listing them. */
  readonly download?: string;
}

const DEPTH_MAX = 64;

interface Found extends FileEntry {
  /** Where it is below the store's root. */
  readonly place: string;
}

/** `of` is a run (id, beginning of one, or name) or `models:/name/version`; `path` is a file or folder of it. */
export async function showArtifacts(
  context: CommandContext,
  { of, path = '' }: { readonly of: string; readonly path?: string | undefined },
  flags: ArtifactsFlags,
): Promise<void> {
  const tracking = openTracking(context, flags);
  const root = await findRoot(tracking, of);
  const folder = path.replace(/^\/+|\/+$/g, '');
  const files = await listAll(tracking, folder === '' ? root : `${root}/${folder}`);
  const all = files.length > 0 || folder === '' ? files : await findFile(tracking, root, folder);
  if (all.length === 0) throw new StatusError('NotFound', `cannot list ${of}: it has no file ${folder || 'at all'}`);
  if (flags.download !== undefined) return download(context, tracking, { files: all, target: flags.download });
  const shown = all.map(({ path: name, file_size: sizeBytes }) => ({ path: joinPath(folder, name), sizeBytes }));
  const format = parseFormat(flags.output);
  if (format === 'json' || format === 'yaml') context.stdout.write(formatValue(shown, format));
  else if (format === 'name') context.stdout.write(shown.map((file) => `${file.path}\n`).join(''));
  else
    context.stdout.write(
      formatTable(
        ['path', 'bytes'],
        shown.map((file) => [file.path, String(file.sizeBytes)]),
      ),
    );
}

/** Every file of a run or of `models:/name/version`, with bytes as tracking sends them. */
export async function listRemoteFiles(tracking: TrackingClient, of: string): Promise<readonly ModelFile[]> {
  const found = await listAll(tracking, await findRoot(tracking, of));
  return found.map(({ path, place, file_size: sizeBytes = 0 }) => ({
    path,
    bytes: { sizeBytes, stream: (start, end) => cut(tracking, place, { start, end }) },
  }));
}

async function* cut(
  tracking: TrackingClient,
  place: string,
  { start, end }: { readonly start: number; readonly end: number },
): AsyncGenerator<Uint8Array, void> {
  let at = 0;
  for await (const part of await tracking.open(placeOf(place))) {
    const wanted = part.subarray(Math.max(0, start - at), Math.max(0, end - at));
    at += part.length;
    if (wanted.length > 0) yield wanted;
    if (at >= end) return;
  }
}

async function findRoot(tracking: TrackingClient, of: string): Promise<string> {
  const uri = of.startsWith('models:/')
    ? await getModelSource(tracking, of)
    : (await getRuns(tracking, [of])).map(({ info }) => info.artifact_uri)[0];
  const path = uri === undefined ? undefined : findArtifactPath(uri);
  if (path !== undefined) return path;
  throw new StatusError('BadRequest', `cannot list ${of}: its files are at ${uri}, which Athanor does not keep`);
}

/** Every file below a folder, by path relative to it. */
async function listAll(tracking: TrackingClient, folder: string, before = ''): Promise<readonly Found[]> {
  if (before.split('/').length > DEPTH_MAX) {
    throw new StatusError('Invalid', `cannot list ${folder}: it is more than ${DEPTH_MAX} folders deep`);
  }
  const { files = [] } = await tracking.get<{ files?: readonly FileEntry[] }>(FILES, { path: folder });
  const found: Found[] = [];
  for (const entry of files) {
    const path = joinPath(before, entry.path);
    const place = `${folder}/${entry.path}`;
    if (entry.is_dir) found.push(...(await listAll(tracking, place, path)));
    else found.push({ ...entry, path, place });
  }
  return found;
}

/** A path that is one file. */
async function findFile(tracking: TrackingClient, root: string, path: string): Promise<readonly Found[]> {
  const parent = dirname(path) === '.' ? root : `${root}/${dirname(path)}`;
  const { files = [] } = await tracking.get<{ files?: readonly FileEntry[] }>(FILES, { path: parent });
  const name = path.slice(path.lastIndexOf('/') + 1);
  return files
    .filter((entry) => !entry.is_dir && entry.path === name)
    .map((entry) => ({ ...entry, path: name, place: `${parent}/${entry.path}` }));
}

interface Download {
  readonly files: readonly Found[];
  readonly target: string;
}

async function download(context: CommandContext, tracking: TrackingClient, { files, target }: Download): Promise<void> {
  const root = resolve(target);
  for (const [index, { path, place }] of files.entries()) {
    const file = join(root, path);
    if (!file.startsWith(root + sep)) throw new StatusError('Invalid', `cannot bring ${path}: it leaves ${root}`);
    if (context.stderr.isTTY) context.stderr.write(`\r${index + 1} of ${files.length} files`);
    await mkdir(dirname(file), { recursive: true });
    await bring(tracking, place, file);
  }
  if (context.stderr.isTTY) context.stderr.write('\n');
  const total = files.reduce((sum, { file_size = 0 }) => sum + file_size, 0);
  context.stdout.write(`${files.length} files, ${total} bytes, in ${root}\n`);
}

/** A file is there whole or not at all. */
async function bring(tracking: TrackingClient, place: string, file: string): Promise<void> {
  const arriving = `${file}.arriving`;
  try {
    // why: two names of one type
    const body = (await tracking.open(placeOf(place))) as Parameters<typeof Readable.fromWeb>[0];
    await pipeline(Readable.fromWeb(body), createWriteStream(arriving));
    await rename(arriving, file);
  } catch (error) {
    await rm(arriving, { force: true });
    throw error;
  }
}

function joinPath(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}
