/** Where the files of a version are, when they are in our store. Follows sources from model to model and run to run. */
import { ignoreNotFound } from '../../kube/status-error.ts';
import { FILES_MAX } from '../../modelfiles/limits.ts';
import { findArtifactPath, listFilesBelow, type StoredFile } from '../artifacts/artifacts.ts';
import { SOURCE_STEPS_MAX } from '../limits.ts';
import { getRunRow } from '../runs/runs.ts';
import type { Tracking } from '../tracking.ts';
import { getLoggedModelRow } from './logged-models.ts';
import { getVersion } from './model-versions.ts';
import { getAliasedVersion } from './registered-models.ts';

/** The source itself, or what it leads to: `models:/m-...`, `models:/name/1`, `models:/name@alias` and `runs:/...` lead on. */
export async function resolveSource(tracking: Tracking, source: string): Promise<string> {
  let uri = source;
  for (let steps = 0; steps < SOURCE_STEPS_MAX; steps++) {
    const next = await findNext(tracking, uri).catch(ignoreNotFound);
    if (next === undefined) return uri;
    uri = next;
  }
  return uri;
}

async function findNext(tracking: Tracking, uri: string): Promise<string | undefined> {
  const modelId = /^models:\/(m-[^/]+)$/.exec(uri)?.[1];
  if (modelId !== undefined) return (await getLoggedModelRow(tracking, modelId, true)).artifact_uri;
  const [, name, number, alias] = /^models:\/([^/@]+)(?:\/(\d+)|@(.+))$/.exec(uri) ?? [];
  if (name !== undefined) {
    const version = number ?? (await getAliasedVersion(tracking, name, alias ?? ''));
    return (await getVersion(tracking, { name, version })).source;
  }
  const [, runId, path] = /^runs:\/([^/]+)\/(.+)$/.exec(uri) ?? [];
  return runId === undefined ? undefined : `${(await getRunRow(tracking, runId)).artifact_uri}/${path}`;
}

/** The files of a version with this source; none when they are elsewhere. @throws Invalid when there are too many */
export async function listVersionFiles(tracking: Tracking, source: string): Promise<readonly StoredFile[]> {
  const path = findArtifactPath(await resolveSource(tracking, source));
  return path === undefined ? [] : listFilesBelow(tracking.blobs, path.replace(/\/+$/, ''), FILES_MAX);
}
