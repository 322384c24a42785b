/** From what tracking answers to the StatusError it was. Knows MLflow's error bodies. */
import { isJsonObject } from '../base/json.ts';
import { type Reason, StatusError } from '../kube/status-error.ts';
import { MLFLOW_ERRORS } from '../tracking/error-door.ts';

const PLAIN: readonly Reason[] = ['Invalid', 'BadRequest'];

/** The error of an answer that is none of the 200s. */
export function fromReasonOf(status: number, text: string): StatusError {
  const body = parse(text);
  const code = isJsonObject(body) ? body['error_code'] : undefined;
  const message = isJsonObject(body) ? String(body['message']) : `tracking answered ${status}`;
  const fits = Object.entries(MLFLOW_ERRORS).filter(([, wire]) => wire.code === code && wire.status === status);
  const reasons = fits.map(([reason]) => reason as Reason); // why: the table's keys are reasons
  // Several reasons share a code; of those, the plain ones are meant.
  const unknown = status === 404 ? 'NotFound' : 'InternalError';
  const reason = PLAIN.find((plain) => reasons.includes(plain)) ?? reasons[0] ?? unknown;
  return new StatusError(reason, message);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // why: some proxy's page; the status says enough
  }
}
