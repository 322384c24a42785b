/** What the lineage of 2,000 jobs costs at each start of the platform: told for the first time, and told again. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hostClock } from '../src/base/clock.ts';
import type { ApiClient } from '../src/client/types.ts';
import type { KubeObject, ResourceRef } from '../src/kube/object.ts';
import { type DatabaseOptions, openDatabase } from '../src/sql/open-database.ts';
import { observeLineage } from '../src/tracking/lineage/lineage-observer.ts';
import type { TrackingSchema } from '../src/tracking/schema.ts';
import { startTestTracking } from '../src/tracking/test-tracking.ts';
import { startPostgres } from '../test/postgres.ts';
import type { Bench, Figure } from './measure.ts';

const JOBS = 2_000;
const ROUNDS = 3;

/** Jobs that have ended, each with a data set, code and outputs: two events and five edges a job. */
const jobs = Array.from({ length: JOBS }, (_, index) => ({
  apiVersion: 'athanor.dev/v1alpha1',
  kind: 'TrainingJob',
  metadata: {
    name: `job-${index}`,
    namespace: 'default',
    uid: crypto.randomUUID(),
    resourceVersion: String(index + 1),
  },
  spec: {},
  status: {
    phase: 'Complete',
    startTime: '2026-01-01T00:00:00Z',
    completionTime: '2026-01-01T00:01:00Z',
    datasets: [{ name: `data-${index % 50}`, digest: `sha256:${'0'.repeat(64)}` }],
    code: { digest: `sha256:${String(index).padStart(64, '0')}` },
    outputs: { digest: `sha256:${String(index).padStart(64, '1')}` },
  },
}));

/** Lists them, and watches nothing. */
function createClient(): ApiClient {
  const list = async ({ plural }: ResourceRef) => ({
    items: plural === 'trainingjobs' ? (structuredClone(jobs) as readonly KubeObject[]) : [],
    resourceVersion: String(JOBS + 1),
  });
  async function* watch(_ref: ResourceRef, _options: object, signal: AbortSignal) {
    yield* await nothingUntil(signal);
  }
  return { list, watch } as unknown as ApiClient; // why: an observer asks for nothing else
}

function nothingUntil(signal: AbortSignal): Promise<readonly never[]> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve([]), { once: true }));
}

/** On SQLite and on PostgreSQL. */
export const bench: Bench = async () => {
  const home = mkdtempSync(join(tmpdir(), 'athanor-bench-'));
  const postgres = await startPostgres();
  const figures = [
    ...(await measure('SQLite', { path: join(home, 'rows.db') }, home)),
    ...(await measure('PostgreSQL', { url: postgres.url }, home)),
  ];
  await postgres.close();
  rmSync(home, { recursive: true, force: true });
  return figures;
};

async function measure(dialect: string, options: DatabaseOptions, home: string): Promise<readonly Figure[]> {
  await (await startTestTracking({ home, database: options })).close();
  const samplesMs: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const server = await startTestTracking({ home, database: options });
    const startedMs = performance.now();
    const clock = hostClock(globalThis);
    const report = (error: unknown) => console.error(error);
    const observer = observeLineage({ client: createClient(), tracking: server.tracking, clock, report });
    await observer.synced;
    await observer.close();
    samplesMs.push(performance.now() - startedMs);
    await server.close();
  }
  const { db, close } = openDatabase<TrackingSchema>(options);
  const { count } = await db
    .selectFrom('tracking_lineage_events')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  await close();
  if (Number(count) !== 2 * JOBS) throw new Error(`cannot believe it: ${count} events were kept, not ${2 * JOBS}`);
  const [first = Number.NaN, ...again] = samplesMs;
  return [
    { what: `${JOBS} jobs told first, ${dialect}`, value: first, unit: 'ms' },
    { what: `${JOBS} jobs told again, ${dialect}, best of ${ROUNDS}`, value: Math.min(...again), unit: 'ms' },
  ];
}
