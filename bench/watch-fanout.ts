/** How long after a create is acknowledged the last of 100 watchers has it. Watchers and writer share a process apart from the server's. */
import { WELL_KNOWN } from '../src/kube/well-known.ts';
import { startBenchCluster } from './cluster.ts';
import { type Bench, percentile } from './measure.ts';

const WATCHERS = 100;
const CREATES = 200;
const BETWEEN_MS = 10;

/** Delivery is counted from the moment the create was sent, so it includes the disk. */
export const bench: Bench = async () => {
  const cluster = await startBenchCluster();
  const client = cluster.connect();
  const stop = new AbortController();
  const sentMs = new Map<string, number>();
  const delaysMs: number[] = [];
  const { resourceVersion } = await client.list(WELL_KNOWN.ConfigMap, { namespace: 'default' });
  const watchers = Array.from({ length: WATCHERS }, async () => {
    for await (const { type, object } of client.watch(
      WELL_KNOWN.ConfigMap,
      { namespace: 'default', resourceVersion },
      stop.signal,
    )) {
      const beganMs = sentMs.get(object.metadata.name);
      if (type === 'ADDED' && beganMs !== undefined) delaysMs.push(performance.now() - beganMs);
    }
  });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  for (let index = 0; index < CREATES; index++) {
    const name = `fan-${index}`;
    sentMs.set(name, performance.now());
    await client.create(WELL_KNOWN.ConfigMap, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace: 'default' },
    });
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_MS));
  }
  for (const endMs = performance.now() + 5_000; delaysMs.length < WATCHERS * CREATES && performance.now() < endMs; ) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  stop.abort();
  await Promise.allSettled(watchers);
  await client.close();
  await cluster.close();
  return [
    { what: `events delivered to ${WATCHERS} watchers`, value: delaysMs.length, unit: `of ${WATCHERS * CREATES}` },
    { what: 'p50 from request to delivery', value: percentile(delaysMs, 0.5), unit: 'ms' },
    { what: 'p99 from request to delivery', value: percentile(delaysMs, 0.99), unit: 'ms', target: '<= 50 ms' },
  ];
};
