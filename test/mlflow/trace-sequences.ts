/** Requests about traces, their spans and what people think of them. */
import type { Step } from './steps.ts';
import { differs, experiment, get, patch, post, remove, run } from './words.ts';

const LOCATION = { type: 'MLFLOW_EXPERIMENT', mlflow_experiment: { experiment_id: '{e1}' } };
const SECOND_NS = 1_000_000_000n;

/** A trace of `e1`; its id is unique on its server. */
const start = (name: string, more: object = {}): Step =>
  post('3.0/traces', {
    trace: {
      trace_info: {
        trace_id: `tr-${name}-{unique}`,
        trace_location: LOCATION,
        request_time: '2026-01-02T03:04:05.678Z',
        execution_duration: '1.5s',
        state: 'OK',
        trace_metadata: { 'mlflow.traceInputs': '"in"', k: 'v' },
        tags: { 'mlflow.traceName': name, team: 'red' },
        request_preview: 'in',
        response_preview: 'out',
        ...more,
      },
    },
  });

const search = (filter: string, more: object = {}): Step =>
  post('3.0/traces/search', { locations: [LOCATION], filter, order_by: ['timestamp_ms ASC'], ...more });

const texts = (pairs: Readonly<Record<string, string>>) =>
  Object.entries(pairs).map(([key, stringValue]) => ({ key, value: { stringValue } }));

/** Spans as an exporter of OTLP's JSON sends them: a root and a child, of which the root may come later. */
const span = (traceId: string, id: number, more: object = {}) => ({
  traceId,
  spanId: String(id).padStart(16, '0'),
  name: `step ${id}`,
  startTimeUnixNano: String(BigInt(id) * SECOND_NS),
  endTimeUnixNano: String(BigInt(id + 2) * SECOND_NS),
  attributes: texts({ 'mlflow.spanType': 'CHAIN', where: 'here' }),
  status: { code: 1 },
  ...more,
});

const send = (...spans: readonly object[]): Step => ({
  method: 'POST',
  path: 'root/v1/traces',
  headers: { 'x-mlflow-experiment-id': '{e1}' },
  body: { resourceSpans: [{ scopeSpans: [{ spans }] }] },
});

const NANOSECONDS =
  'nanoseconds are texts, as protobuf\u2019s JSON has them: a number of JSON cannot be trusted beyond 2^53';
const FIRST = 'a'.repeat(32);
const SECOND = 'b'.repeat(32);

/** By what they try. */
export const traces: Readonly<Record<string, readonly Step[]>> = {
  'traces live and die': [
    experiment('e1'),
    run('r1', 'e1'),
    start('one'),
    get('3.0/traces/tr-one-{unique}'),
    start('two', {
      state: 'ERROR',
      request_time: '2026-01-02T03:04:06Z',
      execution_duration: '2s',
      client_request_id: 'c',
    }),
    patch('3.0/traces/tr-one-{unique}/tags', { key: 'team', value: 'blue' }),
    patch('/traces/tr-one-{unique}/tags', { key: 'old', value: 'way' }),
    remove('3.0/traces/tr-one-{unique}/tags', { key: 'old' }),
    remove('3.0/traces/tr-one-{unique}/tags', { key: 'old' }),
    get('3.0/traces/tr-one-{unique}'),
    get('/traces/tr-one-{unique}/info'),
    get('3.0/traces/tr-nobody'),
    post('3.0/traces/batchGetInfos', { trace_ids: ['tr-one-{unique}', 'tr-nobody', 'tr-two-{unique}'] }),
    post('/traces/link-to-run', { trace_ids: ['tr-one-{unique}'], run_id: '{r1}' }),
    ...[
      '',
      "status = 'OK'",
      "trace.status != 'OK'",
      "tags.team = 'blue'",
      "tag.team LIKE 'r%'",
      "metadata.k = 'v'",
      "request_metadata.k = 'w'",
      "name = 'two'",
      "trace.name LIKE '%wo'",
      'timestamp_ms > 1767323046000',
      'execution_time_ms >= 2000',
      "request_id = 'tr-one-{unique}'",
      "client_request_id = 'c'",
      "nothing = 'x'",
      'status = 3',
      "tags.team = 'blue' AND status = 'OK'",
      'tags.absent IS NULL',
    ].map((filter) => search(filter)),
    search('', { max_results: 1 }),
    search('', { max_results: 0 }),
    search('', { max_results: 501 }),
    search('', { order_by: ['execution_time_ms DESC'] }),
    post('3.0/traces/search', {}),
    post('3.0/traces', {}),
    post('3.0/traces/delete-traces', { experiment_id: '{e1}' }),
    post('3.0/traces/delete-traces', { experiment_id: '{e1}', request_ids: ['a'], max_timestamp_millis: 1 }),
    post('3.0/traces/delete-traces', { experiment_id: '{e1}', request_ids: ['a'], max_traces: 1 }),
    post('3.0/traces/delete-traces', { experiment_id: '{e1}', request_ids: ['tr-one-{unique}', 'tr-nobody'] }),
    get('3.0/traces/tr-one-{unique}'),
    post('/traces/delete-traces', { experiment_id: '{e1}', max_timestamp_millis: 1_800_000_000_000, max_traces: 10 }),
    search(''),
  ],
  'traces are found by regular expressions': [
    experiment('e1'),
    start('one', { request_time: '2026-01-02T03:04:05Z', tags: { 'mlflow.traceName': 'plan-7', team: 'Red team' } }),
    start('two', { request_time: '2026-01-02T03:04:06Z', tags: { 'mlflow.traceName': 'plan-12', team: 'blue' } }),
    start('three', { request_time: '2026-01-02T03:04:07Z', trace_metadata: { k: 'w.1' }, state: 'ERROR', tags: {} }),
    ...[
      "tags.team RLIKE '^Red'",
      "tag.team rlike 'red'",
      "tags.team RLIKE '(?i)^red'",
      "tags.team RLIKE 'e$|m$'",
      "tags.absent RLIKE '.'",
      "metadata.k RLIKE '^w\\.[0-9]+$'",
      "trace.name RLIKE 'plan-[0-9]{2}'",
      "name RLIKE '\\bplan\\b'",
      "attributes.status RLIKE '^(OK|ERR)'",
      "status RLIKE 'ok'",
      "request_id RLIKE 'tr-t(wo|hree)-'",
      "tags.team RLIKE '.' AND status RLIKE 'O'",
      "timestamp_ms RLIKE '1'",
      'tags.team RLIKE 1',
      "text RLIKE 'in'",
      "span.content RLIKE 'in'",
    ].map((filter) => search(filter)),
    ...differs(
      'what is no regular expression is refused: MLflow finds nothing by it on SQLite, and fails on PostgreSQL',
      search("tags.team RLIKE '['"),
    ),
    search("tags.team RLIKE 'x'", { locations: [] }),
    post('/runs/search', { experiment_ids: ['{e1}'], filter: "tags.team RLIKE 'x'" }),
    post('/experiments/search', { max_results: 5, filter: "name RLIKE 'x'" }),
  ],
  'spans are found by regular expressions': [
    experiment('e1'),
    send(span('c'.repeat(32), 1)),
    send(span('d'.repeat(32), 1, { name: 'other', status: { code: 2, message: 'bad' } })),
    ...[
      "span.name RLIKE '^step [0-9]$'",
      "span.name RLIKE 'oth.r'",
      "span.type RLIKE 'CH.*'",
      "span.status RLIKE '^ERR'",
      "span.attributes.where RLIKE '^he'",
      "span.attributes.where RLIKE 're$'",
      "span.attributes.where RLIKE '^he$'",
      "span.attributes.absent RLIKE '.'",
    ].map((filter) => search(filter)),
  ],
  'people think of traces': [
    experiment('e1'),
    start('one'),
    post(
      '3.0/traces/tr-one-{unique}/assessments',
      {
        assessment: {
          assessment_name: 'good',
          trace_id: 'tr-one-{unique}',
          source: { source_type: 'HUMAN', source_id: 'bob' },
          feedback: { value: true },
          rationale: 'because',
          metadata: { a: 'b' },
        },
      },
      { a1: 'assessment.assessment_id' },
    ),
    post(
      '3.0/traces/tr-one-{unique}/assessments',
      {
        assessment: {
          assessment_name: 'score',
          trace_id: 'tr-one-{unique}',
          source: { source_type: 'CODE', source_id: 'x' },
          feedback: { value: 0.75 },
        },
      },
      { a2: 'assessment.assessment_id' },
    ),
    get('3.0/traces/tr-one-{unique}/assessments/{a1}'),
    get('3.0/traces/tr-one-{unique}'),
    ...[
      "feedback.good = 'true'",
      "feedback.good != 'true'",
      'feedback.score > 0.5',
      'feedback.score < 0.5',
      "feedback.absent = 'x'",
      "feedback.good RLIKE '^tr'",
      "feedback.score RLIKE '7'",
    ].map((filter) => search(filter)),
    patch('3.0/traces/tr-one-{unique}/assessments/{a1}', {
      assessment: {
        trace_id: 'tr-one-{unique}',
        assessment_id: '{a1}',
        feedback: { value: false },
        rationale: 'changed',
      },
      update_mask: 'feedback,rationale',
    }),
    get('3.0/traces/tr-one-{unique}/assessments/{a1}'),
    get('3.0/traces/tr-one-{unique}/assessments/a-nobody'),
    get('3.0/traces/tr-nobody/assessments/{a1}'),
    remove('3.0/traces/tr-one-{unique}/assessments/{a1}'),
    get('3.0/traces/tr-one-{unique}/assessments/{a1}'),
    post('3.0/traces/tr-nobody/assessments', {
      assessment: {
        assessment_name: 'x',
        trace_id: 'tr-nobody',
        source: { source_type: 'HUMAN', source_id: 'b' },
        feedback: { value: 1 },
      },
    }),
  ],
  'spans come by OpenTelemetry': [
    experiment('e1'),
    send(span(FIRST, 2, { parentSpanId: '0000000000000001' })),
    send(span(FIRST, 1)),
    get(`3.0/traces/tr-${FIRST}`),
    ...differs(NANOSECONDS, get('3.0/traces/get', { trace_id: `tr-${FIRST}` })),
    send(
      span(SECOND, 1, { status: { code: 2, message: 'bad' } }),
      span(SECOND, 2, { parentSpanId: '0000000000000001' }),
    ),
    get(`3.0/traces/tr-${SECOND}`),
    ...differs(NANOSECONDS, get('3.0/traces/batchGet', { trace_ids: [`tr-${FIRST}`, `tr-${SECOND}`] })),
    search("span.name = 'step 2'"),
    search("span.type = 'CHAIN'"),
    search("span.attributes.where = 'there'"),
    get('3.0/traces/get', { trace_id: 'tr-nobody' }),
  ],
  'traces of the older kind': [
    experiment('e1'),
    post(
      '/traces',
      {
        experiment_id: '{e1}',
        timestamp_ms: 1_000,
        request_metadata: [{ key: 'k', value: 'v' }],
        tags: [{ key: 't', value: 'u' }],
      },
      { t1: 'trace_info.request_id' },
    ),
    patch('/traces/{t1}', {
      timestamp_ms: 1_500,
      status: 'OK',
      request_metadata: [{ key: 'l', value: 'w' }],
      tags: [],
    }),
    get('/traces/{t1}/info'),
    get('/traces', { experiment_ids: '{e1}', order_by: 'timestamp_ms ASC' }),
    get('/traces/tr-nobody/info'),
    patch('/traces/tr-nobody', { timestamp_ms: 1_500, status: 'OK' }),
  ],
};
