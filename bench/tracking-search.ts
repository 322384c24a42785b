/** Reading tracking: a page of 1,000 of 100,000 runs, found in three ways, and a chart's 320 points of a long metric among 10 million rows. */
import { type Bench, type Figure, percentile } from './measure.ts';
import { ask, nameOf, PAIRS, withServer } from './tracking-peers.ts';
import { EXPERIMENT_ID, runIdOf, type Volume } from './tracking-rows.ts';

const VOLUME: Volume = { runs: 100_000, keysPerRun: 5, histories: 100, pointsPerHistory: 100_000 };
const SEARCHES = {
  'newest 1,000 runs': {},
  '1,000 runs by a metric filter': { filter: 'metrics.`metric-1` > 0.5' },
  '1,000 runs by a tag filter (1 % match)': { filter: "tags.`tag-1` = 'value-3'" },
  '1,000 runs ordered by a metric': { order_by: ['metrics.`metric-1` DESC'] },
} as const;
const ROUNDS = { ours: 15, theirs: 5 } as const;

/** The four pairs one after the other, each alone on the machine. */
export const bench: Bench = async () => {
  const figures: Figure[] = [];
  for (const pair of PAIRS) figures.push(...(await withServer(pair, VOLUME, ({ url }) => measure(pair, url))));
  return figures;
};

async function measure([owner, database]: (typeof PAIRS)[number], url: string): Promise<readonly Figure[]> {
  const target = owner === 'ours' ? '<= 100 ms, >= 10x MLflow' : 'peer';
  const figures: Figure[] = [];
  const take = async (what: string, target: string, request: (round: number) => Promise<string>) => {
    await request(0);
    const samplesMs: number[] = [];
    for (let round = 1; round <= ROUNDS[owner]; round++) {
      const startedMs = performance.now();
      await request(round);
      samplesMs.push(performance.now() - startedMs);
    }
    const name = `${what}: ${nameOf(owner, database)}`;
    figures.push({ what: `${name}, p50`, value: percentile(samplesMs, 0.5), unit: 'ms', target });
    figures.push({ what: `${name}, p95`, value: percentile(samplesMs, 0.95), unit: 'ms', target });
  };
  for (const [what, search] of Object.entries(SEARCHES)) {
    const body = { experiment_ids: [EXPERIMENT_ID], max_results: 1_000, ...search };
    await take(what, target, () => ask(`${url}/api/2.0/mlflow/runs/search`, body));
  }
  const sampleTarget = owner === 'ours' ? '<= 50 ms' : 'peer';
  await take('320 of 100,000 points among 10 million', sampleTarget, (round) => {
    const query = `run_ids=${runIdOf(round)}&metric_key=loss&max_results=320`;
    return ask(`${url}/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?${query}`);
  });
  return figures;
}
