/**
 * Computes a pod's status as a kubelet would from its plan and what is known of its containers. Pure; writes
 * nothing.
 */
import { type ConditionNow, formatTime, mergeConditions } from '../kube/condition.ts';
import type { Container, ContainerState, ContainerStatus, PodPhase, PodStatus } from '../kube/pod.ts';
import type { ContainerEnd } from './container-record.ts';
import { type PodPlan, type PodView, viewOf, type Waiting } from './plan-pod.ts';
import { qosClassOf } from './qos-class.ts';

export interface StatusRequest {
  readonly view: PodView;
  readonly plan: PodPlan;
  readonly podIp: string;
  readonly hostIp: string;
  readonly startedAtMs: number;
}

/** The whole status; conditions of others are kept. */
export function computePodStatus(request: StatusRequest): PodStatus {
  const { view, plan, podIp, hostIp, startedAtMs } = request;
  const { pod } = view;
  const phase = computePhase(view, plan);
  const init = pod.spec.initContainers ?? [];
  return {
    phase,
    conditions: mergeConditions(pod.status?.conditions, computeConditions(view, plan, phase), view.nowMs),
    hostIP: hostIp,
    podIP: podIp,
    podIPs: [{ ip: podIp }],
    startTime: formatTime(startedAtMs),
    ...(init.length > 0 && {
      initContainerStatuses: init.map((container) => computeContainer(view, plan, { container, isInit: true })),
    }),
    containerStatuses: pod.spec.containers.map((container) =>
      computeContainer(view, plan, { container, isInit: false }),
    ),
    qosClass: qosClassOf(pod.spec),
  };
}

function computePhase(view: PodView, plan: PodPlan): PodPhase {
  const { spec, metadata } = view.pod;
  const exitCodes = (containers: readonly Container[]) =>
    containers.map(({ name }) => viewOf(view, name).record.end?.exitCode);
  if (!plan.areInitDone) return plan.isFinished ? 'Failed' : 'Pending';
  const isDone = plan.isFinished && (metadata.deletionTimestamp !== undefined || spec.restartPolicy !== 'Always');
  if (isDone) return exitCodes(spec.containers).every((code) => code === 0) ? 'Succeeded' : 'Failed';
  const isUnseen = ({ name }: Container) => {
    const { run, end } = viewOf(view, name).record;
    return run === undefined && end === undefined;
  };
  return spec.containers.some(isUnseen) ? 'Pending' : 'Running';
}

function computeConditions(view: PodView, plan: PodPlan, phase: PodPhase): ConditionNow[] {
  const { spec, status } = view.pod;
  const scheduled = status?.conditions?.some(({ type }) => type === 'PodScheduled') ?? false;
  const unready = spec.containers.filter(({ name }) => !isContainerReady(view, name)).map(({ name }) => name);
  return [
    ...(scheduled ? [] : [{ type: 'PodScheduled', status: 'True' } as const]),
    computeInitialized(view, plan, phase),
    computeReady('Ready', unready, phase),
    computeReady('ContainersReady', unready, phase),
  ];
}

function computeInitialized(view: PodView, plan: PodPlan, phase: PodPhase): ConditionNow {
  if (phase === 'Succeeded') return { type: 'Initialized', status: 'True', reason: 'PodCompleted' };
  if (plan.areInitDone) return { type: 'Initialized', status: 'True' };
  const init = view.pod.spec.initContainers ?? [];
  const left = init.filter(({ name }) => viewOf(view, name).record.end?.exitCode !== 0).map(({ name }) => name);
  const message = `containers with incomplete status: [${left.join(' ')}]`;
  return { type: 'Initialized', status: 'False', reason: 'ContainersNotInitialized', message };
}

function computeReady(type: string, unready: readonly string[], phase: PodPhase): ConditionNow {
  if (phase === 'Succeeded') return { type, status: 'False', reason: 'PodCompleted' };
  if (phase === 'Failed') return { type, status: 'False', reason: 'PodFailed' };
  if (unready.length === 0) return { type, status: 'True' };
  const message = `containers with unready status: [${unready.join(' ')}]`;
  return { type, status: 'False', reason: 'ContainersNotReady', message };
}

function isContainerReady(view: PodView, name: string): boolean {
  const { record, isStarted, isReady } = viewOf(view, name);
  return record.run !== undefined && isStarted && isReady;
}

interface Which {
  readonly container: Container;
  readonly isInit: boolean;
}

function computeContainer(view: PodView, plan: PodPlan, { container, isInit }: Which): ContainerStatus {
  const { name, image } = container;
  const { record, isStarted } = viewOf(view, name);
  const { run, end, previousEnd, restartCount } = record;
  const state = computeState(view, plan, { container, isInit });
  const last = state.terminated === undefined && end !== undefined ? end : previousEnd;
  const id = run?.id ?? end?.id;
  const isDone = isInit && run === undefined && end?.exitCode === 0;
  return {
    name,
    state,
    lastState: last === undefined ? {} : { terminated: formatEnd(last) },
    ready: isInit ? isDone : isContainerReady(view, name),
    restartCount,
    image,
    imageID: '',
    ...(id !== undefined && { containerID: formatContainerId(id) }),
    started: run !== undefined && isStarted,
  };
}

function computeState(view: PodView, plan: PodPlan, { container, isInit }: Which): ContainerState {
  const { record, waiting } = viewOf(view, container.name);
  const { run, end } = record;
  if (run !== undefined) return { running: { startedAt: formatTime(run.startedAtMs) } };
  const held = plan.held.get(container.name) ?? (plan.isFinished ? undefined : waiting);
  if (held !== undefined) return { waiting: formatWaiting(held) };
  if (end !== undefined) return { terminated: formatEnd(end) };
  if (!isInit && !plan.areInitDone) return { waiting: { reason: 'PodInitializing' } };
  const isFirst = view.pod.spec.initContainers?.[0]?.name === container.name;
  return { waiting: { reason: isInit && !isFirst ? 'PodInitializing' : 'ContainerCreating' } };
}

function formatWaiting({ reason, message }: Waiting): { reason: string; message?: string } {
  return { reason, ...(message !== undefined && { message }) };
}

function formatEnd(end: ContainerEnd): NonNullable<ContainerState['terminated']> {
  return {
    exitCode: end.exitCode,
    reason: end.reason,
    ...(end.message !== undefined && end.message !== '' && { message: end.message }),
    startedAt: formatTime(end.startedAtMs),
    finishedAt: formatTime(end.finishedAtMs),
    containerID: formatContainerId(end.id),
  };
}

function formatContainerId(id: string): string {
  return `process://${id}`;
}
