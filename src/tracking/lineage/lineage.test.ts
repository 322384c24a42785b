/** Lineage over HTTP, told by OpenLineage's own client from PyPI, on both databases. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { useBothDatabases } from '../../../test/both-databases.ts';
import { ensureVenv } from '../../../test/python.ts';
import type { TrackingServer } from '../server.ts';
import { startTestTracking } from '../test-tracking.ts';
import type { LineageNode } from './lineage.ts';

const SCRIPT = join(import.meta.dirname, 'openlineage-client.py');
const { home, databases } = useBothDatabases();

/** What one may ask of a server that was told; by sentence. */
const promises: Readonly<Record<string, (url: string) => Promise<void>>> = {
  'all that a node is related to is found': async (url) => {
    assert.deepEqual(await ids(url, { nodeId: 'dataset:s3://lake:model' }), [
      'dataset:s3://lake:clean',
      'dataset:s3://lake:labels',
      'dataset:s3://lake:model',
      'dataset:s3://lake:raw',
      'dataset:s3://lake:service',
      'job:jobs:clean',
      'job:jobs:serve',
      'job:jobs:train',
    ]);
  },
  'up leads to what it was made of and down to what it became': async (url) => {
    const up = await ids(url, { nodeId: 'dataset:s3://lake:model', way: 'up' });
    assert.deepEqual(
      up.filter((id) => id.startsWith('job:')),
      ['job:jobs:clean', 'job:jobs:train'],
    );
    const down = await ids(url, { nodeId: 'dataset:s3://lake:raw', way: 'down' });
    assert.ok(down.includes('dataset:s3://lake:service') && !down.includes('dataset:s3://lake:labels'), String(down));
  },
  'a depth cuts the way short': async (url) => {
    assert.deepEqual(await ids(url, { nodeId: 'dataset:s3://lake:model', way: 'up', depth: '1' }), [
      'dataset:s3://lake:model',
      'job:jobs:train',
    ]);
  },
  'nodes tell versions, runs and edges': async (url) => {
    const { graph } = (await ask(url, { nodeId: 'job:jobs:train', depth: '1' })).body;
    const train = graph.find(({ id }) => id === 'job:jobs:train');
    assert.equal(train?.data.runId, '00000000-0000-4000-8000-00000000000b');
    assert.deepEqual(train?.inEdges.map(({ origin }) => origin).sort(), [
      'dataset:s3://lake:clean',
      'dataset:s3://lake:labels',
    ]);
    assert.deepEqual(graph.find(({ id }) => id === 'dataset:s3://lake:labels')?.data.versions, ['7']);
  },
  'the events of a run are kept whole': async (url) => {
    const response = await fetch(`${url}/api/v1/lineage/runs/00000000-0000-4000-8000-00000000000b`);
    const { events } = (await response.json()) as { events: { eventType: string; producer: string }[] };
    assert.deepEqual(
      events.map(({ eventType }) => eventType),
      ['START', 'COMPLETE'],
    );
    assert.equal(events[0]?.producer, 'https://example.org/test');
  },
  'what is not known has no graph, and what is no node is refused': async (url) => {
    assert.deepEqual((await ask(url, { nodeId: 'job:jobs:nobody' })).body.graph, []);
    assert.equal((await ask(url, { nodeId: 'nonsense' })).status, 400);
    assert.equal((await ask(url, { nodeId: 'job:jobs:train', depth: '0' })).status, 400);
  },
  'an event without a job, with a bad time or a bad id changes nothing': async (url) => {
    const good = {
      eventTime: '2026-01-01T00:00:00Z',
      producer: 'p',
      run: { runId: '00000000-0000-4000-8000-00000000000d' },
      job: { namespace: 'jobs', name: 'bad' },
      outputs: [{ namespace: 'n', name: 'bad' }],
    };
    const bad = [{ ...good, job: {} }, { ...good, eventTime: 'soon' }, { ...good, run: { runId: 'x' } }, 'text'];
    for (const body of [...bad, [good, { ...good, job: {} }]]) {
      const response = await fetch(`${url}/api/v1/lineage`, { method: 'POST', body: JSON.stringify(body) });
      assert.equal(response.status, 400, await response.text());
    }
    assert.deepEqual((await ask(url, { nodeId: 'dataset:n:bad' })).body.graph, []);
  },
};

for (const [dialect, open] of Object.entries(databases)) {
  describe(`lineage on ${dialect}`, () => {
    let server: TrackingServer;
    before(async () => {
      const database = await open();
      server = await startTestTracking({ home, database });
      const { python } = await ensureVenv(['openlineage-python==1.54.0']);
      const env = { PATH: process.env['PATH'], HOME: home, NO_PROXY: '127.0.0.1' };
      const { stdout } = await promisify(execFile)(python, [SCRIPT, server.url], { env, timeout: 120_000 });
      assert.match(stdout, /all good/);
    });
    after(() => server.close());
    for (const [sentence, keeps] of Object.entries(promises)) test(sentence, () => keeps(server.url));
  });
}

async function ask(url: string, query: Record<string, string>) {
  const response = await fetch(`${url}/api/v1/lineage?${new URLSearchParams(query)}`);
  return { status: response.status, body: (await response.json()) as { graph: LineageNode[]; message?: string } };
}

async function ids(url: string, query: Record<string, string>): Promise<readonly string[]> {
  return (await ask(url, query)).body.graph.map(({ id }) => id).sort();
}
