/** Reading tracking when it holds a million runs, on SQLite: what a page of 1,000 costs, found in five ways. */
import { type Bench, type Figure, percentile } from './measure.ts';
import { ask, withServer } from './tracking-peers.ts';
import { EXPERIMENT_ID, type Volume } from './tracking-rows.ts';

const VOLUME: Volume = { runs: 1_000_000, keysPerRun: 5, histories: 0, pointsPerHistory: 0, oneIn: 10_000 };
const SEARCHES = {
  'newest 1,000 runs': {},
  '1,000 runs by a metric filter (half match)': { filter: 'metrics.`metric-1` > 0.5' },
  '100 runs by a parameter (0.01 % match)': { filter: "params.rare = 'value-77'" },
  '1,000 runs by a tag (1 % match)': { filter: "tags.`tag-1` = 'value-3'" },
  '1,000 runs ordered by a metric': { order_by: ['metrics.`metric-1` DESC'] },
} as const;
const ROUNDS = 15;

/** Ours alone: filling MLflow's tables so far takes too long. */
export const bench: Bench = () => withServer(['ours', 'SQLite'], VOLUME, ({ url }) => measure(url));

async function measure(url: string): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const [what, search] of Object.entries(SEARCHES)) {
    const body = { experiment_ids: [EXPERIMENT_ID], max_results: 1_000, ...search };
    const request = () => ask(`${url}/api/2.0/mlflow/runs/search`, body);
    await request();
    const samplesMs: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const startedMs = performance.now();
      await request();
      samplesMs.push(performance.now() - startedMs);
    }
    figures.push({ what: `${what}, p50`, value: percentile(samplesMs, 0.5), unit: 'ms' });
    figures.push({ what: `${what}, p95`, value: percentile(samplesMs, 0.95), unit: 'ms', target: '<= 300 ms' });
  }
  return figures;
}
