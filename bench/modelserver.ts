/** What HTTP, JSON and checks add to a bare onnxruntime call: one row at a time, one client, the same model in the same process. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'undici';
import { openOnnxModel } from '../src/modelserver/onnx-model.ts';
import { startModelServer } from '../src/modelserver/server.ts';
import { digitsModel } from '../test/onnx-file.ts';
import { type Bench, percentile } from './measure.ts';

const REQUESTS = 3_000;
const WARM_UP = 300;

/** The digits example's network (64-64-10) on one image of 64 pixels in sixteenths, as a client of the example sends it. */
export const bench: Bench = async () => {
  const folder = mkdtempSync(join(tmpdir(), 'athanor-bench-'));
  const path = join(folder, 'model.onnx');
  writeFileSync(path, digitsModel());
  const pixels = Array.from({ length: 64 }, (_, index) => ((index * 7) % 17) / 16);
  const model = await openOnnxModel(path);
  const bare = await sample(() =>
    model.run({
      id: undefined,
      inputs: [{ name: 'pixels', type: 'float32', shape: [1, 64], bits: Float32Array.from(pixels) }],
      outputs: ['logits'],
    }),
  );
  const server = await startModelServer({ modelPath: path, name: 'm', host: '127.0.0.1', port: 0 });
  const pool = new Pool(server.url, { connections: 1 });
  const body = JSON.stringify({ inputs: [{ name: 'pixels', datatype: 'FP32', shape: [1, 64], data: pixels }] });
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
}
