/** The older way to note a model on a run: a list of JSON objects in one tag. logged-models.ts is the newer one. */
import { isJsonObject } from '../../base/json.ts';
import { StatusError } from '../../kube/status-error.ts';
import { readOwned } from '../owned-values.ts';
import { logBatch } from '../runs/runs.ts';
import type { Tracking } from '../tracking.ts';

const TAG = 'mlflow.log-model.history';
const MANDATORY_FIELDS = ['run_id', 'utc_time_created', 'artifact_path', 'flavors'];

/** Adds the model, a JSON object, to the run's list. @throws Invalid when it is none; NotFound */
export async function recordModel(tracking: Tracking, runId: string, modelJson: string): Promise<void> {
  const model = parse(modelJson);
  const missing = MANDATORY_FIELDS.filter((field) => !isJsonObject(model) || !(field in model));
  if (missing.length > 0) {
    const fields = missing.map((field) => `'${field}'`).join(', ');
    throw new StatusError('Invalid', `Model json is missing mandatory fields: {${fields}}`);
  }
  const owned = await readOwned(tracking, 'tracking_tags', { kind: 'run', owners: [runId] });
  const before = parse(owned.get(runId)?.find(({ key }) => key === TAG)?.value ?? '[]');
  const value = JSON.stringify([...(Array.isArray(before) ? before : []), model]);
  await logBatch(tracking, runId, { metrics: [], params: [], tags: [{ key: TAG, value }] });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new StatusError('Invalid', `Malformed model info. \n ${text} \n is not a valid JSON.`, { cause: error });
  }
}
