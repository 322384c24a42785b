/** Short ways to write steps. */
import type { Step } from './steps.ts';

/** A request with a body. */
export const post = (path: string, body: unknown, keep?: Step['keep']): Step => ({
  method: 'POST',
  path,
  body,
  ...(keep && { keep }),
});
/** A request with a query. */
export const get = (path: string, query: NonNullable<Step['query']> = {}): Step => ({ method: 'GET', path, query });
/** A change. */
export const patch = (path: string, body: unknown): Step => ({ method: 'PATCH', path, body });
/** A deletion. */
export const remove = (path: string, body: unknown = {}): Step => ({ method: 'DELETE', path, body });

/** Begins an experiment; its id is kept as `name`. */
export const experiment = (name: string): Step =>
  post('/experiments/create', { name: `${name} {unique}` }, { [name]: 'experiment_id' });

/** Begins a run; its id is kept as `name`. */
export const run = (name: string, experimentName: string, startTime = 1_000): Step =>
  post(
    '/runs/create',
    { experiment_id: `{${experimentName}}`, run_name: name, user_id: 'u', start_time: startTime },
    { [name]: 'run.info.run_id' },
  );

/** A point; by default of step 0 and time 10. */
export const metric = (key: string, value: unknown, ...[step = 0, timestamp = 10]: readonly number[]) => ({
  key,
  value,
  step,
  timestamp,
});
/** A search for runs of `e1`. */
export const search = (filter: string, more: object = {}): Step =>
  post('/runs/search', { experiment_ids: ['{e1}'], filter, ...more });
/** A text of so many characters. */
export const long = (length: number) => 'x'.repeat(length);

/** Steps whose answers are not MLflow's, and why. */
export const differs = (why: string, ...steps: readonly Step[]): readonly Step[] =>
  steps.map((step) => ({ ...step, differs: why }));
