/** What `kubectl get pods` says of a pod, in the words of Kubernetes' own printer (pkg/printers/internalversion). */
import type { ContainerStatus, Pod } from '../kube/pod.ts';

export interface PodColumns {
  readonly ready: string;
  readonly reason: string;
  readonly restarts: string;
  readonly ip: string;
  readonly node: string;
}

/** One line about a pod. */
export function describePod(pod: Pod): PodColumns {
  const { status, spec, metadata } = pod;
  const statuses = status?.containerStatuses ?? [];
  const all = [...(status?.initContainerStatuses ?? []), ...statuses];
  const reason = metadata.deletionTimestamp !== undefined ? 'Terminating' : podReason(pod);
  return {
    ready: `${statuses.filter(({ ready }) => ready).length}/${spec.containers.length}`,
    reason,
    restarts: String(all.reduce((sum, { restartCount }) => sum + restartCount, 0)),
    ip: status?.podIP ?? '<none>',
    node: spec.nodeName ?? '<none>',
  };
}

function podReason({ status, spec }: Pod): string {
  const inits = status?.initContainerStatuses ?? [];
  const failing = inits.findIndex(({ state }) => state.terminated?.exitCode !== 0);
  const init = inits[failing];
  if (init !== undefined && status?.phase !== 'Failed' && status?.phase !== 'Succeeded') {
    return initReason(init, failing, spec.initContainers?.length ?? inits.length);
  }
  const shown = (status?.containerStatuses ?? []).map(containerReason).find((reason) => reason !== undefined);
  return status?.reason ?? shown ?? status?.phase ?? 'Pending';
}

function initReason({ state }: ContainerStatus, index: number, count: number): string {
  if (state.terminated !== undefined)
    return `Init:${state.terminated.reason ?? `ExitCode:${state.terminated.exitCode}`}`;
  const { reason } = state.waiting ?? {};
  return reason !== undefined && reason !== 'PodInitializing' ? `Init:${reason}` : `Init:${index}/${count}`;
}

function containerReason({ state }: ContainerStatus): string | undefined {
  if (state.waiting?.reason !== undefined && state.waiting.reason !== 'PodInitializing') return state.waiting.reason;
  if (state.terminated === undefined) return undefined;
  return state.terminated.reason ?? `ExitCode:${state.terminated.exitCode}`;
}
