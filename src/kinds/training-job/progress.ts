/** What a running gang says of itself: how many pods run, what blocks one, how far rank 0 reports to be. */
import { mergeConditions } from '../../kube/condition.ts';
import type { Pod } from '../../kube/pod.ts';
import { findBlock } from '../fields/status.ts';
import { PROGRESS_ANNOTATION, RANK_LABEL, TrainingJobStatus } from './kind.ts';
import type { TrainingJob } from './pods.ts';

export interface Gang {
  readonly gang: readonly Pod[];
  readonly attempt: number;
  readonly nowMs: number;
}

/** The part of the status that follows from the pods alone. */
export function describeGang(job: TrainingJob, { gang, attempt, nowMs }: Gang): TrainingJobStatus {
  const active = gang.filter(({ status }) => status?.phase === 'Running').length;
  const succeeded = gang.filter(({ status }) => status?.phase === 'Succeeded').length;
  const started = gang
    .map(({ status }) => status?.startTime)
    .filter((time) => time !== undefined)
    .sort();
  const phase = choosePhase(job, gang, active + succeeded);
  const block = gang.map(findBlock).find((found) => found !== undefined) ?? findUnscheduled(gang);
  const message = block?.message ?? `${active} of ${job.spec.replicas} pods run`;
  const isRunning = phase === 'Running';
  const running = {
    type: 'Running',
    status: isRunning ? ('True' as const) : ('False' as const),
    reason: block?.reason ?? phase ?? 'Pending',
    message,
  };
  const startTime = job.status?.startTime ?? started[0];
  return {
    phase,
    attempt,
    restarts: job.status?.restarts ?? 0,
    active,
    succeeded,
    message,
    conditions: [...mergeConditions(job.status?.conditions, [running], nowMs)],
    ...(startTime !== undefined && { startTime }),
  };
}

function choosePhase(
  { spec }: TrainingJob,
  gang: readonly Pod[],
  begun: number,
): NonNullable<TrainingJobStatus['phase']> {
  if (begun === spec.replicas) return 'Running';
  return gang.some(({ spec: { nodeName } }) => nodeName !== undefined) ? 'Preparing' : 'Pending';
}

function findUnscheduled(gang: readonly Pod[]): { readonly reason: string; readonly message: string } | undefined {
  for (const { status } of gang) {
    const condition = status?.conditions?.find(({ type, status: is }) => type === 'PodScheduled' && is === 'False');
    if (condition !== undefined)
      return { reason: condition.reason ?? 'Unschedulable', message: condition.message ?? '' };
  }
  return undefined;
}

/** The newest report of rank 0; what is not a report is as good as none. */
export function readProgress(gang: readonly Pod[]): TrainingJobStatus['progress'] {
  const first = gang.find(({ metadata }) => metadata.labels?.[RANK_LABEL] === '0');
  const text = first?.metadata.annotations?.[PROGRESS_ANNOTATION];
  if (text === undefined) return undefined;
  try {
    return TrainingJobStatus.shape.progress.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // why: the annotation is written from what user code reports
  }
}
