/** Random requests on every route of tracking's API, on both databases: refused or answered, never with 500. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { PREFIXES, routePlaces } from '../src/tracking/api.ts';
import type { TrackingServer } from '../src/tracking/server.ts';
import { startTestTracking } from '../src/tracking/test-tracking.ts';
import { useBothDatabases } from './both-databases.ts';
import { SEQUENCES } from './mlflow/sequences.ts';
import { play, type Step } from './mlflow/steps.ts';

const ROUNDS = 25;
const CHANGED_ROUNDS = 60;
const REQUEST_MAX_MS = 30_000;
const TOKEN = 'f'.repeat(32);
const { home, databases } = useBothDatabases();

/** What clients send somewhere, so that requests get further than the first check. */
const FIELDS = [
  'experiment_id experiment_ids experiment_name new_name run_id run_ids run_uuid run_name name new_name key value step',
  'timestamp metric_key max_results page_token filter filter_string order_by view_type tags params metrics datasets',
  'model_id model_ids models version source alias stage stages archive_existing_versions description path status',
  'start_time end_time start_step end_step user_id artifact_location lifecycle_stage expiration outputs dataset_name',
  'trace trace_id trace_ids request_id request_ids trace_info trace_location locations request_time state assessment',
  'assessment_name feedback expectation rationale overrides update_mask metadata trace_metadata execution_duration',
  'timestamp_ms max_timestamp_millis max_traces request_metadata mlflow_experiment model row run eventTime producer',
].flatMap((line) => line.split(' '));
const text = fc.oneof(
  fc.constantFrom('0', '1', 'm', 'a/b', '../x', "metrics.m > 1e999 AND params.p = 'x'", "tags.`t` LIKE '%_\\[*'"),
  fc.constantFrom('metrics.m DESC', 'start_time', 'RUNNING', 'READY', '2026-01-01T00:00:00Z', '+099999-01-01T00:00Z'),
  fc.constantFrom(
    "span.attributes.`a\"b\\` = '1'",
    'feedback.f >= 1.5',
    "run_id IN ('a', 'b')",
    '-9223372036854775808',
  ),
  fc.constantFrom('5s', 'NaN', '__proto__', TOKEN, `tr-${TOKEN}`, `m-${TOKEN}`, `models:/m/1`, `runs:/${TOKEN}/x`),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({ maxLength: 20 }),
);
const leaf = fc.oneof(
  { weight: 4, arbitrary: text },
  { weight: 2, arbitrary: fc.constantFrom(0, 1, -1, 1.5, 2 ** 31, 2 ** 53 - 1, -(2 ** 53) + 1, 2 ** 63, 1e308, -0) },
  fc.boolean(),
  fc.constant(null),
);
const { body, value } = fc.letrec<{ value: unknown; body: Record<string, unknown> }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    { weight: 5, arbitrary: leaf },
    { weight: 2, arbitrary: fc.array(tie('value'), { maxLength: 3 }) },
    { weight: 2, arbitrary: tie('body') },
  ),
  body: fc.dictionary(fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...FIELDS) }, text), tie('value'), {
    maxKeys: 12,
  }),
}));

/** A sequence of good requests, in which some have another value or another field somewhere. */
const changedSteps = fc
  .record({
    steps: fc.constantFrom(...Object.values(SEQUENCES)),
    changes: fc.array(fc.record({ step: fc.nat(), place: fc.nat(), value }), { minLength: 1, maxLength: 20 }),
  })
  .map(({ steps, changes }) => {
    const changed: Step[] = [...steps];
    for (const change of changes) {
      const index = change.step % changed.length;
      const step = changed[index];
      if (step?.body === undefined) continue;
      changed[index] = { ...step, body: replaceAt(step.body, change.place % countPlaces(step.body), change.value) };
    }
    return changed;
  });

function countPlaces(json: unknown): number {
  if (typeof json !== 'object' || json === null) return 1;
  return 1 + Object.values(json).reduce<number>((sum, item) => sum + countPlaces(item), 0);
}

/** Places are counted from 0, the whole first. */
function replaceAt(json: unknown, place: number, by: unknown): unknown {
  if (place === 0) return by;
  let left = place - 1;
  const entries = Object.entries(Object(json)).map(([key, item]) => {
    const before = left;
    left -= countPlaces(item);
    return [key, before >= 0 && left < 0 ? replaceAt(item, before, by) : item] as const;
  });
  return Array.isArray(json) ? entries.map(([, item]) => item) : Object.fromEntries(entries);
}

/** Every route that has a shape of its own, and those beside the API. */
const places = [
  ...routePlaces().map(({ method, path }) => ({ method, path })),
  { method: 'POST', path: '/api/v1/lineage' },
  { method: 'GET', path: '/api/v1/lineage' },
  { method: 'POST', path: '/v1/traces' },
];

async function send(server: TrackingServer, { method, path }: (typeof places)[number], sent: Record<string, unknown>) {
  const filled = path.replaceAll(/:(\w+)/g, (_, name: string) => encodeURIComponent(toText(sent[name] ?? 'x')));
  const pairs = Object.entries(sent).flatMap(([key, value]) =>
    [value].flat().map((one): [string, string] => [key, toText(one)]),
  );
  const query = method === 'GET' ? `?${new URLSearchParams(pairs)}` : '';
  const response = await fetch(`${server.url}${filled}${query}`, {
    method,
    headers: { 'content-type': 'application/json', 'x-mlflow-experiment-id': '0' },
    ...(method !== 'GET' && { body: JSON.stringify(sent) }),
    signal: AbortSignal.timeout(REQUEST_MAX_MS),
  });
  return { status: response.status, text: await response.text() };
}

function toText(value: unknown): string {
  return (typeof value === 'string' ? value : JSON.stringify(value)).toWellFormed() || 'x';
}

for (const [dialect, open] of Object.entries(databases)) {
  describe(`random requests, on ${dialect}`, () => {
    let server: TrackingServer;
    before(async () => {
      const database = await open();
      server = await startTestTracking({ home, database });
    });
    after(() => server.close());
    test(`each of ${places.length} routes under ${PREFIXES.length} prefixes answers below 500`, async () => {
      const request = fc.record({ place: fc.constantFrom(...places), sent: body });
      const property = fc.asyncProperty(request, async ({ place, sent }) => {
        const { status, text: said } = await send(server, place, sent);
        // 501 is MLflow's own answer to what no store of ours can do.
        assert.ok(status < 500 || status === 501, `${place.method} ${place.path} answered ${status}: ${said}`);
      });
      await fc.assert(property, { numRuns: ROUNDS * places.length });
    });
    test('requests of MLflow\u2019s clients with a field changed are answered below 500', async () => {
      let plays = 0;
      const property = fc.asyncProperty(changedSteps, async (steps) => {
        const answers = await play(server.url, `changed ${dialect} ${++plays}`, steps);
        const wrong = answers.flatMap(({ status, body: said }, index) =>
          status < 500 || status === 501 ? [] : [`${steps[index]?.path}: ${JSON.stringify([steps[index], said])}`],
        );
        assert.deepEqual(wrong, []);
      });
      await fc.assert(property, { numRuns: CHANGED_ROUNDS });
    });
  });
}
