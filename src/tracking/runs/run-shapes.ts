/** Parts of requests about runs that MLflow's endpoints and the importers' share. */
import { z } from 'zod';
import { double, int64, keyValue, listOf, text } from '../request-shape.ts';

/** A point of a metric, as fields. */
export const metricFields = {
  key: text,
  value: double,
  timestamp: int64,
  step: int64.default(0),
  model_id: z.string().optional(),
  dataset_name: z.string().optional(),
  dataset_digest: z.string().optional(),
};

/** A data set that a run read. */
export const datasetInput = z.object({
  tags: listOf(keyValue),
  dataset: z.object({
    name: text,
    digest: text,
    source_type: z.string().default(''),
    source: z.string().default(''),
    schema: z.string().optional(),
    profile: z.string().optional(),
  }),
});
