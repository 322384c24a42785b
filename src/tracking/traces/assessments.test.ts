/** Many who change one assessment at once, at one server and at two on one database: no change is lost. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { useBothDatabases } from '../../../test/both-databases.ts';
import type { TrackingServer } from '../server.ts';
import { startTestTracking } from '../test-tracking.ts';
import type { Assessment } from './assessments.ts';

const WRITERS = 20;
const { home, databases } = useBothDatabases();

for (const [dialect, open] of Object.entries(databases)) {
  const count = dialect === 'PostgreSQL' ? 2 : 1;
  describe(`assessments that many change, at ${count} on ${dialect}`, () => {
    let servers: readonly TrackingServer[] = [];
    before(async () => {
      const database = await open();
      servers = await Promise.all(Array.from({ length: count }, () => startTestTracking({ home, database })));
    });
    after(async () => void (await Promise.all(servers.map((server) => server.close()))));

    async function ask<T>(index: number, place: string, body?: object): Promise<T> {
      const [method = '', path = ''] = place.split(' ');
      const url = `${servers[index % servers.length]?.url}/api/3.0/mlflow/${path}`;
      const response = await fetch(url, { method, ...(body && { body: JSON.stringify(body) }) });
      const text = await response.text();
      assert.equal(response.status, 200, text);
      return JSON.parse(text || '{}') as T; // why: each caller knows the answer's shape
    }
    const inParallel = (act: (index: number) => Promise<unknown>) =>
      Promise.all(Array.from({ length: WRITERS }, (_, index) => act(index)));

    async function createAssessment(traceId: string, more: object = {}): Promise<Assessment> {
      const trace_location = { type: 'MLFLOW_EXPERIMENT', mlflow_experiment: { experiment_id: '0' } };
      const trace_info = { trace_id: traceId, trace_location, request_time: '2026-01-01T00:00:00Z', state: 'OK' };
      await ask(0, 'POST traces', { trace: { trace_info } });
      return add(0, traceId, more);
    }
    async function add(index: number, traceId: string, more: object): Promise<Assessment> {
      const assessment = { assessment_name: 'good', feedback: { value: true }, ...more };
      const made = ask<{ assessment: Assessment }>(index, `POST traces/${traceId}/assessments`, { assessment });
      return (await made).assessment;
    }
    const placeOf = ({ trace_id, assessment_id }: Assessment) => `traces/${trace_id}/assessments/${assessment_id}`;
    const read = async (one: Assessment) =>
      (await ask<{ assessment: Assessment }>(1, `GET ${placeOf(one)}`)).assessment;

    test('everything that is said of it stays', async () => {
      const made = await createAssessment('tr-many');
      await inParallel((index) =>
        ask(index, `PATCH ${placeOf(made)}`, { assessment: { metadata: { [`writer-${index}`]: 'was here' } } }),
      );
      assert.equal(Object.keys((await read(made)).metadata ?? {}).length, WRITERS);
    });

    test('one that is overridden while it is changed counts no more, and is changed', async () => {
      const made = await createAssessment('tr-overridden');
      await inParallel((index) =>
        index === WRITERS / 2
          ? add(index, 'tr-overridden', { overrides: made.assessment_id })
          : ask(index, `PATCH ${placeOf(made)}`, { assessment: { metadata: { [`writer-${index}`]: 'was here' } } }),
      );
      const { valid, metadata } = await read(made);
      assert.deepEqual([valid, Object.keys(metadata ?? {}).length], [false, WRITERS - 1]);
    });
  });
}
