/**
 * MLflow's model registry endpoints. Knows field names; registered-models.ts and model-versions.ts know what they do.
 */
import { z } from 'zod';
import { MODEL_RESULTS_DEFAULT, MODEL_RESULTS_MAX, VERSION_RESULTS_DEFAULT, VERSION_RESULTS_MAX } from '../limits.ts';
import { countOf, keyValue, listOf, queryListOf, text } from '../request-shape.ts';
import { nextPage, type Route, route, toPageRequest } from '../route.ts';
import { nothing } from '../runs/experiment-routes.ts';
import type { Tracking } from '../tracking.ts';
import { judgeNew } from './judge-version.ts';
import { getLoggedModelRow } from './logged-models.ts';
import {
  createVersion,
  deleteVersion,
  deleteVersionTag,
  describeVersion,
  getLatestVersions,
  getVersion,
  searchVersions,
  setStage,
  setVersionTag,
  type VersionId,
} from './model-versions.ts';
import { isPrompt } from './prompts.ts';
import {
  createModel,
  deleteAlias,
  deleteModel,
  deleteModelTag,
  getAliasedVersion,
  getModelRow,
  searchModels,
  setAlias,
  setModelTag,
  updateModel,
} from './registered-models.ts';
import { showModels, showVersions } from './registry-view.ts';
import { recordVersion } from './version-lineage.ts';
import { checkSource } from './version-source.ts';
import { checkUsable } from './version-status.ts';

const oneModel = z.object({ name: text });
const oneVersion = oneModel.extend({ version: z.coerce.string().min(1) });
const someModel = oneModel.extend({ description: z.string().default('') });
const latestInput = oneModel.extend({ stages: queryListOf(z.string()) });
const searchInput = z.object({
  filter: z.string().default(''),
  order_by: queryListOf(z.string()),
  page_token: z.string().optional(),
});
const searchModelsInput = searchInput.extend({
  max_results: countOf({ max: MODEL_RESULTS_MAX, fallback: MODEL_RESULTS_DEFAULT }),
});
const searchVersionsInput = searchInput.extend({
  max_results: countOf({ max: VERSION_RESULTS_MAX, fallback: VERSION_RESULTS_DEFAULT }),
});

function toSearch({ filter, max_results, order_by, page_token }: z.output<typeof searchModelsInput>) {
  const page = toPageRequest(max_results, page_token);
  return { filter, orderBy: order_by, view: 'ALL', page } as const;
}

async function showModel(tracking: Tracking, name: string): Promise<object> {
  const [registered_model] = await showModels(tracking, [await getModelRow(tracking, name)]);
  return { registered_model };
}

async function showVersion(tracking: Tracking, id: VersionId): Promise<object> {
  const [model_version] = await showVersions(tracking, [await getVersion(tracking, id)]);
  return { model_version };
}

async function showLatest(tracking: Tracking, { name, stages }: z.output<typeof latestInput>): Promise<object> {
  return { model_versions: await showVersions(tracking, await getLatestVersions(tracking, name, stages)) };
}

const modelRoutes: readonly Route[] = [
  route('POST /registered-models/create', {
    input: someModel.extend({ tags: listOf(keyValue) }),
    answer: async (tracking, input) => {
      await createModel(tracking, input);
      return showModel(tracking, input.name);
    },
  }),
  route('GET /registered-models/get', {
    input: oneModel,
    answer: async (tracking, { name }) => showModel(tracking, name),
  }),
  route('POST /registered-models/rename', {
    input: oneModel.extend({ new_name: text }),
    answer: async (tracking, { name, new_name }) => {
      await updateModel(tracking, name, { newName: new_name });
      return showModel(tracking, new_name);
    },
  }),
  route('PATCH /registered-models/update', {
    input: someModel,
    answer: async (tracking, { name, description }) => {
      await updateModel(tracking, name, { description });
      return showModel(tracking, name);
    },
  }),
  route('DELETE /registered-models/delete', {
    input: oneModel,
    answer: async (tracking, { name }) => deleteModel(tracking, name).then(nothing),
  }),
  route('GET /registered-models/search', {
    input: searchModelsInput,
    answer: async (tracking, input) => {
      const found = await searchModels(tracking, toSearch(input));
      return { registered_models: await showModels(tracking, found.items), ...nextPage(found) };
    },
  }),
  route('POST /registered-models/get-latest-versions', { input: latestInput, answer: showLatest }),
  route('GET /registered-models/get-latest-versions', { input: latestInput, answer: showLatest }),
  route('POST /registered-models/set-tag', {
    input: oneModel.extend(keyValue.shape),
    answer: async (tracking, { name, ...tag }) => setModelTag(tracking, name, tag).then(nothing),
  }),
  route('DELETE /registered-models/delete-tag', {
    input: oneModel.extend({ key: text }),
    answer: async (tracking, { name, key }) => deleteModelTag(tracking, name, key).then(nothing),
  }),
  route('POST /registered-models/alias', {
    input: oneVersion.extend({ alias: text }),
    answer: async (tracking, { name, ...alias }) => setAlias(tracking, name, alias).then(nothing),
  }),
  route('DELETE /registered-models/alias', {
    input: oneModel.extend({ alias: text }),
    answer: async (tracking, { name, alias }) => deleteAlias(tracking, name, alias).then(nothing),
  }),
  route('GET /registered-models/alias', {
    input: oneModel.extend({ alias: text }),
    answer: async (tracking, { name, alias }) =>
      showVersion(tracking, { name, version: await getAliasedVersion(tracking, name, alias) }),
  }),
];

const versionRoutes: readonly Route[] = [
  route('POST /model-versions/create', {
    input: someModel.extend({
      source: text,
      run_id: z.string().default(''),
      run_link: z.string().default(''),
      model_id: z.string().default(''),
      tags: listOf(keyValue),
    }),
    answer: async (tracking, { run_id, run_link, model_id, ...input }, { user }) => {
      const ids = { runId: run_id, runLink: run_link, modelId: model_id, userId: user };
      // A prompt is a text in a tag: its source leads nowhere.
      const hasFiles = !isPrompt(input.tags);
      if (hasFiles) await checkSource(tracking, { ...ids, source: input.source });
      const status = hasFiles ? 'PENDING_REGISTRATION' : 'READY';
      const made = await createVersion(tracking, { ...input, ...ids, status });
      if (hasFiles) await judgeNew(tracking, made, input.source);
      await recordVersion(tracking, { name: input.name, version: String(made.version), runId: run_id });
      return showVersion(tracking, { name: input.name, version: String(made.version) });
    },
  }),
  route('GET /model-versions/get', { input: oneVersion, answer: showVersion }),
  route('PATCH /model-versions/update', {
    input: oneVersion.extend({ description: z.string().default('') }),
    answer: async (tracking, { description, ...id }) => {
      await describeVersion(tracking, id, description);
      return showVersion(tracking, id);
    },
  }),
  route('POST /model-versions/transition-stage', {
    input: oneVersion.extend({ stage: text, archive_existing_versions: z.boolean().default(false) }),
    answer: async (tracking, { stage, archive_existing_versions, ...id }) => {
      await setStage(tracking, id, { stage, archiveOthers: archive_existing_versions });
      return showVersion(tracking, id);
    },
  }),
  route('DELETE /model-versions/delete', {
    input: oneVersion,
    answer: async (tracking, id) => deleteVersion(tracking, id).then(nothing),
  }),
  route('GET /model-versions/search', {
    input: searchVersionsInput,
    answer: async (tracking, input) => {
      const found = await searchVersions(tracking, toSearch(input));
      return { model_versions: await showVersions(tracking, found.items), ...nextPage(found) };
    },
  }),
  route('GET /model-versions/get-download-uri', {
    input: oneVersion,
    answer: async (tracking, id) => ({ artifact_uri: await findDownloadUri(tracking, id) }),
  }),
  route('POST /model-versions/set-tag', {
    input: oneVersion.extend(keyValue.shape),
    answer: async (tracking, { key, value, ...id }) => setVersionTag(tracking, id, { key, value }).then(nothing),
  }),
  route('DELETE /model-versions/delete-tag', {
    input: oneVersion.extend({ key: text }),
    answer: async (tracking, { key, ...id }) => deleteVersionTag(tracking, id, key).then(nothing),
  }),
];

/** Below `/mlflow`. */
export const registryRoutes: readonly Route[] = [...modelRoutes, ...versionRoutes];

/** A source of `models:/m-...` names a logged model: its files are where that model's are. */
async function findDownloadUri(tracking: Tracking, id: VersionId): Promise<string> {
  const version = await getVersion(tracking, id);
  checkUsable(version);
  const { source } = version;
  const modelId = /^models:\/(m-[^/]+)$/.exec(source)?.[1];
  return modelId === undefined ? source : (await getLoggedModelRow(tracking, modelId, true)).artifact_uri;
}
