/** Which changes of objects can change a plan: a word on a status or a heartbeat cannot. */
import { isEqual } from '../../base/json.ts';
import { findCondition } from '../../kube/condition.ts';
import { isPodFinished, type Node, type Pod } from '../../kube/pod.ts';

/** Knows the bindings that are on their way back to us. */
export interface Expects {
  isExpected(pod: Pod): boolean;
}

/** False for a binding of our own that has come back, and for all that plans do not read. */
export function isPodChanged(before: Pod, after: Pod, expects: Expects): boolean {
  if (before.metadata.uid !== after.metadata.uid) return true;
  if (isPodFinished(before) && isPodFinished(after)) return false;
  const isComeBack = before.spec.nodeName === undefined && expects.isExpected(after);
  return !isEqual(readByPlans(isComeBack ? asBound(before, after) : before), readByPlans(after));
}

/** The pod as the binding alone has made it. */
function asBound(before: Pod, after: Pod): Pod {
  const { annotations } = after.metadata;
  const spec = { ...before.spec, nodeName: after.spec.nodeName ?? '' };
  return {
    ...before,
    metadata: { ...before.metadata, ...(annotations && { annotations }) },
    spec,
    status: after.status ?? {},
  };
}

function readByPlans(pod: Pod): unknown {
  const { labels, annotations, deletionTimestamp } = pod.metadata;
  const boundAt = pod.spec.nodeName && findCondition(pod.status?.conditions, 'PodScheduled')?.lastTransitionTime;
  return { spec: pod.spec, labels, annotations, deletionTimestamp, isFinished: isPodFinished(pod), boundAt };
}

/** False for a heartbeat. */
export function isNodeChanged(before: Node | undefined, after: Node): boolean {
  return before === undefined || !isEqual(readNodeByPlans(before), readNodeByPlans(after));
}

function readNodeByPlans({ metadata, spec, status }: Node): unknown {
  const ready = findCondition(status?.conditions, 'Ready');
  return {
    uid: metadata.uid,
    labels: metadata.labels,
    annotations: metadata.annotations,
    spec,
    allocatable: status?.allocatable ?? status?.capacity,
    ready: ready && [ready.status, ready.lastTransitionTime],
  };
}
