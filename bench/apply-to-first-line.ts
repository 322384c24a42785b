<<<<<<< HEAD
/** From the acknowledged apply of a TrainingJob to the first line of user code, with the environment already on the node. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, TestAthanor } from '../test/athanor.ts';
import { type Bench, percentile } from './measure.ts';

const RUNS = 10;

/** The first line prints its own time; the machine has one clock. */
export const bench: Bench = async () => {
  const athanor = new TestAthanor();
  await athanor.up();
  const code = join(athanor.home, 'code');
  mkdirSync(code);
  writeFileSync(join(code, 'main.py'), 'import time\nprint("began", time.time(), flush=True)\n');
  const { digest } = await athanor.ask<{ digest: string }>('push', code);
  const delaysMs: number[] = [];
  for (let run = 0; run <= RUNS; run++) {
    const name = `first-line-${run}`;
    const manifest = `apiVersion: athanor.dev/v1alpha1\nkind: TrainingJob\nmetadata: { name: ${name} }\nspec: { code: { digest: '${digest}' }, command: [python, main.py] }\n`;
    await athanor.runWithInput(manifest, 'apply', '-f', '-');
    const appliedMs = Date.now();
    const beganSeconds = await eventually(`the first line of ${name}`, async () => {
      const { stdout } = await athanor.run('logs', `tj/${name}`);
      return /began ([\d.]+)/.exec(stdout)?.[1];
    });
    if (run > 0) delaysMs.push(Number(beganSeconds) * 1000 - appliedMs);
  }
  await athanor.close();
  return [
    {
      what: 'apply acknowledged to first line, median',
      value: percentile(delaysMs, 0.5) / 1000,
      unit: 's',
      target: '<= 2 s',
    },
    { what: 'apply acknowledged to first line, worst of 10', value: percentile(delaysMs, 1) / 1000, unit: 's' },
  ];
};
=======
/** From the apply of a training job to the first line of the user's program in its log, its environment being warm. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { openBlobStore } from '../src/blobs/open-blob-store.ts';
import { putTree } from '../src/blobs/put-tree.ts';
import type { ApiClient } from '../src/client/types.ts';
import { trainingJob } from '../src/kinds/training-job/kind.ts';
import { apiVersionOf } from '../src/kube/object.ts';
import { WELL_KNOWN } from '../src/kube/well-known.ts';
import { type BenchResult, describeSamples, startPlatform, temporaryHome } from './measure.ts';

const RUNS = 10;
const WAIT_MAX_MS = 60_000;
const POLL_MS = 10;
const POD_SLO = 'Kubernetes SLO: pod start p99 <= 5 s, images present (sig-scalability)';

/** The program prints its own time, so that reading the log costs nothing. */
export async function bench(): Promise<BenchResult> {
  const home = temporaryHome();
  const code = join(home, 'code');
  mkdirSync(code);
  writeFileSync(join(code, 'main.py'), 'import time\nprint(f"FIRST {time.time()}", flush=True)\n');
  const { digest } = await putTree(await openBlobStore(pathToFileURL(join(home, 'blobs')).href), code);
  const platform = await startPlatform(home);
  const totalMs: number[] = [];
  for (let run = 0; run <= RUNS; run++) {
    const tookMs = await runJob(platform.client, `first-line-${run}`, digest);
    if (run > 0) totalMs.push(tookMs); // the first builds the environment
  }
  await platform.close();
  const bareMs = Array.from({ length: RUNS }, measureBare);
  return {
    rows: [
      {
        what: 'apply to first line',
        measured: describeSamples(totalMs, 'ms'),
        target: '<= 2000 ms',
        peer: `bare python3: ${describeSamples(bareMs, 'ms')}; ${POD_SLO}`,
      },
    ],
    samples: { totalMs, bareMs },
  };
}

async function runJob(client: ApiClient, name: string, digest: string): Promise<number> {
  const body = {
    apiVersion: apiVersionOf(trainingJob),
    kind: 'TrainingJob',
    metadata: { name, namespace: 'default' },
    spec: { code: { digest }, command: ['python', 'main.py'] },
  };
  const appliedMs = Date.now();
  await client.patch(trainingJob, { name, namespace: 'default', type: 'apply', body, fieldManager: 'bench' });
  for (const endMs = Date.now() + WAIT_MAX_MS; Date.now() < endMs; await sleep(POLL_MS)) {
    const line = await findLine(client, name);
    if (line !== undefined) return Number(line) * 1000 - appliedMs;
  }
  throw new Error(`job ${name} printed nothing: ${JSON.stringify(await client.get(trainingJob, name, 'default'))}`);
}

async function findLine(client: ApiClient, job: string): Promise<string | undefined> {
  const { items } = await client.list(WELL_KNOWN.Pod, {
    namespace: 'default',
    labelSelector: `athanor.dev/training-job=${job}`,
  });
  const pod = items[0]?.metadata.name;
  if (pod === undefined) return undefined;
  let text = '';
  const path = `/api/v1/namespaces/default/pods/${pod}/log`;
  try {
    for await (const part of client.stream(path, AbortSignal.timeout(WAIT_MAX_MS))) text += part;
  } catch {
    return undefined; // the container has not started
  }
  return /FIRST ([\d.]+)/.exec(text)?.[1];
}

function measureBare(): number {
  const startedMs = Date.now();
  return Number(execFileSync('python3', ['-c', 'import time; print(time.time())'])) * 1000 - startedMs;
}
>>>>>>> bench
