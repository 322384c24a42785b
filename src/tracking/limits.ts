/** How large things may be: MLflow's own limits (mlflow/utils/validation.py of 3.17), which its client assumes. */

/** As MLflow's own server and client have them. */
export const KEY_LENGTH_MAX = 250;
export const PARAM_VALUE_LENGTH_MAX = 6_000;
export const RUN_TAG_VALUE_LENGTH_MAX = 8_000;
export const EXPERIMENT_TAG_VALUE_LENGTH_MAX = 20_000;
export const MODEL_TAG_VALUE_LENGTH_MAX = 100_000;
export const EXPERIMENT_NAME_LENGTH_MAX = 500;
export const MODEL_NAME_LENGTH_MAX = 256;
/** Fields of a data set that a run reads. */
export const DATASET_LENGTHS_MAX = {
  name: 500,
  digest: 36,
  source: 65_535,
  schema: 1_048_575,
  profile: 16_777_215,
} as const;
/** Tags of such an input. */
export const INPUT_TAG_KEY_LENGTH_MAX = 255;
export const INPUT_TAG_VALUE_LENGTH_MAX = 500;
/** Names and batches. */
export const ALIAS_LENGTH_MAX = 255;
export const METRICS_PER_BATCH_MAX = 1_000;
export const PARAMS_PER_BATCH_MAX = 100;
export const TAGS_PER_BATCH_MAX = 100;
export const ITEMS_PER_BATCH_MAX = 1_000;
export const DATASETS_PER_BATCH_MAX = 1_000;
export const BATCH_BODY_BYTES_MAX = 1_000_000;
/** Traces of one page, and of one request for whole traces. */
export const TRACE_RESULTS_DEFAULT = 100;
export const TRACE_RESULTS_MAX = 500;
export const TRACE_VALUE_LENGTH_MAX = 8_000;
export const PREVIEW_LENGTH_MAX = 1_000;
/** OTLP requests, after unpacking. */
export const OTLP_BODY_BYTES_MAX = 64 * 1024 * 1024;
/** Other bodies: a data set's profile alone may have 16 MB. */
export const BODY_BYTES_MAX = 32 * 1024 * 1024;
export const SEARCH_RESULTS_MAX = 50_000;
export const SEARCH_RESULTS_DEFAULT = 1_000;
export const MODEL_RESULTS_DEFAULT = 100;
export const MODEL_RESULTS_MAX = 1_000;
export const VERSION_RESULTS_DEFAULT = 10_000;
export const VERSION_RESULTS_MAX = 200_000;
export const HISTORY_PAGE_MAX = 25_000;
/** Models up to this are looked through before their registration is acknowledged. */
export const JUDGE_AT_ONCE_BYTES_MAX = 64 * 1024 * 1024;
/** How far a source may lead from model to model. */
export const SOURCE_STEPS_MAX = 5;
/** Runs whose histories one request may ask for, and sampled points of each. */
export const BULK_RUNS_MAX = 100;
export const SAMPLE_POINTS_MAX = 2_500;
/** Experiments whose data sets one request may ask for, and data sets in the answer. */
export const DATASET_SEARCH_EXPERIMENTS_MAX = 20;
export const DATASET_SUMMARIES_MAX = 1_000;
/** A signature names every file of its model. */
export const SIGNATURE_BYTES_MAX = 8 * 1024 * 1024;
export const SIGNATURES_PER_VERSION_MAX = 100;
