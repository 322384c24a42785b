/** From the start of the process to the first answer, tables there already: our tracking and MLflow's server, on SQLite. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startMlflow } from '../test/mlflow/server.ts';
import { type Bench, type Figure, percentile } from './measure.ts';
import { ask, nameOf } from './tracking-peers.ts';
import { startBenchTracking } from './tracking-server.ts';

const ROUNDS = { ours: 15, theirs: 3 } as const;
const STARTS = {
  ours: (folder: string) => startBenchTracking(folder, join(folder, 'ours.db')),
  theirs: (folder: string) => startMlflow({ databaseUrl: `sqlite:///${join(folder, 'theirs.db')}` }),
} as const;

/** Each alone on the machine, one start after the other. */
export const bench: Bench = async () => {
  const folder = mkdtempSync(join(tmpdir(), 'athanor-bench-'));
  const figures = [...(await measure('ours', folder)), ...(await measure('theirs', folder))];
  rmSync(folder, { recursive: true, force: true });
  return figures;
};

async function measure(owner: keyof typeof STARTS, folder: string): Promise<readonly Figure[]> {
  const samplesMs: number[] = [];
  // The first one makes the tables.
  for (let round = 0; round <= ROUNDS[owner]; round++) {
    const startedMs = performance.now();
    const server = await STARTS[owner](folder);
    await ask(`${server.url}/api/2.0/mlflow/experiments/search?max_results=1`);
    if (round > 0) samplesMs.push(performance.now() - startedMs);
    await server.close();
  }
  const name = `start to first answer: ${nameOf(owner, 'SQLite')}`;
  const target = owner === 'ours' ? '<= 500 ms' : 'peer';
  return [
    { what: `${name}, p50`, value: percentile(samplesMs, 0.5), unit: 'ms', target },
    { what: `${name}, p95`, value: percentile(samplesMs, 0.95), unit: 'ms', target },
  ];
}
