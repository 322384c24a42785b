/**
 * Which sources a model version may have: what a caller may name must be theirs, and never a file of the server. The
 * rules and their words are mlflow/server/handlers.py's. Knows runs and logged models; registers nothing.
 */
import { StatusError } from '../../kube/status-error.ts';
import { getRunRow } from '../runs/runs.ts';
import type { Tracking } from '../tracking.ts';
import { getLoggedModelRow } from './logged-models.ts';

export interface SourceClaim {
  readonly source: string;
  readonly runId: string;
  readonly modelId: string;
}

/** @throws Invalid when the source is not one of the run's or the model's that the claim names. */
export async function checkSource(tracking: Tracking, claim: SourceClaim): Promise<void> {
  const { source, modelId } = claim;
  const owner = modelId ? 'model_id' : 'run_id';
  if (isLocal(source)) {
    const where = `the ${owner} request parameter has to be specified and the local path has to be contained within`;
    const inside = `the artifact directory of the run specified by the ${owner}.`;
    refuse(source, `To use a local path as a model version source, ${where} ${inside}`);
  }
  checkPath(source);
  const scheme = source.slice(0, source.indexOf(':')).toLowerCase();
  if (scheme === 'runs') {
    const named = /^runs:\/([^/]+)\//.exec(source)?.[1];
    if (modelId || named === undefined || named !== claim.runId) refuse(source, mustIdentify(owner));
  }
  if (scheme === 'models') {
    const named = /^models:\/(m-[^/]+)$/.exec(source)?.[1];
    if (named !== undefined && named !== modelId) refuse(source, mustIdentify('model_id'));
  }
  if (scheme === 'mlflow-artifacts') await checkOwned(tracking, claim);
}

function isLocal(source: string): boolean {
  return source.startsWith('/') || /^file:/i.test(source) || !/^[a-z][a-z0-9+.-]*:/i.test(source);
}

function checkPath(source: string): void {
  const plain = unquote(source);
  const [, path = ''] = /^[^:]*:(?:\/\/[^/]*)?([^?#]*)/.exec(plain) ?? [];
  const isRelative = plain.split('/').some((part) => part === '..' || part === '.');
  if (!isRelative && !plain.includes('\0') && path !== '') return;
  const kinds = 'If supplying a source as an http, https, local file path, ftp, objectstore, or mlflow-artifacts uri,';
  refuse(
    source,
    `${kinds} an absolute path must be provided without relative path references present. Please provide an absolute path.`,
  );
}

/** However often it was quoted. */
function unquote(source: string): string {
  let plain = source;
  for (let next = decode(plain); next !== plain; next = decode(plain)) plain = next;
  return plain;
}

function decode(text: string): string {
  return text.replaceAll(/%[0-9a-f]{2}/gi, (code) => String.fromCharCode(Number.parseInt(code.slice(1), 16)));
}

async function checkOwned(tracking: Tracking, { source, runId, modelId }: SourceClaim): Promise<void> {
  const owner = modelId ? 'model_id' : 'run_id';
  const refuseIt = (cause: unknown): never => refuse(source, mustIdentify(owner), cause);
  if (!modelId && !runId) refuseIt(undefined);
  const find = modelId ? getLoggedModelRow(tracking, modelId, false) : getRunRow(tracking, runId);
  const root = (await find.catch(refuseIt)).artifact_uri;
  if (source !== root && !source.startsWith(`${root}/`)) refuseIt(undefined);
}

function mustIdentify(owner: string): string {
  return `The ${owner} request parameter must identify the resource that contains the source.`;
}

function refuse(source: string, why: string, cause?: unknown): never {
  throw new StatusError('Invalid', `Invalid model version source: '${source}'. ${why}`, { cause });
}
