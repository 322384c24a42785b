/** MLflow's logged-model endpoints. Knows field names; logged-models.ts knows what they do. */
import { z } from 'zod';
import { findArtifactPath, listArtifacts } from '../artifacts/artifacts.ts';
import { MODEL_RESULTS_DEFAULT } from '../limits.ts';
import { countOf, keyValue, listOf, text } from '../request-shape.ts';
import { nextPage, type Route, route, toPageRequest } from '../route.ts';
import { nothing } from '../runs/experiment-routes.ts';
import { LOGGED_MODEL_STATUSES } from '../status-names.ts';
import {
  changeLoggedModel,
  createLoggedModel,
  deleteLoggedModelTag,
  getLoggedModel,
  getLoggedModelRow,
  logModelParams,
  searchLoggedModels,
  setLoggedModelTags,
} from './logged-models.ts';

const oneModel = z.object({ model_id: text });
const searchInput = z.object({
  experiment_ids: z.array(z.string()),
  filter: z.string().default(''),
  max_results: countOf({ max: MODEL_RESULTS_DEFAULT, fallback: MODEL_RESULTS_DEFAULT }),
  order_by: listOf(z.object({ field_name: text, ascending: z.boolean().default(true) })),
  page_token: z.string().optional(),
});

/** Below `/mlflow`. */
export const loggedModelRoutes: readonly Route[] = [
  route('POST /logged-models', {
    input: z.object({
      experiment_id: text,
      name: z.string().default(''),
      model_type: z.string().default(''),
      source_run_id: z.string().default(''),
      params: listOf(keyValue),
      tags: listOf(keyValue),
    }),
    answer: async (tracking, { experiment_id, name, model_type, source_run_id, params, tags }) => {
      const sources = { experimentId: experiment_id, modelType: model_type, sourceRunId: source_run_id };
      return { model: await createLoggedModel(tracking, { name, params, tags, ...sources }) };
    },
  }),
  route('POST /logged-models/search', {
    input: searchInput,
    answer: async (tracking, { experiment_ids, filter, order_by, max_results, page_token }) => {
      const page = toPageRequest(max_results, page_token);
      const search = { experimentIds: experiment_ids, filter, orderBy: order_by, page };
      const found = await searchLoggedModels(tracking, search);
      return { models: found.items, ...nextPage(found) };
    },
  }),
  route('GET /logged-models/:model_id', {
    input: oneModel.extend({ allow_deleted: z.stringbool().default(false) }),
    answer: async (tracking, { model_id, allow_deleted }) => ({
      model: await getLoggedModel(tracking, model_id, allow_deleted),
    }),
  }),
  route('PATCH /logged-models/:model_id', {
    input: oneModel.extend({
      status: z.preprocess((value) => LOGGED_MODEL_STATUSES[Number(value)] ?? value, z.enum(LOGGED_MODEL_STATUSES)),
    }),
    answer: async (tracking, { model_id, status }) => {
      await changeLoggedModel(tracking, model_id, { status });
      return { model: await getLoggedModel(tracking, model_id, false) };
    },
  }),
  route('DELETE /logged-models/:model_id', {
    input: oneModel,
    answer: async (tracking, { model_id }) =>
      changeLoggedModel(tracking, model_id, { lifecycle_stage: 'deleted' }).then(nothing),
  }),
  route('POST /logged-models/:model_id/params', {
    input: oneModel.extend({ params: listOf(keyValue) }),
    answer: async (tracking, { model_id, params }) => logModelParams(tracking, model_id, params).then(nothing),
  }),
  route('PATCH /logged-models/:model_id/tags', {
    input: oneModel.extend({ tags: listOf(keyValue) }),
    answer: async (tracking, { model_id, tags }) => {
      await setLoggedModelTags(tracking, model_id, tags);
      return {};
    },
  }),
  route('DELETE /logged-models/:model_id/tags/:tag_key', {
    input: oneModel.extend({ tag_key: text }),
    answer: async (tracking, { model_id, tag_key }) => deleteLoggedModelTag(tracking, model_id, tag_key).then(nothing),
  }),
  route('GET /logged-models/:model_id/artifacts/directories', {
    input: oneModel.extend({ artifact_directory_path: z.string().default('') }),
    answer: async (tracking, { model_id, artifact_directory_path }) => {
      const { artifact_uri } = await getLoggedModelRow(tracking, model_id, false);
      const root = findArtifactPath(artifact_uri);
      const files = root === undefined ? [] : await listArtifacts(tracking.blobs, artifact_directory_path, root);
      return { root_uri: artifact_uri, files };
    },
  }),
];
