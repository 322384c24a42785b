/** What a version is made of, as far as its files and its run tell: read for its bill of materials and its card. */
import { text } from 'node:stream/consumers';
import { parse as parseYaml } from 'yaml';
import { isJsonObject, type JsonObject } from '../../base/json.ts';
import { getTree, type TreeFile } from '../../blobs/tree.ts';
import { ignoreNotFound } from '../../kube/status-error.ts';
import type { StoredFile } from '../artifacts/artifacts.ts';
import { getRun, type Run } from '../runs/run-view.ts';
import type { Tracking } from '../tracking.ts';
import { getVersion, type NamedVersion, type VersionId } from './model-versions.ts';
import { listVersionFiles } from './version-files.ts';

const TEXT_BYTES_MAX = 1024 * 1024;

/** A package that the model needs; `version` only when it names exactly one. */
export interface Requirement {
  readonly name: string;
  readonly version?: string;
}

/** A column or tensor that goes in or out. */
export interface ModelField {
  readonly name: string;
  readonly type: string;
}

export interface VersionContent {
  readonly version: NamedVersion;
  readonly run: Run | undefined;
  /** With digests when the version was looked through. */
  readonly files: readonly Pick<TreeFile, 'path' | 'sizeBytes' | 'digest'>[];
  readonly flavors: readonly string[];
  readonly inputs: readonly ModelField[];
  readonly outputs: readonly ModelField[];
  readonly requirements: readonly Requirement[];
}

/** @throws NotFound */
export async function readVersionContent(tracking: Tracking, id: VersionId): Promise<VersionContent> {
  const version = await getVersion(tracking, id);
  const run = version.run_id === '' ? undefined : await getRun(tracking, version.run_id).catch(ignoreNotFound);
  const stored = await listVersionFiles(tracking, version.source);
  const tree =
    version.digest === null ? undefined : await getTree(tracking.blobs, version.digest).catch(ignoreNotFound);
  const model = await readYaml(stored, 'MLmodel');
  const signature = isJsonObject(model['signature']) ? model['signature'] : {};
  return {
    version,
    run,
    files: tree?.files ?? [],
    flavors: isJsonObject(model['flavors']) ? Object.keys(model['flavors']) : [],
    inputs: readFields(signature['inputs']),
    outputs: readFields(signature['outputs']),
    requirements: await readRequirements(stored),
  };
}

async function readText(files: readonly StoredFile[], path: string): Promise<string> {
  const file = files.find((one) => one.path === path);
  if (!file || file.sizeBytes > TEXT_BYTES_MAX) return '';
  return text(file.stream(0, file.sizeBytes));
}

/** Of a file that is missing or no YAML, nothing: it is some user's. */
async function readYaml(files: readonly StoredFile[], path: string): Promise<JsonObject> {
  const content = await readText(files, path);
  try {
    const value: unknown = parseYaml(content, { maxAliasCount: 10, logLevel: 'silent' });
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}

/** MLflow keeps them as JSON in a text: columns with a type, or tensors with a shape. */
function readFields(written: unknown): readonly ModelField[] {
  let fields: unknown;
  try {
    fields = typeof written === 'string' ? JSON.parse(written) : [];
  } catch {
    return [];
  }
  if (!Array.isArray(fields)) return [];
  return fields.filter(isJsonObject).map((field, index) => {
    const spec = isJsonObject(field['tensor-spec']) ? field['tensor-spec'] : undefined;
    const type = spec ? `${String(spec['dtype'])}${JSON.stringify(spec['shape'] ?? [])}` : String(field['type']);
    return { name: typeof field['name'] === 'string' ? field['name'] : String(index), type };
  });
}

async function readRequirements(files: readonly StoredFile[]): Promise<readonly Requirement[]> {
  const lines = (await readText(files, 'requirements.txt')).split('\n');
  if (lines.some((line) => line.trim() !== '')) return parseRequirements(lines);
  const { dependencies } = await readYaml(files, 'conda.yaml');
  const listed = Array.isArray(dependencies) ? dependencies : [];
  const pip: unknown[] = listed.flatMap((item) =>
    isJsonObject(item) && Array.isArray(item['pip']) ? item['pip'] : [],
  );
  return parseRequirements(pip.filter((line) => typeof line === 'string'));
}

function parseRequirements(lines: readonly string[]): readonly Requirement[] {
  return lines.flatMap((line) => {
    const [, name, version] = /^\s*([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*(?:===?\s*([\w.+!-]+))?/.exec(line) ?? [];
    if (name === undefined) return [];
    return [version === undefined ? { name } : { name, version }];
  });
}
