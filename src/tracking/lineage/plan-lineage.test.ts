/** What the platform's objects tell of lineage. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LineageEvent } from './lineage.ts';
import { planDataset, planInferenceService, planTrainingJob } from './plan-lineage.ts';

const metadata = { name: 'digits', namespace: 'red', uid: '00000000-0000-4000-8000-000000000001' };
const DIGEST = `sha256:${'a'.repeat(64)}`;
const START = '2026-01-01T00:00:00Z';
const END = '2026-01-01T00:01:00Z';

type Job = Parameters<typeof planTrainingJob>[0];
type Data = Parameters<typeof planDataset>[0];
type Service = Parameters<typeof planInferenceService>[0];

/** Objects as the API server would give them; only what lineage reads is there. */
const job = (status: object) => ({ metadata, status }) as unknown as Job; // why: the rest is never read
const data = (source: object, versions: object[]) =>
  ({ metadata, spec: { source }, status: { versions } }) as unknown as Data; // why: as above
const service = (uri: string, status: string) =>
  ({
    metadata,
    spec: { model: { uri } },
    status: { conditions: [{ type: 'Ready', status, lastTransitionTime: START }] },
  }) as unknown as Service; // why: as above

const short = ({ eventType, eventTime, job: { name }, inputs = [], outputs = [] }: LineageEvent) => ({
  what: `${eventType} ${name} at ${eventTime}`,
  inputs: inputs.map(({ name: input, facets }) => `${input} ${facets?.version?.datasetVersion ?? ''}`.trim()),
  outputs: outputs.map(({ name: output, facets }) => `${output} ${facets?.version?.datasetVersion ?? ''}`.trim()),
});

const read = { datasets: [{ name: 'scans', digest: DIGEST }], code: { digest: 'sha256:c' } };
const inputs = [`dataset/scans ${DIGEST}`, 'code sha256:c'];
const outputs = { digest: 'sha256:o', files: 1, sizeBytes: 1 };

const cases: Readonly<Record<string, readonly [readonly LineageEvent[], readonly object[]]>> = {
  'a job that has not started tells nothing': [planTrainingJob(job({ phase: 'Pending' })), []],
  'a running job tells what it reads': [
    planTrainingJob(job({ phase: 'Running', startTime: START, ...read })),
    [{ what: `START training-job/digits at ${START}`, inputs, outputs: [] }],
  ],
  'a complete job tells what it wrote': [
    planTrainingJob(job({ phase: 'Complete', startTime: START, completionTime: END, ...read, outputs })),
    [
      { what: `START training-job/digits at ${START}`, inputs, outputs: [] },
      { what: `COMPLETE training-job/digits at ${END}`, inputs, outputs: ['outputs/digits sha256:o'] },
    ],
  ],
  'a failed job tells that it failed': [
    planTrainingJob(job({ phase: 'Failed', startTime: START, completionTime: END })).slice(1),
    [{ what: `FAIL training-job/digits at ${END}`, inputs: [], outputs: [] }],
  ],
  'a data set tells each version and where it is from': [
    planDataset(data({ url: { url: 'https://example.org/a/b.csv?x=1' } }, [{ digest: DIGEST, importedAt: END }])),
    [{ what: `COMPLETE dataset/digits at ${END}`, inputs: ['/a/b.csv'], outputs: [`dataset/digits ${DIGEST}`] }],
  ],
  'a data set of a folder tells the folder': [
    planDataset(data({ folder: { path: '/data' } }, [{ digest: DIGEST, importedAt: END }])),
    [{ what: `COMPLETE dataset/digits at ${END}`, inputs: ['/data'], outputs: [`dataset/digits ${DIGEST}`] }],
  ],
  'a service tells which version it serves': [
    planInferenceService(service('models:/digits/3', 'True')),
    [{ what: `RUNNING inference-service/digits at ${START}`, inputs: ['model/digits 3'], outputs: ['service/digits'] }],
  ],
  'a service that never answered tells nothing': [planInferenceService(service('models:/digits/3', 'False')), []],
  'a service of a blob tells its address': [
    planInferenceService(service(`blobs:/${DIGEST}`, 'True')).map((event) => event),
    [
      {
        what: `RUNNING inference-service/digits at ${START}`,
        inputs: [`blobs blobs:/${DIGEST}`],
        outputs: ['service/digits'],
      },
    ],
  ],
};

for (const [sentence, [events, want]] of Object.entries(cases)) {
  test(`planLineage: ${sentence}`, () => {
    assert.deepEqual(events.map(short), want);
    for (const { job: own, run } of events) {
      assert.equal(own.namespace, 'athanor://red');
      assert.equal(run.runId, metadata.uid);
    }
  });
}
