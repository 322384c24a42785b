/** CPU and memory of every running container, as a kubelet's /stats/summary tells them. */
import { formatTime } from '../kube/condition.ts';
import type { NodePods } from './node-pods.ts';
import type { AgentOptions } from './options.ts';
import { findTree, listProcesses, type ProcessRow, TICKS_PER_SECOND } from './process-table.ts';

/** One sample of all processes; O(processes). */
export function summarizeUsage({
  options,
  pods,
}: {
  readonly options: AgentOptions;
  readonly pods: NodePods;
}): unknown {
  const rows = listProcesses();
  const time = formatTime(options.clock.nowMs());
  const podUsages = pods.list().map(({ pod, slots }) => {
    const { name, namespace, uid } = pod.metadata;
    const containers = [...slots.values()].flatMap((slot) => {
      if (slot.running === undefined) return [];
      return [{ name: slot.name, ...sumTree(findTree(slot.running.pid, rows), time) }];
    });
    return { podRef: { name, namespace, uid }, containers };
  });
  return { node: { nodeName: options.nodeName }, pods: podUsages };
}

function sumTree(tree: readonly ProcessRow[], time: string): object {
  const ticks = tree.reduce((sum, { cpuTicks }) => sum + cpuTicks, 0);
  const workingSetBytes = tree.reduce((sum, { residentBytes }) => sum + residentBytes, 0);
  return {
    cpu: { time, usageCoreNanoSeconds: Math.round((ticks / TICKS_PER_SECOND) * 1e9) },
    memory: { time, workingSetBytes },
  };
}
