/** What the platform's own jobs read and wrote, from their objects. Pure: the same object gives the same events. */
import type { DatasetSpec, DatasetStatus } from '../../kinds/dataset/kind.ts';
import type { InferenceServiceSpec, InferenceServiceStatus } from '../../kinds/inference-service/kind.ts';
import type { TrainingJobSpec, TrainingJobStatus } from '../../kinds/training-job/kind.ts';
import type { KubeObject, ObjectOf } from '../../kube/object.ts';
import type { LineageDataset, LineageEvent } from './lineage.ts';

/** Who tells it, as OpenLineage wants every event signed. */
export const PRODUCER = 'https://athanor.dev/lineage';

type TrainingJob = ObjectOf<TrainingJobSpec, TrainingJobStatus>;
type Dataset = ObjectOf<DatasetSpec, DatasetStatus>;
type InferenceService = ObjectOf<InferenceServiceSpec, InferenceServiceStatus>;

/** Nouns of the platform in one namespace of OpenLineage. */
export function namespaceOf(workspace: string): string {
  return `athanor://${workspace}`;
}

/** A noun of the platform, such as `model/digits`, with the version that was read or written. */
export function noun(workspace: string, name: string, version?: string): LineageDataset {
  const facets = version === undefined ? {} : { facets: { version: toFacet(version) } };
  return { namespace: namespaceOf(workspace), name, ...facets };
}

/** Its start, and its end when it has ended. */
export function planTrainingJob(job: TrainingJob): readonly LineageEvent[] {
  const { metadata, status } = job;
  const workspace = metadata.namespace ?? 'default';
  if (status?.startTime === undefined) return [];
  const inputs = (status.datasets ?? []).map(({ name, digest }) => noun(workspace, `dataset/${name}`, digest));
  const code = status.code === undefined ? [] : [noun(workspace, 'code', status.code.digest)];
  const start = toEvent(job, `training-job/${metadata.name}`, { type: 'START', time: status.startTime });
  const started = { ...start, inputs: [...inputs, ...code] };
  if (status.completionTime === undefined) return [started];
  const { outputs } = status;
  const made = outputs === undefined ? [] : [noun(workspace, `outputs/${metadata.name}`, outputs.digest)];
  const type = status.phase === 'Complete' ? 'COMPLETE' : 'FAIL';
  return [started, { ...started, eventType: type, eventTime: status.completionTime, outputs: made }];
}

/** One end for each version. */
export function planDataset(dataset: Dataset): readonly LineageEvent[] {
  const { metadata, spec, status } = dataset;
  const workspace = metadata.namespace ?? 'default';
  const inputs = [...findOrigin(spec.source)];
  return (status?.versions ?? []).map(({ digest, importedAt }) => ({
    ...toEvent(dataset, `dataset/${metadata.name}`, { type: 'COMPLETE', time: importedAt }),
    inputs,
    outputs: [noun(workspace, `dataset/${metadata.name}`, digest)],
  }));
}

/** From when it first answers: what it serves. */
export function planInferenceService(service: InferenceService): readonly LineageEvent[] {
  const { metadata, spec, status } = service;
  const workspace = metadata.namespace ?? 'default';
  const ready = status?.conditions?.find(({ type, status: value }) => type === 'Ready' && value === 'True');
  if (ready?.lastTransitionTime === undefined) return [];
  const [, name, version] = /^models:\/([^/@]+)[/@]([^/@]+)$/.exec(spec.model.uri) ?? [];
  const model =
    name === undefined ? noun(workspace, 'blobs', spec.model.uri) : noun(workspace, `model/${name}`, version);
  const event = toEvent(service, `inference-service/${metadata.name}`, {
    type: 'RUNNING',
    time: ready.lastTransitionTime,
  });
  return [{ ...event, inputs: [model], outputs: [noun(workspace, `service/${metadata.name}`)] }];
}

function findOrigin({ folder, url }: DatasetSpec['source']): readonly LineageDataset[] {
  if (folder !== undefined) return [{ namespace: 'file', name: folder.path }];
  if (url === undefined || !URL.canParse(url.url)) return [];
  const { origin, pathname } = new URL(url.url);
  return [{ namespace: origin, name: pathname }];
}

function toEvent(
  { metadata }: KubeObject,
  name: string,
  { type, time }: { readonly type: string; readonly time: string },
): LineageEvent {
  return {
    eventType: type,
    eventTime: time,
    producer: PRODUCER,
    run: { runId: metadata.uid ?? '' },
    job: { namespace: namespaceOf(metadata.namespace ?? 'default'), name },
  };
}

function toFacet(datasetVersion: string) {
  const schema = 'https://openlineage.io/spec/facets/1-0-1/DatasetVersionDatasetFacet.json';
  return { _producer: PRODUCER, _schemaURL: schema, datasetVersion };
}
