/** MLflow's experiment endpoints. Knows field names; experiments.ts knows what they do. */
import { z } from 'zod';
import { SEARCH_RESULTS_DEFAULT, SEARCH_RESULTS_MAX } from '../limits.ts';
import { countOf, keyValue, listOf, queryListOf, text } from '../request-shape.ts';
import { nextPage, type Route, route, toPageRequest } from '../route.ts';
import type { Tracking } from '../tracking.ts';
import {
  createExperiment,
  deleteExperimentTag,
  getExperiment,
  getExperimentByName,
  renameExperiment,
  searchExperiments,
  setExperimentStage,
  setExperimentTag,
} from './experiments.ts';
import { searchDatasets } from './run-inputs.ts';

const oneExperiment = z.object({ experiment_id: text });
const viewNames = ['ACTIVE_ONLY', 'DELETED_ONLY', 'ALL'] as const;

/** Lifecycle stages to show; enums may come as numbers too. */
export const viewType = z.preprocess(
  (value) => (/^[123]$/.test(String(value)) ? viewNames[Number(value) - 1] : value),
  z.enum(viewNames).default('ACTIVE_ONLY'),
);

const searchInput = z.object({
  max_results: countOf({ max: SEARCH_RESULTS_MAX, fallback: SEARCH_RESULTS_DEFAULT }),
  page_token: z.string().optional(),
  filter: z.string().default(''),
  order_by: queryListOf(z.string()),
  view_type: viewType,
});

async function search(tracking: Tracking, input: z.output<typeof searchInput>): Promise<object> {
  const { filter, order_by, view_type, max_results, page_token } = input;
  const page = toPageRequest(max_results, page_token);
  const found = await searchExperiments(tracking, { filter, orderBy: order_by, view: view_type, page });
  return { experiments: found.items, ...nextPage(found) };
}

/** Below `/mlflow`. */
export const experimentRoutes: readonly Route[] = [
  route('POST /experiments/create', {
    input: z.object({ name: text, artifact_location: z.string().optional(), tags: listOf(keyValue) }),
    answer: async (tracking, { name, artifact_location, tags }) => ({
      experiment_id: await createExperiment(tracking, { name, artifactLocation: artifact_location, tags }),
    }),
  }),
  route('POST /experiments/search', { input: searchInput, answer: search }),
  route('GET /experiments/search', { input: searchInput, answer: search }),
  route('GET /experiments/get', {
    input: oneExperiment,
    answer: async (tracking, { experiment_id }) => ({ experiment: await getExperiment(tracking, experiment_id) }),
  }),
  route('GET /experiments/get-by-name', {
    input: z.object({ experiment_name: text }),
    answer: async (tracking, input) => ({ experiment: await getExperimentByName(tracking, input.experiment_name) }),
  }),
  route('POST /experiments/delete', {
    input: oneExperiment,
    answer: async (tracking, { experiment_id }) => setExperimentStage(tracking, experiment_id, 'deleted').then(nothing),
  }),
  route('POST /experiments/restore', {
    input: oneExperiment,
    answer: async (tracking, { experiment_id }) => setExperimentStage(tracking, experiment_id, 'active').then(nothing),
  }),
  route('POST /experiments/update', {
    input: oneExperiment.extend({ new_name: text }),
    answer: async (tracking, input) => renameExperiment(tracking, input.experiment_id, input.new_name).then(nothing),
  }),
  route('POST /experiments/set-experiment-tag', {
    input: oneExperiment.extend(keyValue.shape),
    answer: async (tracking, { experiment_id, ...tag }) => setExperimentTag(tracking, experiment_id, tag).then(nothing),
  }),
  route('POST /experiments/delete-experiment-tag', {
    input: oneExperiment.extend({ key: text }),
    answer: async (tracking, { experiment_id, key }) => deleteExperimentTag(tracking, experiment_id, key).then(nothing),
  }),
  route('POST /experiments/search-datasets', {
    input: z.object({ experiment_ids: listOf(z.string()) }),
    answer: async (tracking, { experiment_ids }) => ({
      dataset_summaries: await searchDatasets(tracking, experiment_ids),
    }),
  }),
];

/** For work that answers nothing. */
export function nothing(): undefined {
  return undefined;
}
