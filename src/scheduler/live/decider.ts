/** One decision after the other: reads, plans, carries out, and remembers what has not come back yet. */

import type { Clock } from '../../base/clock.ts';
import type { RecordEvent } from '../../client/events.ts';
import type { ApiClient } from '../../client/types.ts';
import type { Pod } from '../../kube/pod.ts';
import { isPodFinished } from '../../kube/pod.ts';
import type { Nomination } from '../cycle/nominations.ts';
import { type CyclePlan, planCycle, type Scene, type Waiting } from '../cycle/plan-cycle.ts';
import type { Workload } from '../cycle/workload.ts';
import { writeAssigned } from '../objects/assignment.ts';
import { learningKey, PodAsks } from '../objects/read-workloads.ts';
import type { PolicyName } from '../placement/policies.ts';
import { emptyUsage, recordUsage, type Usage } from '../queues/usage.ts';
import { type Binding, bindTogether, forEachLimited, stopPod } from './act.ts';
import { Attained } from './attained.ts';
import { Estimates } from './estimates.ts';
import type { SchedulerMetrics } from './metrics.ts';
import { ClassReader, findOnSickDevices, type Reading, readSources, type Sources } from './read-scene.ts';
import { describeRefusal, Teller } from './tell.ts';

/** What deciding needs. */
export interface DeciderOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly schedulerNames: readonly string[];
  readonly report: (error: unknown) => void;
  readonly record: RecordEvent;
  readonly policy: PolicyName;
  readonly sources: Sources;
  readonly metrics: SchedulerMetrics;
}

/** Who has waited this long for room is promised nodes. */
const PROMISE_AFTER_MS = 60_000;
/** Use of a queue counts half after this long. */
const HALF_LIFE_MS = 24 * 3_600_000;
/** How strongly use before counts against a queue's part of what is over. */
const USAGE_STRENGTH = 0.5;
/** What was left undone is tried again after this long even when nothing changes. */
const RETRY_MS = 5_000;
/** A workload whose binding was refused waits so long, twice as long each time, up to the most. */
const PENALTY_MS = { first: 250, most: 60_000 } as const;

interface Penalty {
  readonly untilMs: number;
  readonly lastMs: number;
}

/** Holds what lies between two decisions. */
export class Decider {
  readonly #options: DeciderOptions;
  readonly #teller: Teller;
  readonly #asks = new PodAsks();
  readonly #classes = new ClassReader();
  readonly #estimates = new Estimates();
  readonly #attained = new Attained();
  /** Bindings whose pods have not come back with them yet, by uid. */
  readonly #assumed = new Map<string, Binding>();
  readonly #penalties = new Map<string, Penalty>();
  #nominations: readonly Nomination[] = [];
  #usage: Usage;

  constructor(options: DeciderOptions) {
    this.#options = options;
    this.#teller = new Teller(options);
    this.#usage = emptyUsage(options.clock.nowMs());
  }

  /** The pod is gone: what it ran for is learned. */
  forget(pod: Pod): void {
    const { uid = '' } = pod.metadata;
    this.#assumed.delete(uid);
    this.#teller.forget(uid);
    const queue = pod.metadata.labels?.['athanor.dev/queue'] ?? 'default';
    const started = Date.parse(pod.status?.startTime ?? '');
    if (isPodFinished(pod) && pod.status?.phase === 'Succeeded' && Number.isFinite(started))
      this.#estimates.learn(learningKey(queue, pod.metadata.name), this.#options.clock.nowMs() - started);
  }

  /** How soon it must be tried again even when nothing changes; undefined: not before. */
  async decide(): Promise<number | undefined> {
    const nowMs = this.#options.clock.nowMs();
    const reading = this.#read(nowMs);
    const startedMs = performance.now();
    const plan = planCycle(this.#toScene(reading, nowMs));
    this.#options.metrics.measure(plan, { nowMs, tookMs: performance.now() - startedMs });
    this.#nominations = plan.nominations;
    this.#usage = recordUsage(this.#usage, shareOfCapacity(plan), { nowMs, halfLifeMs: HALF_LIFE_MS });
    await this.#bindAll(plan, reading, nowMs);
    await this.#stopAll(plan, reading);
    await this.#tell(plan, reading);
    return this.#nextTry(plan, nowMs);
  }

  #nextTry({ waiting, nominations, starts }: CyclePlan, nowMs: number): number | undefined {
    const ends = [...this.#penalties.values()].map(({ untilMs }) => untilMs - nowMs).filter((leftMs) => leftMs > 0);
    const isUnfinished = waiting.length + nominations.length + (ends.length > 0 ? starts.length : 0) > 0;
    return isUnfinished ? Math.min(RETRY_MS, ...ends) : undefined;
  }

  #read(nowMs: number): Reading {
    const { sources, schedulerNames } = this.#options;
    return readSources(sources, {
      nowMs,
      schedulerNames: new Set(schedulerNames),
      asks: this.#asks,
      classes: this.#classes.read(sources.classes.list()),
      estimateMs: (key) => this.#estimates.find(key),
      withAssumed: (pod) => this.#withAssumed(pod),
    });
  }

  #toScene(reading: Reading, nowMs: number): Scene {
    const { policy, sources } = this.#options;
    return {
      nowMs,
      nodes: reading.nodes,
      tree: reading.tree,
      workloads: this.#attained.tell(reading.workloads, nowMs).map((workload) => this.#withPenalty(workload, nowMs)),
      policy,
      usage: this.#usage,
      usageStrength: USAGE_STRENGTH,
      nominations: this.#nominations,
      drained: reading.drained,
      sick: new Set(findOnSickDevices(reading, sources.pools.list()).map(({ key }) => key)),
      promiseAfterMs: PROMISE_AFTER_MS,
    };
  }

  #withAssumed(pod: Pod): Pod {
    const uid = pod.metadata.uid ?? '';
    const binding = this.#assumed.get(uid);
    if (binding === undefined) return pod;
    if (pod.spec.nodeName !== undefined) {
      this.#assumed.delete(uid);
      return pod;
    }
    const annotations = { ...pod.metadata.annotations, ...binding.annotations };
    return { ...pod, metadata: { ...pod.metadata, annotations }, spec: { ...pod.spec, nodeName: binding.nodeName } };
  }

  /** Whose binding was refused lets others go first for a while: otherwise it would win every cycle. */
  #withPenalty(workload: Workload, nowMs: number): Workload {
    const penalty = this.#penalties.get(workload.key);
    if (penalty === undefined || penalty.untilMs <= nowMs) return workload;
    const seconds = Math.ceil((penalty.untilMs - nowMs) / 1000);
    return { ...workload, problem: `its binding was refused, tried again in ${seconds} s` };
  }

  async #bindAll(plan: CyclePlan, reading: Reading, nowMs: number): Promise<void> {
    const { metrics } = this.#options;
    await forEachLimited(plan.starts, async ({ workload, holdings }) => {
      const unit = holdings.flatMap((holding): readonly Binding[] => {
        const pod = reading.pods.get(holding.member.key);
        const nodeName = plan.ledger.pool.nodes[holding.placement.node]?.name;
        if (pod === undefined || nodeName === undefined) return [];
        return [{ pod, nodeName, annotations: writeAssigned(holding, plan.ledger.pool, reading.classes) }];
      });
      const bound = await bindTogether(this.#options, unit, {
        assume: (binding) => this.#assumed.set(binding.pod.metadata.uid ?? '', binding),
        forget: (binding) => this.#assumed.delete(binding.pod.metadata.uid ?? ''),
      });
      for (const { pod } of bound) this.#teller.forget(pod.metadata.uid ?? '');
      if (bound.length === unit.length) {
        this.#penalties.delete(workload.key);
        metrics.started(workload, nowMs);
        return;
      }
      const lastMs = Math.min(PENALTY_MS.most, (this.#penalties.get(workload.key)?.lastMs ?? PENALTY_MS.first / 2) * 2);
      this.#penalties.set(workload.key, { untilMs: nowMs + lastMs, lastMs });
    });
  }

  async #stopAll(plan: CyclePlan, reading: Reading): Promise<void> {
    const stops = plan.victims.flatMap((victim) =>
      victim.holdings.flatMap(({ member }) => {
        const pod = reading.pods.get(member.key);
        return pod === undefined ? [] : [{ pod, victim }];
      }),
    );
    await forEachLimited(stops, ({ pod, victim }) => stopPod(this.#options, pod, victim));
  }

  async #tell(plan: CyclePlan, reading: Reading): Promise<void> {
    const waiting = new Map(plan.waiting.map((one) => [one.workload.key, one]));
    await forEachLimited(plan.waiting, (one) => this.#refuse(one, plan, reading));
    await forEachLimited([...reading.groups], async ([key, group]) => {
      const scheduled = plan.ledger.held.get(key)?.size ?? 0;
      const isNominated = plan.nominations.some((one) => one.key === key);
      await this.#teller.describeGroup(group, { scheduled: isNominated ? 0 : scheduled, waiting: waiting.get(key) });
    });
    await forEachLimited(this.#options.sources.queues.list(), async (queue) => {
      const { name } = queue.metadata;
      const own = reading.workloads.filter((one) => one.queue === name);
      const pending = own.filter((one) => waiting.has(one.key)).length;
      await this.#teller.describeQueue(queue, plan, { running: own.length - pending, pending });
    });
  }

  async #refuse(one: Waiting, { ledger }: CyclePlan, reading: Reading): Promise<void> {
    const message = describeRefusal(one, reading.groups.get(one.workload.key));
    for (const { key, on, isLeaving } of one.workload.members) {
      const pod = reading.pods.get(key);
      const isSeated = ledger.held.get(one.workload.key)?.has(key) === true && one.refusal.reason !== 'Nominated';
      if (pod === undefined || on !== undefined || isLeaving === true || isSeated) continue;
      await this.#teller.refuse(pod, message);
    }
  }
}

/** What each queue holds, as parts of what there is. */
function shareOfCapacity({ ledger, shares }: CyclePlan): ReadonlyMap<string, Readonly<Record<string, number>>> {
  return new Map(
    [...ledger.allocated].map(([name, held]) => {
      const parts = Object.entries(held).map(([resource, amount]) => {
        return [resource, amount / Math.max(1e-9, shares.capacity[resource] ?? 0)] as const;
      });
      return [name, Object.fromEntries(parts.filter(([, part]) => Number.isFinite(part)))];
    }),
  );
}
