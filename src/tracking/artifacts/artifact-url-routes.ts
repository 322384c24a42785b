/** Signed URLs of a run's or a logged model's files, where the blob store gives any; else MLflow's own refusal. */
import { z } from 'zod';
import { StatusError } from '../../kube/status-error.ts';
import { getLoggedModelRow } from '../models/logged-models.ts';
import { int64, text } from '../request-shape.ts';
import { type Route, route } from '../route.ts';
import { getRunRow } from '../runs/runs.ts';
import type { Tracking } from '../tracking.ts';
import { artifactKey, findArtifactPath } from './artifacts.ts';

const SECONDS_MAX = 604_800;
const UPLOAD_SECONDS = 900;
const DOWNLOAD_SECONDS = 300;

/** Below `/mlflow`. */
export const artifactUrlRoutes: readonly Route[] = [
  route('POST /artifacts/presigned-upload-url', {
    input: z.object({
      run_id: z.string().default(''),
      model_id: z.string().default(''),
      path: text,
      expiration: int64.default(UPLOAD_SECONDS),
    }),
    answer: async (tracking, { run_id, model_id, path, expiration }) => {
      if ((run_id === '') === (model_id === ''))
        throw new StatusError('Invalid', 'Exactly one of run_id and model_id must be provided.');
      checkSeconds(expiration);
      const uri = run_id === '' ? await modelUri(tracking, model_id) : await runUri(tracking, run_id);
      const { direct, key } = findPlace(tracking, { uri, path, what: 'Presigned upload is not supported for' });
      return { presigned_url: await direct.signWrite(key, expiration), headers: {} };
    },
  }),
  route('POST /artifacts/presigned-download-url', {
    input: z.object({ run_id: text, path: text, expiration: int64.default(DOWNLOAD_SECONDS) }),
    answer: async (tracking, { run_id, path, expiration }) => {
      checkSeconds(expiration);
      const uri = await runUri(tracking, run_id);
      const what = 'Presigned download is not supported for runs with';
      const { direct, key } = findPlace(tracking, { uri, path, what });
      const { url, sizeBytes } = await direct.signRead(key, expiration);
      return { presigned_url: url, headers: {}, file_size: sizeBytes };
    },
  }),
];

async function runUri(tracking: Tracking, runId: string): Promise<string> {
  return (await getRunRow(tracking, runId)).artifact_uri;
}

async function modelUri(tracking: Tracking, modelId: string): Promise<string> {
  return (await getLoggedModelRow(tracking, modelId, false)).artifact_uri;
}

/** Longer ones would be dead on arrival: stores refuse them when they are used. */
function checkSeconds(seconds: number): void {
  if (seconds >= 1 && seconds <= SECONDS_MAX) return;
  throw new StatusError('Invalid', `expiration must be between 1 and ${SECONDS_MAX} seconds (got ${seconds}).`);
}

interface Place {
  readonly uri: string;
  readonly path: string;
  readonly what: string;
}

function findPlace({ blobs: { direct } }: Tracking, { uri, path, what }: Place) {
  const root = findArtifactPath(uri);
  if (direct !== undefined && root !== undefined) return { direct, key: artifactKey(`${root}/${path}`) };
  const scheme = uri.slice(0, uri.indexOf(':'));
  const owner = what.includes('runs') ? 'a run with a' : 'a';
  throw new StatusError(
    'Invalid',
    `${what} proxied artifact storage (artifact URI scheme: ${scheme}). This endpoint requires ${owner} direct cloud storage artifact URI.`,
  );
}
