/**
 * Decides which pods a training job should have now: first what it needs, then the gang, again after a failure, and
 * nothing new at the end.
 */
import { findCondition, formatTime, isConditionTrue, mergeConditions } from '../../kube/condition.ts';
import type { Outcome, World } from '../../kube/kind.ts';
import type { KubeObject, ObjectOf } from '../../kube/object.ts';
import { isPodFinished, type Pod } from '../../kube/pod.ts';
import type { DatasetStatus } from '../dataset/kind.ts';
import { MAIN_CONTAINER } from '../fields/launch.ts';
import { type Ending, findFailure, readResult } from '../fields/status.ts';
import { ATTEMPT_LABEL, type TrainingJobStatus } from './kind.ts';
import { planAttempt, planPack, podName, type TrainingJob } from './pods.ts';
import { describeGang, readProgress } from './progress.ts';

type Status = TrainingJobStatus;

/** Finished pods are kept for their logs until the job goes. */
export function reconcile(job: TrainingJob, world: World): Outcome<Status> {
  const pods = world.owned<Pod>(job, 'Pod');
  if (isOver(job.status)) return retire(job, pods, world.nowMs);
  const needs = findNeeds(job, pods, world);
  if (needs.trouble !== undefined) return waitOrFail(job, { needs, pods, world });
  return runGang(job, { needs, pods, world });
}

function isOver(status: Status | undefined): boolean {
  return isConditionTrue(status?.conditions, 'Complete') || isConditionTrue(status?.conditions, 'Failed');
}

/** After the end: unfinished pods go, finished ones stay, and all of it is deleted when its time is over. */
function retire(job: TrainingJob, pods: readonly Pod[], nowMs: number): Outcome<Status> {
  const children = pods.filter(isPodFinished);
  const status = job.status ?? {};
  const { ttlSecondsAfterFinished } = job.spec;
  if (ttlSecondsAfterFinished === undefined || status.completionTime === undefined) return { children, status };
  const leftMs = Date.parse(status.completionTime) + ttlSecondsAfterFinished * 1000 - nowMs;
  return leftMs <= 0 ? { children, status, done: true } : { children, status, againInMs: leftMs };
}

interface Needs {
  readonly code: Status['code'];
  readonly datasets: readonly { readonly name: string; readonly digest: string; readonly mountPath: string }[];
  readonly children: readonly Pod[];
  /** Why the gang cannot start yet, or ever. */
  readonly trouble?: { readonly reason: string; readonly message: string; readonly failure?: Ending } | undefined;
}

interface Scene {
  readonly needs: Needs;
  readonly pods: readonly Pod[];
  readonly world: World;
}

function findNeeds(job: TrainingJob, pods: readonly Pod[], world: World): Needs {
  const code = findCode(job, pods, world);
  const data = findDatasets(job, world);
  return { code: code.code, datasets: data.found, children: code.children, trouble: code.trouble ?? data.trouble };
}

function findCode(job: TrainingJob, pods: readonly Pod[], world: World): Pick<Needs, 'code' | 'children' | 'trouble'> {
  const { code } = job.spec;
  if (code?.git === undefined)
    return { code: code?.digest === undefined ? undefined : { digest: code.digest }, children: [] };
  const wanted = planPack(job, world);
  const pod = pods.find(({ metadata }) => metadata.name === wanted.metadata.name);
  if (job.status?.code !== undefined) return { code: job.status.code, children: pod ? [pod] : [] };
  const result = pod && readResult(pod, MAIN_CONTAINER);
  if (typeof result?.['digest'] === 'string') {
    return { code: { digest: result['digest'], commit: String(result['commit']) }, children: [pod ?? wanted] };
  }
  const failure = pod && findFailure(pod);
  const message = `the code of ${code.git.url} is being packed`;
  return {
    code: undefined,
    children: [wanted],
    trouble: { reason: 'PackingCode', message, ...(failure && { failure }) },
  };
}

function findDatasets(job: TrainingJob, world: World): { found: Needs['datasets']; trouble?: Needs['trouble'] } {
  const found: { name: string; digest: string; mountPath: string }[] = [];
  for (const [index, { name, digest, mountPath }] of job.spec.datasets.entries()) {
    const begun = job.status?.datasets?.[index];
    const fixed = begun?.name === name ? begun.digest : digest;
    const dataset = world.find<ObjectOf<unknown, DatasetStatus>>('Dataset', name, job);
    const chosen = fixed ?? dataset?.status?.digest;
    if (chosen === undefined) {
      const why =
        dataset === undefined
          ? 'does not exist'
          : (findCondition(dataset.status?.conditions, 'Ready')?.message ?? 'has no version yet');
      return { found, trouble: { reason: 'DatasetNotReady', message: `dataset ${name}: ${why}` } };
    }
    found.push({ name, digest: chosen, mountPath });
  }
  return { found };
}

function waitOrFail(job: TrainingJob, { needs, pods, world }: Scene): Outcome<Status> {
  const { trouble, children } = needs;
  const kept = [
    ...children,
    ...pods.filter((pod) => isPodFinished(pod) && !children.some((child) => child.metadata.name === pod.metadata.name)),
  ];
  if (trouble?.failure !== undefined) return { children: kept, status: fail(job, trouble.failure, world.nowMs) };
  const running = {
    type: 'Running',
    status: 'False' as const,
    reason: trouble?.reason ?? 'Waiting',
    message: trouble?.message ?? '',
  };
  const conditions = [...mergeConditions(job.status?.conditions, [running], world.nowMs)];
  return { children: kept, status: { ...job.status, phase: 'Pending', conditions, message: trouble?.message ?? '' } };
}

function runGang(job: TrainingJob, scene: Scene): Outcome<Status> {
  const { needs, pods, world } = scene;
  const attempt = findAttempt(job, pods);
  const gang = pods.filter(({ metadata }) => metadata.labels?.[ATTEMPT_LABEL] === String(attempt));
  const earlier = pods.filter((pod) => !gang.includes(pod) && isPodFinished(pod) && !needs.children.includes(pod));
  const failed = gang.find(findStop) ?? gang.find(({ status }) => status?.phase === 'Failed');
  if (failed !== undefined) return afterFailure(job, failed, { ...scene, gang });
  const basis = describeGang(job, { gang, attempt, nowMs: world.nowMs });
  const status = withNeeds({ ...job.status, ...basis }, needs);
  if (gang.length === job.spec.replicas && gang.every((pod) => pod.status?.phase === 'Succeeded')) {
    return {
      children: pods.filter(isPodFinished),
      status: complete(status, readOutputs(job, gang, attempt), world.nowMs),
    };
  }
  const wanted = planAttempt(job, { number: attempt, codeDigest: needs.code?.digest, datasets: needs.datasets }, world);
  const progress = readProgress(gang);
  return {
    children: [...needs.children, ...earlier, ...wanted],
    status: progress === undefined ? status : { ...status, progress },
  };
}

function withNeeds(status: Status, { code, datasets }: Needs): Status {
  const fixed = datasets.map(({ name, digest }) => ({ name, digest }));
  return { ...status, ...(code && { code }), ...(fixed.length > 0 && { datasets: fixed }) };
}

/** The newest attempt that the status or any pod knows of: neither alone survives every loss. */
function findAttempt({ status }: TrainingJob, pods: readonly Pod[]): number {
  return Math.max(status?.attempt ?? 0, ...pods.map(({ metadata }) => Number(metadata.labels?.[ATTEMPT_LABEL] ?? 0)));
}

/** The program's own failure counts against the limit; a node or agent that went away does not. */
function afterFailure(
  job: TrainingJob,
  pod: Pod,
  { gang, pods, world }: Scene & { readonly gang: readonly Pod[] },
): Outcome<Status> {
  const ending = findStop(pod) ?? findFailure(pod) ?? { container: '', exitCode: 1, reason: 'Failed', message: '' };
  const isLost = LOST_REASONS.has(pod.status?.reason ?? '') || LOST_REASONS.has(ending.reason);
  const restarts = (job.status?.restarts ?? 0) + (isLost ? 0 : 1);
  const children: readonly KubeObject[] = pods.filter(isPodFinished);
  const attempt = Math.max(...gang.map(({ metadata }) => Number(metadata.labels?.[ATTEMPT_LABEL] ?? 0)));
  if (restarts > job.spec.restartLimit) return { children, status: fail(job, ending, world.nowMs) };
  const why = ending.reason === 'Preempted' ? `, ${ending.message}` : '';
  const message = `attempt ${attempt} ended: ${ending.reason} in pod ${pod.metadata.name}${why}`;
  const running = { type: 'Running', status: 'False' as const, reason: 'Restarting', message };
  const conditions = [...mergeConditions(job.status?.conditions, [running], world.nowMs)];
  return {
    children,
    status: { ...job.status, phase: 'Restarting', attempt: attempt + 1, restarts, conditions, message },
    againInMs: 0,
  };
}

/** Set by the scheduler on pods that it stops for others: the whole gang starts again when there is room. */
function findStop({ status }: Pod): Ending | undefined {
  const target = findCondition(status?.conditions, 'DisruptionTarget');
  if (target?.status !== 'True') return undefined;
  return { container: '', exitCode: 143, reason: 'Preempted', message: target.message ?? 'it was stopped for others' };
}

const LOST_REASONS = new Set(['AgentRestarted', 'NodeLost', 'NodeShutdown', 'Evicted', 'Preempted']);

function fail(job: TrainingJob, ending: Ending, nowMs: number): Status {
  const where = ending.container === '' || ending.container === MAIN_CONTAINER ? '' : ` in ${ending.container}`;
  const message = `${ending.reason}${where}, exit code ${ending.exitCode}: ${ending.message.trim()}`;
  return {
    ...job.status,
    phase: 'Failed',
    exitCode: ending.exitCode,
    message,
    completionTime: formatTime(nowMs),
    active: 0,
    conditions: [
      ...mergeConditions(
        job.status?.conditions,
        [
          { type: 'Running', status: 'False', reason: 'Ended', message: '' },
          { type: 'Failed', status: 'True', reason: ending.reason, message },
        ],
        nowMs,
      ),
    ],
  };
}

function complete(status: Status, outputs: Status['outputs'], nowMs: number): Status {
  const { message: _message, ...rest } = status;
  return {
    ...rest,
    phase: 'Complete',
    exitCode: 0,
    completionTime: formatTime(nowMs),
    ...(outputs && { outputs }),
    conditions: [
      ...mergeConditions(
        status.conditions,
        [
          { type: 'Running', status: 'False', reason: 'Ended', message: '' },
          { type: 'Complete', status: 'True', reason: 'Completed', message: 'all pods ended well' },
        ],
        nowMs,
      ),
    ],
  };
}

function readOutputs(job: TrainingJob, gang: readonly Pod[], attempt: number): Status['outputs'] {
  const first = gang.find(({ metadata }) => metadata.name === podName(job, attempt, 0));
  const result = first && readResult(first, MAIN_CONTAINER);
  if (typeof result?.['digest'] !== 'string') return undefined;
  return { digest: result['digest'], files: Number(result['files']), sizeBytes: Number(result['sizeBytes']) };
}
