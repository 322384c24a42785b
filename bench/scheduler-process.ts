/** The scheduler for benches, in a process of its own, on the cluster of cluster.ts. Run as a program it schedules until SIGTERM. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { ensureCredentials } from '../src/apiserver/credentials.ts';
import { hostClock } from '../src/base/clock.ts';
import { createClient } from '../src/client/client.ts';
import { startScheduler } from '../src/scheduler/scheduler.ts';
import type { BenchCluster } from './cluster.ts';

export interface BenchScheduler {
  readonly pid: number;
  close(): Promise<void>;
}

/** Resolves once it has read all objects. SCALE_NODE_FLAGS go to its node, such as `--cpu-prof --cpu-prof-dir=/tmp/p`. */
export async function startBenchScheduler(
  { url, folder }: BenchCluster,
  more: readonly string[] = [],
): Promise<BenchScheduler> {
  const flags = [...(process.env['SCALE_NODE_FLAGS'] ?? '').split(' ').filter((flag) => flag !== ''), ...more];
  const child: ChildProcess = spawn(process.execPath, [...flags, import.meta.filename, url, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout as NodeJS.ReadableStream, 'data'); // why: stdout is a pipe, as asked above
  return {
    pid: child.pid ?? 0,
    close: async () => {
      if (child.exitCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

if (process.argv[1] === import.meta.filename) {
  const [, , url = '', folder = ''] = process.argv;
  const { ownerToken, caPem } = await ensureCredentials(join(folder, 'pki'));
  const scheduler = startScheduler({
    client: createClient({ url, token: ownerToken, caPem, userAgent: 'athanor-scheduler' }),
    clock: hostClock(globalThis),
    schedulerNames: ['athanor'],
    report: (error) => process.stderr.write(`scheduler: ${String(error)}\n`),
  });
  await scheduler.synced;
  process.stdout.write('synced\n');
  process.once('SIGTERM', () => void scheduler.close().then(() => process.exit(0)));
}
