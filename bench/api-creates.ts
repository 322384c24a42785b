/** Durable creates per second of the embedded API server: TLS, JSON, RBAC, field managers, disk sync; clients in another process. */
import type { ApiClient } from '../src/client/types.ts';
import { WELL_KNOWN } from '../src/kube/well-known.ts';
import { startBenchCluster } from './cluster.ts';
import { type Bench, type Figure, percentile, residentMb } from './measure.ts';

const OBJECT_BYTES = 1_600;
const CREATES = 4_000;

/** At 1 and at 32 clients. */
export const bench: Bench = async () => {
  const cluster = await startBenchCluster();
  const client = cluster.connect();
  await measure(client, 32, 500);
  const alone = await measure(client, 1, 500);
  const many = await measure(client, 32, CREATES);
  const memory = residentMb(cluster.pid);
  await client.close();
  await cluster.close();
  return [
    {
      what: 'creates/s at 1 client',
      value: alone.perSecond,
      unit: '/s',
      target: 'peer kube-apiserver + etcd: 213-294/s (published, facts/control-plane.md)',
    },
    { what: 'p50 at 1 client', value: alone.p50Ms, unit: 'ms' },
    {
      what: 'creates/s at 32 clients',
      value: many.perSecond,
      unit: '/s',
      target: '>= 1,000/s; peer 293-342/s (published)',
    },
    { what: 'p50 at 32 clients', value: many.p50Ms, unit: 'ms' },
    { what: 'p99 at 32 clients', value: many.p99Ms, unit: 'ms' },
    { what: 'memory of the server afterwards', value: memory, unit: 'MB' },
  ] satisfies Figure[];
};

let created = 0;

async function measure(client: ApiClient, clients: number, count: number) {
  const samplesMs: number[] = [];
  const startedMs = performance.now();
  const work = async () => {
    for (let done = 0; done < count / clients; done++) {
      const metadata = { name: `bench-${created++}`, namespace: 'default' };
      const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { text: 'x'.repeat(OBJECT_BYTES) } };
      const beganMs = performance.now();
      await client.create(WELL_KNOWN.ConfigMap, object);
      samplesMs.push(performance.now() - beganMs);
    }
  };
  await Promise.all(Array.from({ length: clients }, work));
  const seconds = (performance.now() - startedMs) / 1000;
  return {
    perSecond: samplesMs.length / seconds,
    p50Ms: percentile(samplesMs, 0.5),
    p99Ms: percentile(samplesMs, 0.99),
  };
}
