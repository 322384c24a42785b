/** The tables of tracking as kysely sees them. Times are milliseconds since 1970; flags are 0 or 1 in both dialects. */

export type LifecycleStage = 'active' | 'deleted';
export type RunStatus = 'RUNNING' | 'SCHEDULED' | 'FINISHED' | 'FAILED' | 'KILLED';

/** Pending while its files are looked through, failed when they are dangerous. */
export type VersionStatus = 'PENDING_REGISTRATION' | 'FAILED_REGISTRATION' | 'READY';

/** What tags and parameters belong to. */
export type OwnerKind =
  | 'experiment'
  | 'run'
  | 'logged-model'
  | 'registered-model'
  | 'model-version'
  | 'trace'
  | 'trace-metadata'
  | 'trace-run';

export interface ExperimentRow {
  readonly experiment_id: string;
  /** Its tenant: a namespace of the cluster. */
  readonly workspace: string;
  readonly name: string;
  readonly artifact_location: string;
  readonly lifecycle_stage: LifecycleStage;
  readonly creation_time: number;
  readonly last_update_time: number;
}

export interface RunRow {
  readonly run_id: string;
  readonly experiment_id: string;
  readonly run_name: string;
  readonly user_id: string;
  readonly status: RunStatus;
  readonly start_time: number;
  readonly end_time: number | null;
  readonly artifact_uri: string;
  readonly lifecycle_stage: LifecycleStage;
}

/** NaN is kept as `is_nan` 1 and value 0, infinity as the largest number: both dialects sort those alike. */
export interface MetricRow {
  readonly run_id: string;
  readonly key: string;
  readonly timestamp: number;
  readonly step: number;
  readonly value: number;
  readonly is_nan: number;
}

export interface ModelMetricRow extends MetricRow {
  readonly model_id: string;
  readonly dataset_name: string;
  readonly dataset_digest: string;
}

export interface OwnedRow {
  readonly kind: OwnerKind;
  readonly owner: string;
  readonly key: string;
  readonly value: string;
}

/** A data set that a run read. `tags` is JSON; `context` is one of them, kept apart for search. */
export interface InputRow {
  readonly run_id: string;
  readonly name: string;
  readonly digest: string;
  readonly source_type: string;
  readonly source: string;
  readonly schema: string | null;
  readonly profile: string | null;
  readonly context: string | null;
  readonly tags: string;
}

/** A logged model that a run read or wrote. */
export interface RunModelRow {
  readonly run_id: string;
  readonly direction: 'input' | 'output';
  readonly model_id: string;
  readonly step: number;
}

export interface LoggedModelRow {
  readonly model_id: string;
  readonly experiment_id: string;
  readonly name: string;
  readonly model_type: string;
  readonly source_run_id: string;
  readonly artifact_uri: string;
  readonly status: string;
  readonly lifecycle_stage: LifecycleStage;
  readonly creation_time: number;
  readonly last_update_time: number;
}

/**
 * `model_key` stays when the model is renamed. `last_version` never goes back, so that no version number comes twice.
 */
export interface RegisteredModelRow {
  readonly model_key: string;
  readonly workspace: string;
  readonly name: string;
  readonly description: string;
  readonly last_version: number;
  readonly creation_time: number;
  readonly last_update_time: number;
}

export interface ModelVersionRow {
  readonly model_key: string;
  readonly version: number;
  readonly source: string;
  readonly run_id: string;
  readonly run_link: string;
  readonly model_id: string;
  readonly user_id: string;
  readonly stage: string;
  readonly description: string;
  readonly status: VersionStatus;
  /** Why it failed, or what it waits for. */
  readonly status_message: string;
  /** Of its files, as a tree in the blob store would have it; null while it is not known. */
  readonly digest: string | null;
  readonly size_bytes: number | null;
  readonly creation_time: number;
  readonly last_update_time: number;
}

export interface AliasRow {
  readonly model_key: string;
  readonly alias: string;
  readonly version: number;
}

/** One call of an application, as its spans tell it. Texts are previews; the whole is in the spans. */
export interface TraceRow {
  readonly trace_id: string;
  readonly experiment_id: string;
  readonly client_request_id: string | null;
  readonly timestamp_ms: number;
  readonly execution_time_ms: number | null;
  readonly state: string;
  readonly request_preview: string | null;
  readonly response_preview: string | null;
}

/** `content` is the span in OTLP's JSON; `attributes` are its attributes as texts by key, for search. */
export interface SpanRow {
  readonly trace_id: string;
  readonly span_id: string;
  readonly parent_span_id: string | null;
  readonly name: string;
  readonly type: string;
  readonly status: string;
  readonly start_us: number;
  /** Null while the step goes on. */
  readonly end_us: number | null;
  readonly attributes: string;
  readonly content: string;
}

/** What somebody thinks of a trace. `value` is a text for search, `content` the whole as MLflow shows it. */
export interface AssessmentRow {
  readonly assessment_id: string;
  readonly trace_id: string;
  readonly kind: AssessmentKind;
  readonly name: string;
  readonly value: string;
  readonly is_valid: number;
  readonly create_ms: number;
  readonly content: string;
}

/** An OpenLineage event, whole. */
export interface LineageEventRow {
  readonly workspace: string;
  readonly run_id: string;
  readonly event_type: string;
  readonly event_ms: number;
  readonly content: string;
}

export type LineageDirection = 'input' | 'output';

/** A job that reads or writes a version of a data set, and the newest run that did. */
export interface LineageEdgeRow {
  readonly workspace: string;
  readonly job_namespace: string;
  readonly job_name: string;
  readonly direction: LineageDirection;
  readonly namespace: string;
  readonly name: string;
  /** Empty when the event tells none. */
  readonly version: string;
  readonly run_id: string;
  readonly event_ms: number;
}

/** A repository of OCI artifacts has this blob; bytes are kept by content. */
export interface OciBlobRow {
  readonly workspace: string;
  readonly repository: string;
  readonly digest: string;
  /** Where its bytes are: the same digest, or that of the store when clients use another algorithm. */
  readonly content_digest: string;
  readonly size_bytes: number;
}

/** A manifest, to the byte. `subject` is the digest of what it is about, or empty. */
export interface OciManifestRow {
  readonly workspace: string;
  readonly repository: string;
  readonly digest: string;
  readonly media_type: string;
  readonly subject: string;
  readonly content: string;
}

export interface OciTagRow {
  readonly workspace: string;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

/** The manifest as which a version was pushed, to the byte; versions from elsewhere have none. */
export interface PushedVersionRow {
  readonly model_key: string;
  readonly version: number;
  readonly digest: string;
  readonly media_type: string;
  readonly content: string;
}

/** Who signed a version's files. `manifest_digest` is the referrer as which it was attached, or empty. */
export interface VersionSignatureRow {
  readonly model_key: string;
  readonly version: number;
  /** Of the content, `sha256:...`. */
  readonly digest: string;
  readonly kind: 'key' | 'certificate';
  readonly subject: string;
  readonly fingerprint: string;
  readonly creation_time: number;
  readonly size_bytes: number;
  readonly manifest_digest: string;
  /** A Sigstore bundle. */
  readonly content: string;
}

export type AssessmentKind = 'feedback' | 'expectation' | 'issue';

/** Table names to rows. */
export interface TrackingSchema {
  tracking_counters: { readonly name: string; readonly value: number };
  tracking_experiments: ExperimentRow;
  tracking_runs: RunRow;
  tracking_metrics: MetricRow;
  tracking_latest_metrics: MetricRow;
  tracking_model_metrics: ModelMetricRow;
  tracking_tags: OwnedRow;
  tracking_params: OwnedRow;
  tracking_inputs: InputRow;
  tracking_run_models: RunModelRow;
  tracking_logged_models: LoggedModelRow;
  tracking_registered_models: RegisteredModelRow;
  tracking_model_versions: ModelVersionRow;
  tracking_aliases: AliasRow;
  tracking_traces: TraceRow;
  tracking_spans: SpanRow;
  tracking_assessments: AssessmentRow;
  tracking_lineage_events: LineageEventRow;
  tracking_lineage_edges: LineageEdgeRow;
  tracking_oci_blobs: OciBlobRow;
  tracking_oci_manifests: OciManifestRow;
  tracking_oci_tags: OciTagRow;
  tracking_pushed_versions: PushedVersionRow;
  tracking_version_signatures: VersionSignatureRow;
}
