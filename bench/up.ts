/** How long `athanor up` takes until it answers, and what it weighs when nothing happens. All rooms, one process. */
import { setTimeout as sleep } from 'node:timers/promises';
import { TestAthanor } from '../test/athanor.ts';
import { type Bench, percentile, residentMb } from './measure.ts';

const RUNS = 5;
const IDLE_MS = 10_000;

/** Cold: an empty home (certificates, databases, kinds are made). Warm: the same home again. */
export const bench: Bench = async () => {
  const coldMs: number[] = [];
  const warmMs: number[] = [];
  let memory = 0;
  for (let run = 0; run < RUNS; run++) {
    const athanor = new TestAthanor();
    coldMs.push(await timeUp(athanor));
    await athanor.end();
    warmMs.push(await timeUp(athanor));
    if (run === RUNS - 1) {
      await sleep(IDLE_MS);
      memory = residentMb(athanor.pid);
    }
    await athanor.close();
  }
  return [
    {
      what: 'up to ready, new home, median',
      value: percentile(coldMs, 0.5) / 1000,
      unit: 's',
      target: '<= 1.5 s; peer kube-apiserver + etcd alone 4.1 s (published)',
    },
    { what: 'up to ready, known home, median', value: percentile(warmMs, 0.5) / 1000, unit: 's', target: '<= 1.5 s' },
    { what: 'memory after 10 s idle', value: memory, unit: 'MB', target: '<= 200 MB; peer 257 + 43 MB (published)' },
  ];
};

async function timeUp(athanor: TestAthanor): Promise<number> {
  const startedMs = performance.now();
  await athanor.up();
  return performance.now() - startedMs;
}
