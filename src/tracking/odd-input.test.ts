/** What nobody sends by accident, on both databases: refused or kept whole, never an answer of 500, never another's. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { useBothDatabases } from '../../test/both-databases.ts';
import type { TrackingServer } from './server.ts';
import { startTestTracking } from './test-tracking.ts';

const AT_ONCE = 16;
const SPAN = {
  spanId: '00000000000000aa',
  name: 'root',
  startTimeUnixNano: '1000000000',
  endTimeUnixNano: '2000000000',
};
const { home, databases } = useBothDatabases();
let server: TrackingServer;
let traces = 0;

interface Sent {
  readonly body?: unknown;
  readonly workspace?: string;
}

async function send(place: string, { body, workspace = 'default' }: Sent = {}) {
  const [method = '', path = ''] = place.split(' ');
  const headers = {
    'content-type': 'application/json',
    'x-mlflow-workspace': workspace,
    'x-mlflow-experiment-id': '0',
  };
  const at = path.startsWith('/') ? path : `/api/${path.startsWith('traces') ? '3.0' : '2.0'}/mlflow/${path}`;
  const response = await fetch(`${server.url}${at}`, {
    method,
    headers,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, text, answer: JSON.parse(text || '{}') as Record<string, unknown> };
}

function newTraceId(): string {
  return (++traces).toString(16).padStart(32, '0');
}

function sendSpans(spans: readonly object[], workspace = 'default') {
  return send('POST /v1/traces', { body: { resourceSpans: [{ scopeSpans: [{ spans }] }] }, workspace });
}

const search = (filter: string, more: object = {}) =>
  send('POST traces/search', {
    body: { locations: [{ mlflow_experiment: { experiment_id: '0' } }], filter, ...more },
  });

const startTrace = (traceId: string, more: object = {}) =>
  send('POST traces', {
    body: {
      trace: {
        trace_info: {
          trace_id: traceId,
          trace_location: { mlflow_experiment: { experiment_id: '0' } },
          request_time: '2026-01-01T00:00:00Z',
          state: 'OK',
          ...more,
        },
      },
    },
  });

async function newRun(): Promise<string> {
  const { text } = await send('POST runs/create', { body: { experiment_id: '0', start_time: 5 } });
  return (JSON.parse(text) as { run: { info: { run_id: string } } }).run.info.run_id;
}

const promises: Record<string, () => Promise<void>> = {
  'spans of another workspace do not touch a trace': async () => {
    const traceId = newTraceId();
    assert.equal((await sendSpans([{ ...SPAN, traceId }])).status, 200);
    const { status } = await sendSpans([{ ...SPAN, traceId, name: 'stolen', parentSpanId: '' }], 'red');
    assert.equal(status, 404);
    const { text } = await send(`GET traces/get?trace_id=tr-${traceId}`);
    assert.doesNotMatch(text, /stolen/);
  },
  'experiment 0 of another workspace is neither renamed nor tagged': async () => {
    await send('POST experiments/set-experiment-tag', { body: { experiment_id: '0', key: 'kept', value: 'yes' } });
    const body = { experiment_id: '0', key: 'mine', value: 'red', new_name: 'renamed by red' };
    assert.equal((await send('POST experiments/set-experiment-tag', { body, workspace: 'red' })).status, 200);
    const remove = { experiment_id: '0', key: 'kept' };
    const removed = await send('POST experiments/delete-experiment-tag', { body: remove, workspace: 'red' });
    assert.equal(removed.status, 404);
    assert.equal((await send('POST experiments/update', { body, workspace: 'red' })).status, 200);
    const { text } = await send('GET experiments/get?experiment_id=0');
    assert.doesNotMatch(text, /red/);
    assert.match(text, /kept/);
    assert.match(
      (await send('GET experiments/get-by-name?experiment_name=renamed%20by%20red', { workspace: 'red' })).text,
      /mine/,
    );
  },
  'an experiment keeps its files in its own workspace': async () => {
    for (const place of ['mlflow-artifacts:/workspaces/blue/1', 'mlflow-artifacts:/1', 'mlflow-artifacts:///x']) {
      const body = { name: place, artifact_location: place };
      assert.equal((await send('POST experiments/create', { body, workspace: 'red' })).status, 403, place);
    }
    const body = { name: 'own', artifact_location: 'mlflow-artifacts:/workspaces/red/own' };
    assert.equal((await send('POST experiments/create', { body, workspace: 'red' })).status, 200);
  },
  'texts that a database cannot keep are refused or mended, and searches go on': async () => {
    const run_id = await newRun();
    const odd = await send('POST runs/set-tag', { body: { run_id, key: 'k', value: 'a\0b' } });
    assert.equal(odd.status, 400, odd.text);
    const half = await send('POST runs/log-parameter', { body: { run_id, key: 'half', value: '\ud800' } });
    assert.equal(half.status, 200, half.text);
    const cut = await send('POST runs/log-parameter', {
      body: { run_id, key: 'cut', value: `${'x'.repeat(5_999)}😀` },
    });
    assert.equal(cut.status, 200, cut.text);
    const attributes = ['a\0b', '\ud800', '\\u0000'].map((stringValue, index) => ({
      key: `odd${index}`,
      value: { stringValue },
    }));
    const sent = await sendSpans([{ ...SPAN, name: 'odd\0name', traceId: newTraceId(), attributes }]);
    assert.equal(sent.status, 200, sent.text);
    const found = await search("span.attributes.odd0 LIKE 'a%'");
    assert.equal(found.status, 200, found.text);
    assert.equal((found.answer['traces'] as unknown[]).length, 1);
  },
  'times out of all bounds are refused or bounded, and searches go on': async () => {
    for (const endTimeUnixNano of ['99999999999999999999', '0', '18446744073709551615']) {
      const sent = await sendSpans([{ ...SPAN, endTimeUnixNano, traceId: newTraceId() }]);
      assert.equal(sent.status, 200, sent.text);
    }
    const later = await sendSpans([{ ...SPAN, traceId: newTraceId(), startTimeUnixNano: '18446744073709551615' }]);
    assert.equal(later.status, 200, later.text);
    for (const execution_duration of ['99999999999999999999s', '-1e9s', '1.0000001s', '-5s'])
      assert.ok((await startTrace(`tr-${newTraceId()}`, { execution_duration })).status < 500, execution_duration);
    for (const timestamp_ms of [8_640_000_000_000_001, -9_007_199_254_740_991, 0.5, '1e3']) {
      const { status, text } = await send('POST traces', { body: { experiment_id: '0', timestamp_ms } });
      assert.ok(status < 500, text);
      const old = await send('POST /api/2.0/mlflow/traces', { body: { experiment_id: '0', timestamp_ms } });
      assert.ok(old.status < 500, old.text);
      const info = old.answer['trace_info'] as { request_id: string } | undefined;
      if (!info) continue;
      const ended = { timestamp_ms: 9_007_199_254_740_991, status: 'OK' };
      const end = await send(`PATCH /api/2.0/mlflow/traces/${info.request_id}`, { body: ended });
      assert.ok(end.status < 500, end.text);
    }
    const { status, text } = await search('', { max_results: 500 });
    assert.equal(status, 200, text);
  },
  'numbers of a filter may be of any size': async () => {
    const filters = [
      'start_time > 1.5',
      'start_time < 1e999',
      'start_time > -99999999999999999999',
      'metrics.m < 1e999',
    ];
    for (const filter of filters) {
      const { status, text } = await send('POST runs/search', { body: { experiment_ids: ['0'], filter } });
      assert.equal(status, 200, `${filter}: ${text}`);
    }
    const before = await send('POST runs/search', { body: { experiment_ids: ['0'], filter: 'start_time < 5.5' } });
    assert.ok((before.answer['runs'] as unknown[]).length > 0);
  },
  'feedback of several kinds under one name can be searched by number': async () => {
    for (const value of ['good', 0.75, true, '1e999', null, { a: 1 }, 'x\ud800']) {
      const trace_id = `tr-${newTraceId()}`;
      assert.equal((await startTrace(trace_id)).status, 200);
      const assessment = { assessment_name: 'score', feedback: { value } };
      const made = await send(`POST traces/${trace_id}/assessments`, { body: { assessment } });
      assert.equal(made.status, 200, made.text);
    }
    const { status, text, answer } = await search('feedback.score >= 0 AND feedback.score < 1');
    assert.equal(status, 200, text);
    assert.equal((answer['traces'] as unknown[]).length, 1);
  },
  'an assessment can be deleted when the one that it overrides is gone': async () => {
    const trace_id = `tr-${newTraceId()}`;
    await startTrace(trace_id);
    const make = async (more: object) => {
      const body = { assessment: { assessment_name: 'a', feedback: { value: 1 }, ...more } };
      const { answer } = await send(`POST traces/${trace_id}/assessments`, { body });
      return (answer['assessment'] as { assessment_id: string }).assessment_id;
    };
    const first = await make({});
    const second = await make({ overrides: first });
    for (const id of [first, second])
      assert.equal((await send(`DELETE traces/${trace_id}/assessments/${id}`)).status, 200, id);
  },
  'values of spans that are none of OpenTelemetry are refused': async () => {
    const odd = [
      { arrayValue: { values: 'abc' } },
      { arrayValue: { values: [null] } },
      { kvlistValue: { values: [null] } },
      { arrayValue: 5 },
      { stringValue: { a: 1 } },
    ];
    for (const value of odd) {
      const { status, text } = await sendSpans([{ ...SPAN, traceId: newTraceId(), attributes: [{ key: 'k', value }] }]);
      assert.ok(status < 500, `${JSON.stringify(value)}: ${text}`);
    }
    let deep: object = { stringValue: 'x' };
    for (let depth = 0; depth < 500; depth++) deep = { arrayValue: { values: [deep] } };
    const attributes = [{ key: 'k', value: deep }];
    assert.ok((await sendSpans([{ ...SPAN, traceId: newTraceId(), attributes }])).status < 500);
  },
  'lists that are too long for a statement are refused or cut into several': async () => {
    const values = Array.from({ length: 40_000 }, (_, index) => `'r${index}'`).join(', ');
    const many = Array.from({ length: 70_000 }, (_, index) => String(index));
    const tries: [string, object][] = [
      ['POST runs/search', { experiment_ids: ['0'], filter: `run_id IN (${values})` }],
      ['POST runs/search', { experiment_ids: ['0'], order_by: many.slice(0, 100).map((id) => `metrics.m${id}`) }],
      ['POST runs/search', { experiment_ids: ['0'], filter: `tags.a LIKE '${'%a'.repeat(40_000)}'` }],
      ['POST runs/search', { experiment_ids: many }],
      ['POST /api/2.0/mlflow/traces/delete-traces', { experiment_id: '0', request_ids: many }],
      ['POST traces/search', { locations: many.map((id) => ({ mlflow_experiment: { experiment_id: id } })) }],
    ];
    for (const [place, body] of tries) {
      const { status, text } = await send(place, { body });
      assert.ok(status < 500, `${place} ${JSON.stringify(body).slice(0, 60)}: ${text}`);
    }
  },
  'a body that is nested a hundred thousand deep is refused': async () => {
    const body = `{"experiment_ids": ${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    const response = await fetch(`${server.url}/api/2.0/mlflow/runs/search`, { method: 'POST', body });
    assert.equal(response.status, 400);
  },
  'keys and ids that no index can hold are refused': async () => {
    const long = Array.from({ length: 4_000 }, () => newTraceId()).join('');
    const answers = [
      await startTrace(`tr-${long}`),
      await startTrace(`tr-${newTraceId()}`, { tags: { [long]: 'v' } }),
      await send('POST /api/v1/lineage', {
        body: {
          eventTime: '2026-01-01T00:00:00Z',
          producer: 'p',
          run: { runId: '0192b6f1-6f0c-7d3e-9e83-1b1d9a4b7a01' },
          job: { namespace: 'n', name: long },
          inputs: [{ namespace: 'n', name: long }],
        },
      }),
    ];
    for (const { status, text } of answers) assert.equal(status, 400, text);
  },
  'a trace with many spans is kept': async () => {
    const traceId = newTraceId();
    const spans = Array.from({ length: 130_000 }, (_, index) => ({
      traceId,
      spanId: index.toString(16).padStart(16, '0'),
      startTimeUnixNano: `${1_000_000 + index}`,
    }));
    const { status, text } = await sendSpans(spans);
    assert.equal(status, 200, text);
  },
  'spans of one trace that come at once count all, in whatever order they lie': async () => {
    const [first, second] = [newTraceId(), newTraceId()];
    const batches = Array.from({ length: AT_ONCE }, (_, index) => {
      const spans = [first, second].flatMap((traceId) =>
        [0, 1].map((number) => ({
          ...SPAN,
          traceId,
          spanId: number.toString(16).padStart(16, '0'),
          startTimeUnixNano: `${1_000_000_000 - number * 1_000_000}`,
          endTimeUnixNano: `${2_000_000_000 + number * 1_000_000}`,
          parentSpanId: '00000000000000ff',
        })),
      );
      const own = spans.map((span) => ({ ...span, spanId: `${index.toString(16)}${span.spanId.slice(1)}` }));
      const late = own.map((span) => ({ ...span, endTimeUnixNano: `${3_000_000_000 + index * 1_000_000}` }));
      return index % 2 ? [...spans, ...late] : [...late, ...spans].toReversed();
    });
    const answers = await Promise.all(batches.map((spans) => sendSpans(spans)));
    for (const { status, text } of answers) assert.equal(status, 200, text);
    for (const traceId of [first, second]) {
      const { answer } = await send(`GET traces/tr-${traceId}`);
      const { trace_info } = answer['trace'] as { trace_info: { execution_duration: string; request_time: string } };
      const wanted = { request_time: '1970-01-01T00:00:00.999Z', execution_duration: '2.016s' };
      const { request_time, execution_duration } = trace_info;
      assert.deepEqual({ request_time, execution_duration }, wanted);
    }
  },
  'events of lineage that come at once do not block each other': async () => {
    const datasets = Array.from({ length: 20 }, (_, index) => ({ namespace: 'n', name: `d${index}` }));
    const answers = await Promise.all(
      Array.from({ length: AT_ONCE }, (_, index) =>
        send('POST /api/v1/lineage', {
          body: {
            eventTime: `2026-01-01T00:00:${index + 10}Z`,
            producer: 'p',
            run: { runId: '0192b6f1-6f0c-7d3e-9e83-1b1d9a4b7a01' },
            job: { namespace: 'n', name: 'job' },
            inputs: index % 2 ? datasets : datasets.toReversed(),
          },
        }),
      ),
    );
    for (const { status, text } of answers) assert.equal(status, 201, text);
  },
  'two changes of a run at once are both kept': async () => {
    for (let round = 0; round < AT_ONCE; round++) {
      const run_id = await newRun();
      const changes = [{ status: 'FINISHED' }, { end_time: 77 }, { run_name: 'named' }];
      await Promise.all(changes.map((change) => send('POST runs/update', { body: { run_id, ...change } })));
      const { answer } = await send(`GET runs/get?run_id=${run_id}`);
      const { status, end_time, run_name } = (answer['run'] as { info: Record<string, unknown> }).info;
      assert.deepEqual({ status, end_time, run_name }, { status: 'FINISHED', end_time: 77, run_name: 'named' });
    }
  },
};

for (const [dialect, open] of Object.entries(databases)) {
  describe(`tracking on ${dialect}`, () => {
    before(async () => {
      const database = await open();
      server = await startTestTracking({ home, database });
    });
    after(() => server.close());
    for (const [sentence, check] of Object.entries(promises)) test(sentence, check);
  });
}
