/**
 * Decides which containers of a pod to start or stop now, from its spec and what is known of each. Acts on
 * nothing, knows no clock.
 */
import { backoffMs } from '../base/backoff.ts';
import type { Container, Pod } from '../kube/pod.ts';
import type { ContainerRecord } from './container-record.ts';

export interface RestartBackoff {
  /** Delay before the second restart; the first is at once, as a kubelet's. Doubles with each end. */
  readonly firstMs: number;
  readonly maxMs: number;
  /** A run this long forgets earlier ends. */
  readonly resetMs: number;
}

export interface Waiting {
  readonly reason: string;
  readonly message?: string;
  /** When to try again; absent where only a change of the pod helps. */
  readonly retryAtMs?: number;
}

/** One container as the agent sees it. */
export interface ContainerView {
  readonly record: ContainerRecord;
  /** Why its last start did not come about; absent when nothing stood in the way. */
  readonly waiting?: Waiting;
  /** Whether its startup probe has passed (or it has none). */
  readonly isStarted: boolean;
  /** Whether its readiness probe holds (or it has none). */
  readonly isReady: boolean;
}

export interface PodView {
  readonly pod: Pod;
  readonly nowMs: number;
  readonly containers: ReadonlyMap<string, ContainerView>;
  /** Why the volumes are not there yet. */
  readonly volumesWaiting?: Waiting | undefined;
  readonly areVolumesReady: boolean;
  readonly backoff: RestartBackoff;
}

export interface PodPlan {
  readonly start: readonly string[];
  readonly stop: readonly string[];
  /** Containers held back after a crash, by name. */
  readonly held: ReadonlyMap<string, Waiting>;
  /** When to plan again although nothing has changed. */
  readonly wakeAtMs: number | undefined;
  readonly areInitDone: boolean;
  /** No process runs and none will be started again. */
  readonly isFinished: boolean;
}

/** What a pod needs before anything was seen of a container. */
export const UNSEEN: ContainerView = { record: { restartCount: 0, failures: 0 }, isStarted: false, isReady: false };

/** The decision; the same view gives the same plan. */
export function planPod(view: PodView): PodPlan {
  const { pod } = view;
  const init = pod.spec.initContainers ?? [];
  const nextInit = init.find(({ name }) => !hasSucceeded(viewOf(view, name)));
  const areInitDone = nextInit === undefined;
  const running = [...init, ...pod.spec.containers].filter(({ name }) => viewOf(view, name).record.run !== undefined);
  if (pod.metadata.deletionTimestamp !== undefined) {
    return { ...NOTHING, stop: running.map(({ name }) => name), areInitDone, isFinished: running.length === 0 };
  }
  const policy = pod.spec.restartPolicy ?? 'Always';
  if (nextInit !== undefined) {
    // An init container is done once it succeeds: for it, Always means OnFailure.
    const steps = planContainers(view, [nextInit], policy === 'Always' ? 'OnFailure' : policy);
    return { ...steps, areInitDone };
  }
  return { ...planContainers(view, pod.spec.containers, policy), areInitDone };
}

const NOTHING = { start: [], stop: [], held: new Map<string, Waiting>(), wakeAtMs: undefined } as const;

type Policy = NonNullable<Pod['spec']['restartPolicy']>;

function planContainers(view: PodView, containers: readonly Container[], policy: Policy): Omit<PodPlan, 'areInitDone'> {
  const wanted = containers.filter(({ name }) => isWanted(viewOf(view, name), policy));
  const isFinished = containers.every(({ name }) => viewOf(view, name).record.run === undefined) && wanted.length === 0;
  if (!view.areVolumesReady) return { ...NOTHING, wakeAtMs: view.volumesWaiting?.retryAtMs, isFinished };
  const start: string[] = [];
  const held = new Map<string, Waiting>();
  const wakes: number[] = [];
  for (const { name } of wanted) {
    const container = viewOf(view, name);
    const waiting = findHold(view, name, container);
    if (waiting === undefined) start.push(name);
    else held.set(name, waiting);
    if (waiting?.retryAtMs !== undefined) wakes.push(waiting.retryAtMs);
  }
  return { start, stop: [], held, wakeAtMs: wakes.length === 0 ? undefined : Math.min(...wakes), isFinished };
}

/** True when the container does not run and its policy says that it should. */
function isWanted({ record }: ContainerView, policy: Policy): boolean {
  if (record.run !== undefined) return false;
  if (record.end === undefined || policy === 'Always') return true;
  return policy === 'OnFailure' && record.end.exitCode !== 0;
}

function findHold(view: PodView, name: string, { record, waiting }: ContainerView): Waiting | undefined {
  if (waiting !== undefined && (waiting.retryAtMs === undefined || waiting.retryAtMs > view.nowMs)) return waiting;
  const { end, failures } = record;
  if (end === undefined) return undefined;
  const delayMs = backoffMs(failures - 1, view.backoff);
  const retryAtMs = end.finishedAtMs + delayMs;
  if (retryAtMs <= view.nowMs) return undefined;
  const { namespace, name: podName, uid } = view.pod.metadata;
  const who = `container=${name} pod=${podName}_${namespace ?? 'default'}(${uid ?? ''})`;
  const message = `back-off ${formatDelay(delayMs)} restarting failed ${who}`;
  return { reason: 'CrashLoopBackOff', message, retryAtMs };
}

/** As Go prints a duration: `10s`, `1m20s`. */
function formatDelay(delayMs: number): string {
  const seconds = Math.round(delayMs / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}

function hasSucceeded({ record }: ContainerView): boolean {
  return record.run === undefined && record.end?.exitCode === 0;
}

/** The container's view, or that of one never seen. */
export function viewOf(view: Pick<PodView, 'containers'>, name: string): ContainerView {
  return view.containers.get(name) ?? UNSEEN;
}
