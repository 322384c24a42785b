/** Carries plans out: binds pods, gangs asked for whole first, and stops those that must make room. */

import type { Clock } from '../../base/clock.ts';
import type { ApiClient } from '../../client/types.ts';
import { mergeConditions } from '../../kube/condition.ts';
import type { Pod } from '../../kube/pod.ts';
import { isStatusError } from '../../kube/status-error.ts';
import { WELL_KNOWN } from '../../kube/well-known.ts';
import type { Victim } from '../cycle/victims.ts';
import type { EventQueue } from './event-queue.ts';

/** One pod to one node. */
export interface Binding {
  readonly pod: Pod;
  readonly nodeName: string;
  /** What the pod is told, such as its devices. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** What acting needs. */
export interface ActOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly report: (error: unknown) => void;
  readonly events: EventQueue;
}

/** Requests under way at once. */
const PARALLEL = 32;

/** False when the API server refuses: the pod is gone, going, or bound by somebody else. */
async function tryBinding({ client, report }: ActOptions, binding: Binding, query = ''): Promise<boolean> {
  const { pod, nodeName, annotations } = binding;
  const { name, namespace, uid = '' } = pod.metadata;
  const target = { apiVersion: 'v1', kind: 'Node', name: nodeName };
  const told = Object.keys(annotations).length > 0 ? { annotations } : {};
  const body = { apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace, uid, ...told }, target };
  try {
    await client.request('POST', `/api/v1/namespaces/${namespace}/pods/${name}/binding${query}`, body);
    return true;
  } catch (error) {
    if (!isStatusError(error, 'Conflict') && !isStatusError(error, 'NotFound')) report(error);
    return false;
  }
}

/**
 * Binds what starts together: once all could be bound, and nothing more after one that could not. Returns those that
 * were. `assume` is called before a pod is bound, `forget` when it was not.
 */
export async function bindTogether(
  options: ActOptions,
  unit: readonly Binding[],
  { assume, forget }: { readonly assume: (binding: Binding) => void; readonly forget: (binding: Binding) => void },
): Promise<readonly Binding[]> {
  if (unit.length > 1) {
    for (const part of split(unit)) {
      const answers = await Promise.all(part.map((binding) => tryBinding(options, binding, '?dryRun=All')));
      if (answers.includes(false)) return [];
    }
  }
  const bound: Binding[] = [];
  for (const binding of unit) {
    assume(binding);
    if (!(await tryBinding(options, binding))) {
      forget(binding);
      break;
    }
    bound.push(binding);
  }
  for (const { pod, nodeName } of bound) {
    const message = `Successfully assigned ${pod.metadata.namespace}/${pod.metadata.name} to ${nodeName}`;
    options.events.record(pod, { type: 'Normal', reason: 'Scheduled', message });
  }
  return bound;
}

function split<T>(items: readonly T[]): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / PARALLEL) }, (_, part) =>
    items.slice(part * PARALLEL, (part + 1) * PARALLEL),
  );
}

/** Runs work on all items, a limited number at once. */
export async function forEachLimited<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
  parallel = PARALLEL,
): Promise<void> {
  const queue = items.values();
  const workers = Array.from({ length: Math.min(parallel, items.length) }, async () => {
    for (const item of queue) await work(item);
  });
  await Promise.all(workers);
}

/** Why a pod was stopped, for its condition and event. */
export function describeStop({ workload, cause, by }: Victim): string {
  const whom = by === undefined ? '' : ` for ${by.key}`;
  const isOutranked = by === undefined || by.priority > workload.priority;
  const outranks = isOutranked ? 'a larger priority of its queue' : 'one of its queue that has had less';
  return {
    reclaim: `its queue holds more than its fair share, which was taken back${whom}`,
    preempt: `${outranks} needs the room${whom}`,
    consolidate: `it is moved to make room${whom}`,
    stale: 'its gang had nodes for some members only, for too long',
    unhealthy: 'its node or device is not well',
  }[cause];
}

/** Tells the pod why, and deletes it, as kube-scheduler does. A pod that is gone already is fine. */
export async function stopPod(options: ActOptions, pod: Pod, victim: Victim): Promise<void> {
  const { client, clock, events } = options;
  const { name, namespace, uid } = pod.metadata;
  const message = describeStop(victim);
  const condition = { type: 'DisruptionTarget', status: 'True' as const, reason: 'PreemptionByScheduler', message };
  const conditions = mergeConditions(pod.status?.conditions, [condition], clock.nowMs());
  try {
    await client.patch(WELL_KNOWN.Pod, {
      name,
      namespace,
      subresource: 'status',
      type: 'merge',
      body: { metadata: { uid }, status: { conditions } },
    });
    await client.delete(WELL_KNOWN.Pod, name, { namespace, ...(uid !== undefined && { preconditions: { uid } }) });
    events.record(pod, { type: 'Warning', reason: 'Preempted', message });
  } catch (error) {
    if (!isStatusError(error, 'NotFound') && !isStatusError(error, 'Conflict')) options.report(error);
  }
}
