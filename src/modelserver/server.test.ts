/** The model server with real models over real HTTP: its paths, its refusals, and how it ends. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ELEMENT, identityModel, twoOutputsModel } from '../../test/onnx-file.ts';
import { isStatusError, type Reason } from '../kube/status-error.ts';
import { openOnnxModel } from './onnx-model.ts';
import { type ModelServer, startModelServer } from './server.ts';

const home = mkdtempSync(join(tmpdir(), 'athanor-modelserver-'));
const place = (name: string, content: Buffer | string) => {
  const path = join(home, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  return path;
};
const start = (modelPath: string) => startModelServer({ modelPath, name: 'm', host: '127.0.0.1', port: 0 });
let server: ModelServer;

before(async () => {
  server = await start(place('two.onnx', twoOutputsModel()));
});

after(async () => {
  await server.close();
  rmSync(home, { recursive: true });
});

const tensor = (name: string, data: readonly number[]) => ({ name, datatype: 'FP32', shape: [1, 2], data });
const QUESTION = JSON.stringify({ id: '7', inputs: [tensor('a', [1, 2]), tensor('b', [3, 4])] });

interface Ask {
  readonly path: string;
  readonly method?: string;
  readonly body?: string | Buffer;
  readonly headers?: Record<string, string>;
}

async function ask({ path, ...init }: Ask): Promise<{ readonly code: number; readonly text: string }> {
  const response = await fetch(server.url + path, init);
  return { code: response.status, text: await response.text() };
}

const infer = (more: Partial<Ask> = {}): Ask => ({
  path: '/v2/models/m/infer',
  method: 'POST',
  body: QUESTION,
  ...more,
});

const ANSWERS: Record<string, { readonly ask: Ask; readonly code: number; readonly says: RegExp }> = {
  'says that it lives': { ask: { path: '/v2/health/live' }, code: 200, says: /^{"live":true}$/ },
  'says that it is ready': { ask: { path: '/v2/health/ready' }, code: 200, says: /^{"ready":true}$/ },
  'says that the model is ready': { ask: { path: '/v2/models/m/ready' }, code: 200, says: /^{"ready":true}$/ },
  'describes itself': { ask: { path: '/v2' }, code: 200, says: /"name":"athanor".*"extensions":\[\]/ },
  'describes the model': {
    ask: { path: '/v2/models/m' },
    code: 200,
    says: /"name":"m","versions":\["1"\].*{"name":"a","datatype":"FP32","shape":\[-1,2\]}.*"outputs":\[{"name":"sum"/,
  },
  'describes the version': { ask: { path: '/v2/models/m/versions/1' }, code: 200, says: /"versions":\["1"\]/ },
  infers: {
    ask: infer(),
    code: 200,
    says: /"id":"7","outputs":\[{"name":"sum".*"data":\[4,6\]},{"name":"product".*"data":\[3,8\]}\]/,
  },
  'infers by version': { ask: infer({ path: '/v2/models/m/versions/1/infer' }), code: 200, says: /\[4,6\]/ },
  'knows no other model': { ask: { path: '/v2/models/w' }, code: 404, says: /no model|cannot find model 'w'/ },
  'knows no other version': { ask: { path: '/v2/models/m/versions/2' }, code: 404, says: /version 1 only/ },
  'knows no other path': { ask: { path: '/v1/models/m:predict' }, code: 404, says: /Open Inference Protocol v2/ },
  'refuses a path that cannot be decoded': { ask: { path: '/v2/models/%ff' }, code: 400, says: /%ff/ },
  'refuses GET for infer': { ask: { path: '/v2/models/m/infer' }, code: 405, says: /infer takes POST/ },
  'refuses a body that is not JSON': { ask: infer({ body: '{' }), code: 400, says: /not JSON/ },
  'refuses an empty body': { ask: infer({ body: '' }), code: 400, says: /not JSON/ },
  'refuses inputs that do not fit': { ask: infer({ body: '{"inputs":[]}' }), code: 400, says: /'a', 'b' is missing/ },
  'refuses the binary extension': {
    ask: infer({ headers: { 'inference-header-content-length': '10' } }),
    code: 415,
    says: /binary tensor extension/,
  },
  'refuses values that the model cannot add': {
    ask: infer({
      body: JSON.stringify({
        inputs: [tensor('a', [1, 2]), { ...tensor('b', [1, 2, 3, 4, 5, 6]), shape: [3, 2] }, tensor('c', [])].slice(
          0,
          2,
        ),
      }).replace('"shape":[1,2],"data":[1,2]', '"shape":[2,2],"data":[1,2,3,4]'),
    }),
    code: 400,
    says: /the model refused the values/,
  },
};

for (const [sentence, { ask: question, code, says }] of Object.entries(ANSWERS)) {
  test(`the model server ${sentence}`, async () => {
    const answer = await ask(question);
    assert.equal(answer.code, code, answer.text);
    assert.match(answer.text, says);
  });
}

test('the model server refuses a body over the limit, and goes on', async () => {
  const code = await ask(infer({ body: Buffer.alloc(64 * 1024 * 1024 + 1, ' ') })).then(
    (answer) => answer.code,
    () => 413, // the connection may break while the client still sends
  );
  assert.equal(code, 413);
  assert.equal((await ask({ path: '/v2/health/live' })).code, 200);
});

test('the model server counts what succeeded and what failed', async () => {
  await ask(infer());
  await ask(infer({ body: '{' }));
  const { text } = await ask({ path: '/metrics' });
  assert.match(text, /athanor_inference_requests_total\{model="m",result="success"\} [1-9]/);
  assert.match(text, /athanor_inference_requests_total\{model="m",result="failure"\} [1-9]/);
});

for (const [name, { element, datatype, data }] of Object.entries({
  BOOL: { element: ELEMENT.bool, datatype: 'BOOL', data: [true, false] },
  INT64: { element: ELEMENT.int64, datatype: 'INT64', data: [-1, 2 ** 40] },
  BYTES: { element: ELEMENT.string, datatype: 'BYTES', data: ['a', 'ü'] },
})) {
  test(`a model of ${name} gives back what it got`, async () => {
    const own = await start(place(`${name}.onnx`, identityModel(element)));
    const body = JSON.stringify({ inputs: [{ name: 'x', datatype, shape: [1, 2], data: [data] }] });
    const response = await fetch(`${own.url}/v2/models/m/infer`, { method: 'POST', body });
    const answer = JSON.parse(await response.text());
    assert.deepEqual(answer.outputs, [{ name: 'y', datatype, shape: [1, 2], data }]);
    await own.close();
  });
}

test('close() answers the request that has begun, and refuses new ones', async () => {
  const own = await start(join(home, 'two.onnx'));
  const pending = httpRequest(`${own.url}/v2/models/m/infer`, { method: 'POST', headers: { expect: '100-continue' } });
  pending.flushHeaders();
  await once(pending, 'continue');
  const closed = own.close();
  await assert.rejects(fetch(`${own.url}/v2/health/live`));
  pending.end(QUESTION);
  const [response] = await once(pending, 'response');
  assert.equal(response.statusCode, 200);
  response.resume();
  await closed;
});

const UNREADABLE: Record<string, { readonly path: string; readonly reason: Reason; readonly says: RegExp }> = {
  'nothing at the path': { path: join(home, 'none'), reason: 'NotFound', says: /no such file or folder/ },
  'a file that is no model': {
    path: place('text.onnx', 'hello'),
    reason: 'Invalid',
    says: /not a model that onnxruntime/,
  },
  'a folder without a model': {
    path: join(place('empty/readme', ''), '..'),
    reason: 'Invalid',
    says: /no \.onnx file/,
  },
  'a folder with several models': {
    path: join(place('many/a.onnx', ''), place('many/b.onnx', '') && '..'),
    reason: 'Invalid',
    says: /several models in it \((a|b)\.onnx, (a|b)\.onnx\)/,
  },
  'a type that JSON cannot say': {
    path: place('half.onnx', identityModel(ELEMENT.float16)),
    reason: 'Invalid',
    says: /type float16/,
  },
};

for (const [sentence, { path, reason, says }] of Object.entries(UNREADABLE)) {
  test(`openOnnxModel() refuses ${sentence}`, async () => {
    await assert.rejects(
      openOnnxModel(path),
      (error: unknown) => isStatusError(error, reason) && says.test(error.message),
    );
  });
}

test('openOnnxModel() takes the only model of a folder, and model.onnx among several', async () => {
  place('one/deep/m.onnx', identityModel(ELEMENT.float));
  place('named/model.onnx', identityModel(ELEMENT.float));
  place('named/other.onnx', 'no model');
  for (const folder of ['one', 'named']) {
    const model = await openOnnxModel(join(home, folder));
    assert.deepEqual(model.inputs, [{ name: 'x', type: 'float32', shape: [-1, 2] }]);
    await model.close();
  }
});
