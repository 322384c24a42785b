/** The progress server over HTTP: what it takes, what it refuses, and that it leaves nothing behind. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type ProgressServer, startProgressServer } from './progress-server.ts';

let server: ProgressServer;
let url = '';
let tokenPath = '';
const reports: unknown[] = [];
let trouble: Error | undefined;

before(async () => {
  server = await startProgressServer({
    host: '127.0.0.1',
    onReport: async (report) => {
      if (trouble !== undefined) throw trouble;
      reports.push(report);
    },
  });
  url = server.env['KUBEFLOW_TRAINER_SERVER_URL'] ?? '';
  tokenPath = server.env['KUBEFLOW_TRAINER_SERVER_TOKEN'] ?? '';
});
after(() => server.close());

interface Send {
  readonly body?: string | Buffer;
  readonly token?: string;
  readonly method?: string;
  readonly path?: string;
}

async function send({ body, token = readFileSync(tokenPath, 'utf8'), method = 'POST', path = '' }: Send) {
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(url + path, { method, headers, ...(body !== undefined && { body }) });
  return { code: response.status, text: await response.text() };
}

const report = (value: unknown): string => JSON.stringify({ trainerStatus: value });

test('a report is passed on as it is', async () => {
  const value = { progressPercentage: 50, metrics: [{ name: 'Verlust für α', value: '0.1' }] };
  assert.equal((await send({ body: report(value) })).code, 200);
  assert.deepEqual(reports.splice(0), [value]);
});

test('letters that arrive in two pieces are whole', async () => {
  const bytes = Buffer.from(report({ name: 'ü'.repeat(20_000) }));
  const cut = bytes.indexOf(0xbc);
  const body = new ReadableStream({
    start: (controller) => {
      controller.enqueue(bytes.subarray(0, cut));
      setImmediate(() => {
        controller.enqueue(bytes.subarray(cut));
        controller.close();
      });
    },
  });
  const headers = { authorization: `Bearer ${readFileSync(tokenPath, 'utf8')}` };
  assert.equal((await fetch(url, { method: 'POST', headers, body, duplex: 'half' })).status, 200);
  assert.deepEqual(reports.splice(0), [{ name: 'ü'.repeat(20_000) }]);
});

const REFUSALS: Record<string, { readonly send: Send; readonly code: number; readonly says: RegExp }> = {
  'a wrong token': { send: { body: report({}), token: 'x' }, code: 401, says: /the token is wrong/ },
  'a token of the right length': { send: { body: report({}), token: '0'.repeat(48) }, code: 401, says: /is wrong/ },
  'no JSON': { send: { body: '{' }, code: 400, says: /want JSON/ },
  'an empty body': { send: { body: '' }, code: 400, says: /want JSON/ },
  'an array': { send: { body: '[]' }, code: 400, says: /object trainerStatus/ },
  'no trainerStatus': { send: { body: '{"status":{}}' }, code: 400, says: /object trainerStatus/ },
  'a trainerStatus that is a text': { send: { body: report('half') }, code: 400, says: /object trainerStatus/ },
  'a trainerStatus that is null': { send: { body: report(null) }, code: 400, says: /object trainerStatus/ },
  GET: { send: { method: 'GET' }, code: 405, says: /want POST/ },
  'another path': { send: { body: report({}), path: '/x' }, code: 404, says: /want \/status/ },
  'more than 64 KiB': { send: { body: Buffer.alloc(64 * 1024 + 1, ' ') }, code: 413, says: /want 65536 bytes at most/ },
};

for (const [sentence, { send: sent, code, says }] of Object.entries(REFUSALS)) {
  test(`the progress server refuses ${sentence} with ${code}`, async () => {
    const answer = await send(sent);
    assert.equal(answer.code, code, answer.text);
    assert.match(answer.text, says);
    assert.deepEqual(reports, []);
  });
}

test('a report that cannot be passed on is answered with 503 and the reason', async () => {
  trouble = new Error('the API server is away');
  const answer = await send({ body: report({}) });
  trouble = undefined;
  assert.equal(answer.code, 503);
  assert.match(answer.text, /cannot pass the report on: .*the API server is away/);
});

test('only the owner may read the token, and close() removes it', async () => {
  const own = await startProgressServer({ host: '127.0.0.1', onReport: () => Promise.resolve() });
  const path = own.env['KUBEFLOW_TRAINER_SERVER_TOKEN'] ?? '';
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await own.close();
  assert.ok(!existsSync(path));
  await assert.rejects(fetch(own.env['KUBEFLOW_TRAINER_SERVER_URL'] ?? ''));
});
