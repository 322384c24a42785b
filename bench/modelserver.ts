<<<<<<< HEAD
/** What HTTP, JSON and checks add to a bare onnxruntime call: one row at a time, one client, the same model in the same process. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'undici';
import { openOnnxModel } from '../src/modelserver/onnx-model.ts';
import { startModelServer } from '../src/modelserver/server.ts';
import { ELEMENT, identityModel } from '../test/onnx-file.ts';
import { type Bench, percentile } from './measure.ts';

const REQUESTS = 3_000;
const WARM_UP = 300;

/** The model is an identity, so that all that is seen is overhead; the digits model computes for a few hundredths of a millisecond more, in both. */
export const bench: Bench = async () => {
  const folder = mkdtempSync(join(tmpdir(), 'athanor-bench-'));
  const path = join(folder, 'model.onnx');
  writeFileSync(path, identityModel(ELEMENT.float));
  const model = await openOnnxModel(path);
  const bare = await sample(() =>
    model.run({
      id: undefined,
      inputs: [{ name: 'x', type: 'float32', shape: [1, 2], bits: Float32Array.of(1, 2) }],
      outputs: ['y'],
    }),
  );
  const server = await startModelServer({ modelPath: path, name: 'm', host: '127.0.0.1', port: 0 });
  const pool = new Pool(server.url, { connections: 1 });
  const body = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] });
  const headers = { 'content-type': 'application/json' };
  const served = await sample(async () =>
    (await pool.request({ method: 'POST', path: '/v2/models/m/infer', body, headers })).body.json(),
  );
  await pool.close();
  await server.close();
  await model.close();
  rmSync(folder, { recursive: true });
  return [
    { what: 'bare onnxruntime, p50 (peer)', value: percentile(bare, 0.5), unit: 'ms' },
    { what: 'model server over HTTP, p50', value: percentile(served, 0.5), unit: 'ms' },
    { what: 'overhead, p50', value: percentile(served, 0.5) - percentile(bare, 0.5), unit: 'ms', target: '<= 1 ms' },
    { what: 'model server over HTTP, p99', value: percentile(served, 0.99), unit: 'ms' },
  ];
};

async function sample(ask: () => Promise<unknown>): Promise<readonly number[]> {
  const samplesMs: number[] = [];
  for (let index = 0; index < WARM_UP + REQUESTS; index++) {
    const beganMs = performance.now();
    await ask();
    if (index >= WARM_UP) samplesMs.push(performance.now() - beganMs);
  }
  return samplesMs;
=======
/** One small model behind HTTP beside the same model in bare onnxruntime in this process, one request at a time. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { Client } from 'undici';
import { startModelServer } from '../src/modelserver/server.ts';
import { digitsModel } from '../test/onnx-file.ts';
import { type BenchResult, percentile, temporaryHome } from './measure.ts';

const WARM_UP = 500;
const REQUESTS = 5_000;
const PIXELS = Array.from({ length: 64 }, (_, index) => index % 17);

/** The client stands in the server's process, so its own work counts against us. */
export async function bench(): Promise<BenchResult> {
  const modelPath = join(temporaryHome(), 'digits.onnx');
  writeFileSync(modelPath, digitsModel());
  const bareMs = await measureBare(modelPath);
  const httpMs = await measureHttp(modelPath);
  const text = (samples: readonly number[], share: number) => `${percentile(samples, share).toFixed(3)} ms`;
  const overheadMs = percentile(httpMs, 0.5) - percentile(bareMs, 0.5);
  return {
    rows: [
      { what: 'p50', measured: text(httpMs, 0.5), target: '', peer: `bare onnxruntime: ${text(bareMs, 0.5)}` },
      { what: 'p99', measured: text(httpMs, 0.99), target: '', peer: `bare onnxruntime: ${text(bareMs, 0.99)}` },
      { what: 'overhead at p50', measured: `${overheadMs.toFixed(3)} ms`, target: '<= 1 ms', peer: '' },
    ],
    samples: {
      bareMs: [0.5, 0.9, 0.99].map((share) => percentile(bareMs, share)),
      httpMs: [0.5, 0.9, 0.99].map((share) => percentile(httpMs, share)),
    },
  };
}

async function measureBare(modelPath: string): Promise<readonly number[]> {
  const session = await InferenceSession.create(modelPath, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const took = await measure(async () => {
    const { logits } = await session.run({ pixels: new Tensor('float32', Float32Array.from(PIXELS), [1, 64]) });
    if (logits?.dims[1] !== 10) throw new Error('want ten classes');
  });
  await session.release();
  return took;
}

async function measureHttp(modelPath: string): Promise<readonly number[]> {
  const server = await startModelServer({ modelPath, name: 'digits', host: '127.0.0.1', port: 0 });
  const client = new Client(server.url);
  const body = JSON.stringify({ inputs: [{ name: 'pixels', datatype: 'FP32', shape: [1, 64], data: PIXELS }] });
  const took = await measure(async () => {
    const reply = await client.request({ path: '/v2/models/digits/infer', method: 'POST', body });
    await reply.body.json();
    if (reply.statusCode !== 200) throw new Error(`the server answered ${reply.statusCode}`);
  });
  await client.close();
  await server.close();
  return took;
}

async function measure(act: () => Promise<void>): Promise<readonly number[]> {
  const samples: number[] = [];
  for (let run = 0; run < WARM_UP + REQUESTS; run++) {
    const startedMs = performance.now();
    await act();
    if (run >= WARM_UP) samples.push(performance.now() - startedMs);
  }
  return samples;
>>>>>>> bench
}
