/** `athanor why`: why a job or pod waits, who goes before it, what is missing where, and when it will likely run. */
import { StatusError } from '../kube/status-error.ts';
import { type CyclePlan, planCycle, type Scene } from '../scheduler/cycle/plan-cycle.ts';
import type { Workload } from '../scheduler/cycle/workload.ts';
import { forecast } from '../scheduler/simulate/forward.ts';
import { listSources, toScene } from './cluster-scene.ts';
import { type CommandContext, withClient } from './context.ts';
import { formatValue, parseFormat } from './output.ts';

interface Answer {
  readonly workload: string;
  readonly queue: string;
  readonly state: 'Running' | 'Pending';
  readonly runningOn: readonly string[];
  readonly reason: string | null;
  readonly message: string | null;
  readonly position: number | null;
  readonly before: readonly string[];
  /** Who would be stopped or moved for it. */
  readonly wouldStop: readonly string[];
  readonly expectedStart: string | null;
}

/** @throws NotFound when no pod of that job, or of that name, is there. */
export async function explainWaiting(
  context: CommandContext,
  name: string,
  flags: { readonly namespace: string; readonly output?: string },
): Promise<void> {
  const format = parseFormat(flags.output);
  const { scene } = await withClient(context, async (client) => toScene(await listSources(client)));
  const workload = findWorkload(scene.workloads, name, flags.namespace);
  const answer = explain(scene, workload);
  if (format === 'json' || format === 'yaml') context.stdout.write(formatValue(answer, format));
  else context.stdout.write(describe(answer, scene.nowMs));
}

/** By the job's name, `kind/name`, or the name of one of the pods. */
function findWorkload(workloads: readonly Workload[], name: string, namespace: string): Workload {
  const [kind, rest] = name.includes('/') ? name.toLowerCase().split('/', 2) : [undefined, name];
  const found = workloads.find(({ key, members }) => {
    const [ofKind, inNamespace, own] = key.split('/');
    const isMember = members.some((member) => member.key.split(' ')[0] === `${namespace}/${rest}`);
    const isNamed = inNamespace === namespace && own === rest;
    return (isNamed || isMember) && (kind === undefined || kind === ofKind || (kind === 'pod' && isMember));
  });
  if (found !== undefined) return found;
  const message = `cannot explain ${name}: no pod of that job and no pod of that name is there in namespace ${namespace}`;
  throw new StatusError('NotFound', `${message}; it has ended, or it is not scheduled by Athanor`);
}

function explain(scene: Scene, workload: Workload): Answer {
  const still = planCycle({ ...scene, mayMove: false, mayStop: false });
  const waiting = still.waiting.find((one) => one.workload.key === workload.key);
  const seated = workload.members.flatMap(({ on }) => (on === undefined ? [] : [on.node]));
  const isRunning = seated.length >= workload.minMember;
  const before = still.waiting
    .filter((one) => one.workload.queue === workload.queue && waiting !== undefined && one.position < waiting.position)
    .map((one) => one.workload.key);
  const acting = planCycle(scene);
  const startMs = isRunning
    ? undefined
    : forecast(scene, (starts) => starts.has(workload.key)).startMs.get(workload.key);
  return {
    workload: workload.key,
    queue: workload.queue,
    state: isRunning ? 'Running' : 'Pending',
    runningOn: [...new Set(seated)],
    reason: waiting?.refusal.reason ?? null,
    message: waiting?.refusal.message ?? null,
    position: isRunning || waiting === undefined ? null : waiting.position,
    before,
    wouldStop: victimsFor(acting, workload),
    expectedStart: startMs === undefined ? null : new Date(startMs).toISOString(),
  };
}

function victimsFor(plan: CyclePlan, workload: Workload): readonly string[] {
  return plan.victims
    .filter(({ by }) => by?.key === workload.key)
    .map(({ workload: { key }, cause }) => `${key} (${cause})`);
}

function describe(answer: Answer, nowMs: number): string {
  const lines = [`${answer.workload} in queue ${answer.queue} is ${answer.state.toLowerCase()}`];
  if (answer.state === 'Running') lines.push(`it runs on ${answer.runningOn.join(', ')}`);
  if (answer.message !== null) lines.push(`it waits (${answer.reason}): ${answer.message}`);
  else if (answer.state === 'Pending') lines.push('it has room now and starts with the next plan');
  if (answer.position !== null)
    lines.push(
      answer.before.length === 0
        ? 'nobody of its queue is before it'
        : `${answer.before.length} of its queue are before it: ${answer.before.slice(0, 10).join(', ')}`,
    );
  if (answer.wouldStop.length > 0) lines.push(`room is made for it by stopping ${answer.wouldStop.join(', ')}`);
  if (answer.state === 'Pending') lines.push(describeStart(answer.expectedStart, nowMs));
  return `${lines.join('\n')}\n`;
}

function describeStart(expected: string | null, nowMs: number): string {
  if (expected === null) return 'as things stand it will not start: nothing that ends makes enough room for it';
  const minutes = Math.round((Date.parse(expected) - nowMs) / 60_000);
  return minutes <= 0
    ? 'it will likely start at once'
    : `it will likely start in about ${minutes} min (${expected}), by what is known of run times`;
}
