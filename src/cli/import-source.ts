/** What an importer reads, whatever the format. Reading is lazy: what cannot be read throws when it is asked. */
import { existsSync, readdirSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { KeyValue } from '../tracking/owned-values.ts';
import type { MetricPoint } from '../tracking/runs/metrics.ts';
import type { DatasetInput } from '../tracking/runs/run-inputs.ts';

export interface SourceExperiment {
  readonly id: string;
  readonly name: string;
  readonly lifecycle_stage: string;
  readonly tags: readonly KeyValue[];
}

/** Files that lie in a folder here, and under which URI the source names them. */
export interface SourceFiles {
  readonly uri: string;
  /** Undefined when they are elsewhere. */
  readonly folder: string | undefined;
}

export interface SourceRun {
  /** As tracking's import takes it, but for the experiment. */
  readonly run: { readonly run_id: string } & Readonly<Record<string, unknown>>;
  readonly params: readonly KeyValue[];
  readonly tags: readonly KeyValue[];
  readonly datasets: readonly DatasetInput[];
  readonly outputs: readonly { readonly model_id: string; readonly step: number }[];
  readonly files: SourceFiles;
  /** Every point of every key. */
  metrics(): Iterable<MetricPoint>;
}

export interface SourceLoggedModel {
  readonly model: { readonly model_id: string } & Readonly<Record<string, unknown>>;
  readonly params: readonly KeyValue[];
  readonly tags: readonly KeyValue[];
  readonly files: SourceFiles;
}

export interface SourceVersion {
  readonly version: { readonly version: number; readonly source: string } & Readonly<Record<string, unknown>>;
  readonly tags: readonly KeyValue[];
}

export interface SourceModel {
  readonly name: string;
  readonly description: string;
  readonly tags: readonly KeyValue[];
  readonly versions: readonly SourceVersion[];
  readonly aliases: readonly { readonly alias: string; readonly version: string }[];
}

/** Something that may turn out to be damaged. @throws from `read` with what is wrong and where */
export interface Readable<T> {
  /** A path, or a table and key. */
  readonly where: string;
  read(): T;
}

/** A store of runs of another tracker. */
export interface ImportSource {
  experiments(): Iterable<Readable<SourceExperiment>>;
  runs(experimentId: string): Iterable<Readable<SourceRun>>;
  loggedModels(experimentId: string): Iterable<Readable<SourceLoggedModel>>;
  models(): Iterable<Readable<SourceModel>>;
  close(): void;
}

/** Where the artifacts of a URI lie on this machine, if they do. `proxied` is where a server kept what it served. */
export function findLocalFolder(uri: string, places: { readonly base: string; readonly proxied?: string | undefined }) {
  const folder = toFolder(uri, places);
  return folder !== undefined && existsSync(folder) ? folder : undefined;
}

function toFolder(uri: string, { base, proxied }: { base: string; proxied?: string | undefined }): string | undefined {
  const served = /^mlflow-artifacts:(?:\/\/[^/]*)?\/+(.*)$/.exec(uri)?.[1];
  if (served !== undefined) return proxied === undefined ? undefined : join(proxied, served);
  if (uri.startsWith('file:')) return URL.canParse(uri) ? fileURLToPath(uri) : undefined;
  if (/^[a-z][a-z0-9+.-]+:/i.test(uri) || uri === '') return undefined;
  return isAbsolute(uri) ? uri : resolve(base, uri);
}

/** Files below a folder as relative paths, links left out; none when there is no folder. */
export function listFiles(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.map((path) => path.slice(folder.length + 1)).sort();
}
