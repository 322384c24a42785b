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
}
