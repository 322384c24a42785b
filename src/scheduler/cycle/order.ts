/** In which order waiting workloads are tried: queues by how far they are from their share, then by their own order. */
import type { QueueNode } from '../queues/queue-tree.ts';
import type { Ledger } from './ledger.ts';
import { isByService, type Service } from './service.ts';
import type { Shares } from './shares.ts';
import type { Workload } from './workload.ts';

/** Which of two workloads of one queue goes first. */
export type Before = (a: Workload, b: Workload) => number;

/**
 * A gang that was cut goes first, since what it holds serves nobody; then the larger priority, in queues that go by
 * service the lower level, the earlier one, the name.
 */
export function compareWorkloads(ledger: Ledger, service: Service): Before {
  const isCut = (workload: Workload) => {
    const held = ledger.countHeld(workload);
    return Number(held > 0 && held < workload.minMember);
  };
  const levelOf = (workload: Workload) => (isByService(ledger.queueOf(workload)) ? service.levelOf(workload) : 0);
  return (a, b) =>
    isCut(b) - isCut(a) ||
    b.priority - a.priority ||
    levelOf(a) - levelOf(b) ||
    a.createdAtMs - b.createdAtMs ||
    (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
}

/** Hands out waiting workloads one by one; each time it looks anew at what the queues hold by then. */
export class WaitingLine {
  readonly #shares: Shares;
  readonly #roots: readonly QueueNode[];
  readonly #lines = new Map<QueueNode, { readonly workloads: readonly Workload[]; next: number }>();
  /** How many wait in the queue and below it. */
  readonly #counts = new Map<QueueNode, number>();

  constructor(ledger: Ledger, shares: Shares, { waiting, before }: { waiting: readonly Workload[]; before: Before }) {
    this.#shares = shares;
    this.#roots = ledger.tree.roots;
    const byQueue = new Map<QueueNode, Workload[]>();
    for (const workload of waiting) {
      const queue = ledger.queueOf(workload);
      if (queue === undefined) continue;
      const line = byQueue.get(queue) ?? [];
      byQueue.set(queue, line);
      line.push(workload);
    }
    for (const [queue, workloads] of byQueue) {
      this.#lines.set(queue, { workloads: workloads.sort(before), next: 0 });
      for (let up: QueueNode | undefined = queue; up !== undefined; up = up.up)
        this.#counts.set(up, (this.#counts.get(up) ?? 0) + workloads.length);
    }
  }

  /** The next workload, or undefined at the end. O(depth x siblings). */
  next(): Workload | undefined {
    let level = this.#roots;
    for (;;) {
      const queue = this.#choose(level);
      if (queue === undefined) return undefined;
      const line = this.#lines.get(queue);
      if (line !== undefined && line.next < line.workloads.length) {
        for (let up: QueueNode | undefined = queue; up !== undefined; up = up.up)
          this.#counts.set(up, (this.#counts.get(up) ?? 0) - 1);
        line.next += 1;
        return line.workloads[line.next - 1];
      }
      level = queue.children;
    }
  }

  /** Below its share first, then by priority, then the one that is least full. */
  #choose(queues: readonly QueueNode[]): QueueNode | undefined {
    let best: { readonly queue: QueueNode; readonly saturation: number } | undefined;
    for (const queue of queues) {
      if ((this.#counts.get(queue) ?? 0) === 0) continue;
      const saturation = this.#shares.saturationOf(queue);
      if (best === undefined || goesBefore({ queue, saturation }, best)) best = { queue, saturation };
    }
    return best?.queue;
  }
}

interface Contender {
  readonly queue: QueueNode;
  readonly saturation: number;
}

function goesBefore(a: Contender, b: Contender): boolean {
  const isOver = ({ saturation }: Contender) => Number(saturation >= 1);
  const order = isOver(a) - isOver(b) || b.queue.priority - a.queue.priority || a.saturation - b.saturation;
  return order < 0;
}
