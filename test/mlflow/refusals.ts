/** Requests that one of the two servers refuses and the other does not, each with the reason. */
import type { Step } from './steps.ts';
import { differs, experiment, get, long, metric, patch, post, run, search } from './words.ts';

/** By what they try. */
export const refusals: Readonly<Record<string, readonly Step[]>> = {
  'what MLflow takes and we refuse, or the other way round': [
    experiment('e1'),
    run('r1', 'e1'),
    post('/logged-models', { experiment_id: '{e1}', name: 'lm' }, { m1: 'model.info.model_id' }),
    ...differs(
      'a body that is not JSON is refused as such, not taken for an empty one',
      post('/experiments/create', '{"name": '),
    ),
    ...differs(
      'a value of the wrong type or unknown is refused; MLflow drops it with all that follows and goes on',
      post('/experiments/search', { max_results: 1, view_type: 'SOME' }),
      post('/runs/update', { run_id: '{r1}', status: 'NONSENSE' }),
      post('/runs/create', { experiment_id: '0', tags: 'x' }),
      post('/runs/log-metric', { run_id: '{r1}', ...metric('bool', true) }),
      post('/runs/log-batch', { run_id: '{r1}', metrics: [metric('m', 'abc')] }),
      post('/runs/log-inputs', { run_id: '{r1}', datasets: [{ dataset: { name: 'iris' } }] }),
      post('/runs/log-inputs', { run_id: '{r1}', datasets: [{}] }),
      patch('/logged-models/{m1}', { model_id: '{m1}', status: 'NONSENSE' }),
    ),
    ...differs(
      'a filter that goes on where it ends is refused',
      search('metrics.acc > 0.6 AND'),
      search('AND metrics.acc > 0.6'),
      post('/experiments/search', { filter: "name = 'Default' AND", max_results: 10 }),
    ),
    ...differs(
      'every noun knows the same spellings and IN',
      post('/experiments/search', { filter: "attr.name = 'x'" }),
      post('/experiments/search', { filter: "name IN ('x', 'y')" }),
      search("params.model IN ('tree', 'x')"),
      search("params.model NOT IN ('tree', 'x')"),
      search("status IN ('FAILED')"),
    ),
    ...differs(
      'a name that PostgreSQL could not keep is refused everywhere',
      post('/registered-models/create', { name: long(257) }),
    ),
    ...differs(
      'a page of nothing is refused for every noun, as MLflow does for some',
      get('/registered-models/search', { max_results: '0' }),
    ),
    ...differs('a number is no text', get('/model-versions/search', { filter: "version_number = '1'" })),
    ...differs(
      "a stage that makes no way for others is the request's fault, not the server's",
      post('/model-versions/transition-stage', {
        name: 'nobody',
        version: '2',
        stage: 'None',
        archive_existing_versions: true,
      }),
    ),
    post('/logged-models/{m1}/params', { model_id: '{m1}', params: [{ key: 'q', value: '2' }] }),
    ...differs(
      'a parameter that changes is refused in the words used for runs, not in those of the database',
      post('/logged-models/{m1}/params', { model_id: '{m1}', params: [{ key: 'q', value: '3' }] }),
    ),
    post('/runs/log-metric', { run_id: '{r1}', ...metric('nan', 'NaN') }),
    ...differs(
      'NaN is a quoted text here as everywhere, since JSON has no such number',
      get('ajax/metrics/get-history-bulk', { run_id: '{r1}', metric_key: 'nan' }),
    ),
    ...differs(
      'a trace that is not there is not found, before the database says it in its own words',
      patch('3.0/traces/tr-nobody/tags', { key: 'a', value: 'b' }),
    ),
    post('/experiments/delete', { experiment_id: '{e1}' }),
    ...differs(
      "renaming what is deleted is the request's fault, not the server's",
      post('/experiments/update', { experiment_id: '{e1}', new_name: 'again' }),
    ),
  ],
};
