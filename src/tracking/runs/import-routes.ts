/** Where importers bring what another tracker kept. Of ours alone: MLflow has no such endpoints. */
import { z } from 'zod';
import { int64, keyValue, listOf, text } from '../request-shape.ts';
import { type Route, route } from '../route.ts';
import { RUN_STATUSES } from '../status-names.ts';
import type { Imported } from './imports.ts';
import {
  importExperiment,
  importLoggedModel,
  importMetrics,
  importRegisteredModel,
  importRun,
  importVersion,
} from './imports.ts';
import { datasetInput, metricFields } from './run-shapes.ts';

/** MLflow keeps the number in 32 bits. */
const VERSION_MAX = 2 ** 31 - 1;
const stage = z.enum(['active', 'deleted']).default('active');
const optional = z.string().default('');
const times = { creation_time: int64, last_update_time: int64 };
const values = listOf(keyValue);

const experiment = z.object({ name: text, lifecycle_stage: stage, tags: values });
const metrics = z.object({ run_id: text, metrics: listOf(z.object(metricFields)) });
const run = z.object({
  run: z.object({
    run_id: text,
    experiment_id: text,
    run_name: optional,
    user_id: optional,
    status: z.enum(RUN_STATUSES),
    start_time: int64,
    end_time: int64.nullable().default(null),
    lifecycle_stage: stage,
  }),
  params: values,
  tags: values,
  datasets: listOf(datasetInput),
  outputs: listOf(z.object({ model_id: text, step: int64.default(0) })),
});
const loggedModel = z.object({
  model: z.object({
    model_id: text,
    experiment_id: text,
    name: text,
    model_type: optional,
    source_run_id: optional,
    status: text,
    lifecycle_stage: stage,
    ...times,
  }),
  params: values,
  tags: values,
});
const registeredModel = z.object({ name: text, description: optional, tags: values });
const version = z.object({
  name: text,
  version: z.object({
    version: int64.pipe(z.int().min(1).max(VERSION_MAX)),
    source: optional,
    run_id: optional,
    run_link: optional,
    model_id: optional,
    user_id: optional,
    stage: z.string().default('None'),
    description: optional,
    ...times,
  }),
  tags: values,
});

/** Below `/mlflow`. */
export const importRoutes: readonly Route[] = [
  route('POST /athanor/import/experiment', {
    input: experiment,
    answer: async (tracking, { lifecycle_stage: lifecycleStage, ...rest }) =>
      toAnswer(await importExperiment(tracking, { ...rest, lifecycleStage })),
  }),
  route('POST /athanor/import/metrics', {
    input: metrics,
    answer: async (tracking, { run_id, metrics: points }) => {
      await importMetrics(tracking, run_id, points);
      return {};
    },
  }),
  route('POST /athanor/import/run', {
    input: run,
    answer: async (tracking, { run: row, ...rest }) => toAnswer(await importRun(tracking, { row, ...rest })),
  }),
  route('POST /athanor/import/logged-model', {
    input: loggedModel,
    answer: async (tracking, { model: row, ...rest }) => toAnswer(await importLoggedModel(tracking, { row, ...rest })),
  }),
  route('POST /athanor/import/registered-model', {
    input: registeredModel,
    answer: async (tracking, model) => toAnswer(await importRegisteredModel(tracking, model)),
  }),
  route('POST /athanor/import/model-version', {
    input: version,
    answer: async (tracking, { version: row, ...rest }) => toAnswer(await importVersion(tracking, { row, ...rest })),
  }),
];

function toAnswer({ id, isNew }: Imported) {
  return { id, is_new: isNew };
}
