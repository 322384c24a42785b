/**
 * Workloads as they were read last, with all that they were read from: objects are frozen, so what was read from the
 * same objects need not be read again.
 */
import type { KubeObject } from '../../kube/object.ts';
import type { Pod } from '../../kube/pod.ts';
import type { Workload } from '../cycle/workload.ts';
import type { DeviceClasses } from './device-classes.ts';
import type { PoolRules } from './read-queues.ts';

/** What a workload is read from beside its own objects; compared by identity. */
export interface ReadFrom {
  readonly schedulerNames: ReadonlySet<string>;
  readonly classes: DeviceClasses;
  readonly rules: PoolRules;
  /** Run times learned, by key: the answer is compared. */
  readonly estimateMs: (key: string) => number | undefined;
}

interface Known {
  readonly from: ReadFrom;
  /** Run times that were asked for. */
  readonly learned: readonly { readonly key: string; readonly ms: number | undefined }[];
  readonly workload: Workload;
}

interface KnownGang extends Known {
  readonly group: KubeObject | undefined;
  readonly pods: readonly Pod[];
  /** Of its members, those that have ended well. */
  readonly ended: readonly Pod[];
}

/** Objects that are gone are kept until they are so many more than those that are there. */
const SPARE = { part: 0.1, count: 1_000 } as const;

/** Remembers from one reading to the next. */
export class KnownWorkloads {
  readonly #singles = new Map<Pod, Known>();
  #gangs = new Map<string, KnownGang>();
  #seen = new Map<string, KnownGang>();

  /** The pod alone; `read` is asked when something has changed. */
  single<S extends ReadFrom>(pod: Pod, sources: S, read: (sources: S) => Workload): Workload {
    const known = this.#singles.get(pod);
    if (known !== undefined && isSame(known, sources)) return known.workload;
    const fresh = readKnown(sources, read);
    this.#singles.set(pod, fresh);
    return fresh.workload;
  }

  /** A group with its pods, by its key. */
  gang<S extends ReadFrom>(
    { key, ...objects }: { readonly key: string } & Omit<KnownGang, keyof Known>,
    sources: S,
    read: (sources: S) => Workload,
  ): Workload {
    const known = this.#gangs.get(key);
    const isFresh =
      known !== undefined &&
      known.group === objects.group &&
      areSame(known.pods, objects.pods) &&
      areSame(known.ended, objects.ended) &&
      isSame(known, sources);
    const now = isFresh ? known : { ...readKnown(sources, read), ...objects };
    this.#seen.set(key, now);
    return now.workload;
  }

  /** After each reading, with all its pods: forgets what is gone. */
  finish(pods: readonly Pod[]): void {
    this.#gangs = this.#seen;
    this.#seen = new Map();
    if (this.#singles.size <= pods.length * (1 + SPARE.part) + SPARE.count) return;
    const there = new Set(pods);
    for (const pod of this.#singles.keys()) if (!there.has(pod)) this.#singles.delete(pod);
  }
}

function areSame(before: readonly Pod[], after: readonly Pod[]): boolean {
  return before.length === after.length && before.every((pod, index) => pod === after[index]);
}

function isSame({ from, learned }: Known, { schedulerNames, classes, rules, estimateMs }: ReadFrom): boolean {
  return (
    from.rules === rules &&
    from.classes === classes &&
    from.schedulerNames === schedulerNames &&
    learned.every(({ key, ms }) => estimateMs(key) === ms)
  );
}

function readKnown<S extends ReadFrom>(sources: S, read: (sources: S) => Workload): Known {
  const learned: { readonly key: string; readonly ms: number | undefined }[] = [];
  const workload = read({
    ...sources,
    estimateMs: (key: string) => {
      const ms = sources.estimateMs(key);
      learned.push({ key, ms });
      return ms;
    },
  });
  const { schedulerNames, classes, rules, estimateMs } = sources;
  return { from: { schedulerNames, classes, rules, estimateMs }, learned, workload };
}
