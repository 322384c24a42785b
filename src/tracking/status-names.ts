/** MLflow's statuses, which clients and stores also write as numbers. */

/** In the order of MLflow's numbers. */
export const RUN_STATUSES = ['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED'] as const;

/** By MLflow's number, which begins at 1. */
export function findRunStatus(number: unknown): (typeof RUN_STATUSES)[number] | undefined {
  return RUN_STATUSES[Number(number) - 1];
}

/** By MLflow's number, which begins at 0. */
export const LOGGED_MODEL_STATUSES = [
  'LOGGED_MODEL_STATUS_UNSPECIFIED',
  'LOGGED_MODEL_PENDING',
  'LOGGED_MODEL_READY',
  'LOGGED_MODEL_UPLOAD_FAILED',
] as const;
