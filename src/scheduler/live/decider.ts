/** One decision after the other: reads, plans, carries out, and remembers what has not come back yet. */
import type { Clock } from '../../base/clock.ts';
import type { ApiClient } from '../../client/types.ts';
import type { Pod } from '../../kube/pod.ts';
import { PROMISE_AFTER_MS } from '../cycle/backfill.ts';
import type { Nomination } from '../cycle/nominations.ts';
import { type CyclePlan, planCycle, type Scene } from '../cycle/plan-cycle.ts';
import { isReservation } from '../cycle/reservations.ts';
import { isByService } from '../cycle/service.ts';
import type { Workload } from '../cycle/workload.ts';
import { writeAssigned } from '../objects/assignment.ts';
import { heldNodes } from '../objects/read-reservations.ts';
import { PodAsks } from '../objects/read-workloads.ts';
import type { PolicyName } from '../placement/policies.ts';
import { emptyUsage, recordUsage, type Usage } from '../queues/usage.ts';
import { type Binding, bindTogether, forEachLimited, stopPod } from './act.ts';
import { Attained } from './attained.ts';
import { Estimates } from './estimates.ts';
import type { EventQueue } from './event-queue.ts';
import { KnownScene } from './known-scene.ts';
import type { SchedulerMetrics } from './metrics.ts';
import { Partials } from './partials.ts';
import { ClassReader, type Reading, readSources, type Sources } from './read-scene.ts';
import { COMPLETE_MS, isTooEarly, PlanTeller } from './tell-plan.ts';

/** What deciding needs. */
export interface DeciderOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly schedulerNames: readonly string[];
  readonly report: (error: unknown) => void;
  readonly events: EventQueue;
  readonly policy: PolicyName;
  readonly sources: Sources;
  readonly metrics: SchedulerMetrics;
  /** Asks for another decision after that time. */
  readonly again: (delayMs: number) => void;
}

/** Use of a queue counts half after this long. */
const HALF_LIFE_MS = 24 * 3_600_000;
/** How strongly use before counts against a queue's part of what is over. */
const USAGE_STRENGTH = 0.5;
/** What was left undone is tried again after this long even when nothing changes. */
const RETRY_MS = 5_000;
/** A workload whose binding was refused waits so long, twice as long each time, up to the most. */
const PENALTY_MS = { first: 250, most: 60_000 } as const;

/** How long we wait to see what became of a pod whose binding was refused. */
const DOUBT_MS = 1_000;

/** After this long a refusal counts no more. */
const FORGIVEN_MS = 600_000;

/** A binding, and the pod as it will be, made once for each pod object. */
interface Assumed {
  readonly binding: Binding;
  from?: Pod;
  as?: Pod;
}

interface Doubt {
  readonly binding: Binding;
  readonly untilMs: number;
}

interface Penalty {
  readonly untilMs: number;
  readonly lastMs: number;
}

/** Holds what lies between two decisions. */
export class Decider {
  readonly #options: DeciderOptions;
  readonly #teller: PlanTeller;
  readonly #asks = new PodAsks();
  readonly #known = new KnownScene();
  readonly #schedulerNames: ReadonlySet<string>;
  readonly #classes = new ClassReader();
  readonly #estimates = new Estimates();
  readonly #attained = new Attained();
  readonly #partials = new Partials();
  /** Bindings whose pods have not come back with them yet, by uid. */
  readonly #assumed = new Map<string, Assumed>();
  /** Bindings that were refused, by uid: somebody else has bound or changed the pod, and we have not seen it yet. */
  readonly #doubtful = new Map<string, Doubt>();
  readonly #penalties = new Map<string, Penalty>();
  /** Where reservations hold room, by name. */
  #reserved: ReadonlyMap<string, readonly string[]> = new Map();
  #nominations: readonly Nomination[] = [];
  #usage: Usage;

  constructor(options: DeciderOptions) {
    this.#options = options;
    this.#schedulerNames = new Set(options.schedulerNames);
    const isBound = ({ metadata }: Pod) => this.#assumed.has(metadata.uid ?? '');
    this.#teller = new PlanTeller({ ...options, isBound });
    this.#usage = emptyUsage(options.clock.nowMs());
  }

  /** The pod is there, or has changed: what one that has ended ran for is learned. */
  see(pod: Pod): void {
    this.#estimates.learn(pod);
  }

  /** The pod is gone. */
  forget({ metadata: { uid = '' } }: Pod): void {
    this.#assumed.delete(uid);
    this.#doubtful.delete(uid);
    this.#teller.forget(uid);
  }

  /** True for a binding of ours that comes back: it has been counted for long. */
  isExpected({ metadata, spec }: Pod): boolean {
    const assumed = this.#assumed.get(metadata.uid ?? '');
    return assumed !== undefined && assumed.binding.nodeName === spec.nodeName;
  }

  /** Ends once nothing is being told. */
  close(): Promise<void> {
    return this.#teller.close();
  }

  /** How soon it must be tried again even when nothing changes; undefined: not before. */
  async decide(): Promise<number | undefined> {
    const nowMs = this.#options.clock.nowMs();
    const reading = this.#read(nowMs);
    const startedMs = performance.now();
    const plan = planCycle(this.#toScene(reading, nowMs));
    this.#options.metrics.measure(plan, { nowMs, tookMs: performance.now() - startedMs });
    this.#nominations = plan.nominations;
    this.#reserved = new Map(reading.reservations.map(({ name }) => [name, heldNodes(name, plan)]));
    this.#usage = recordUsage(this.#usage, shareOfCapacity(plan), { nowMs, halfLifeMs: HALF_LIFE_MS });
    await this.#bindAll(plan, reading, nowMs);
    await this.#stopAll(plan, reading);
    this.#teller.tell({ plan, reading });
    return this.#nextTry(plan, nowMs);
  }

  #nextTry({ waiting, nominations, starts }: CyclePlan, nowMs: number): number | undefined {
    // why: who was refused long ago starts anew, and names of what is gone are not kept
    for (const [key, { untilMs }] of this.#penalties) if (nowMs - untilMs > FORGIVEN_MS) this.#penalties.delete(key);
    const pauses = [...this.#penalties.values(), ...this.#doubtful.values()];
    const ends = pauses.map(({ untilMs }) => untilMs - nowMs).filter((leftMs) => leftMs > 0);
    const isUnfinished = waiting.length + nominations.length + (ends.length > 0 ? starts.length : 0) > 0;
    const early = waiting.some((one) => isTooEarly(one, nowMs)) ? [COMPLETE_MS] : [];
    return isUnfinished ? Math.min(RETRY_MS, ...ends, ...early) : undefined;
  }

  #read(nowMs: number): Reading {
    const { sources } = this.#options;
    return readSources(sources, {
      nowMs,
      known: this.#known,
      schedulerNames: this.#schedulerNames,
      asks: this.#asks,
      classes: this.#classes.read(sources.classes.list()),
      estimateMs: (key) => this.#estimates.find(key),
      nodesOf: ({ metadata, status }) => this.#reserved.get(metadata.name) ?? status?.nodes ?? [],
      withAssumed: (pod) => this.#withAssumed(pod),
    });
  }

  #toScene(reading: Reading, nowMs: number): Scene {
    const { policy } = this.#options;
    return {
      nowMs,
      nodes: reading.nodes,
      tree: reading.tree,
      workloads: this.#listWorkloads(reading, nowMs),
      policy,
      usage: this.#usage,
      usageStrength: USAGE_STRENGTH,
      nominations: this.#nominations,
      drained: reading.drained,
      reservations: reading.reservations,
      drainedDevices: reading.drainedDevices,
      promiseAfterMs: PROMISE_AFTER_MS,
    };
  }

  #listWorkloads({ workloads, tree }: Reading, nowMs: number): readonly Workload[] {
    const isCounted = ({ queue }: Workload) => isByService(tree.byName.get(queue));
    const counted = this.#partials.tell(this.#attained.tell(workloads, { nowMs, isCounted }), nowMs);
    if (this.#doubtful.size + this.#penalties.size === 0) return counted;
    return counted.map((workload) => this.#withPenalty(workload, nowMs));
  }

  #withAssumed(pod: Pod): Pod {
    if (this.#assumed.size + this.#doubtful.size === 0) return pod;
    const uid = pod.metadata.uid ?? '';
    const assumed = this.#assumed.get(uid);
    if (assumed === undefined) {
      const doubt = this.#findDoubt(pod);
      return doubt === undefined || pod.spec.nodeName !== undefined ? pod : asBound(pod, doubt);
    }
    if (pod.spec.nodeName !== undefined) {
      this.#assumed.delete(uid);
      return pod;
    }
    if (assumed.from !== pod || assumed.as === undefined) {
      assumed.from = pod;
      assumed.as = asBound(pod, assumed.binding);
    }
    return assumed.as;
  }

  /** Until the pod is seen anew its room counts as taken: otherwise somebody else would be given it a second time. */
  #findDoubt({ metadata, spec }: Pod): Binding | undefined {
    const doubt = this.#doubtful.get(metadata.uid ?? '');
    if (doubt === undefined) return undefined;
    // why: another version is not enough, that may be our own word on why the pod waits
    const isSeen = spec.nodeName !== undefined || metadata.deletionTimestamp !== undefined;
    if (!isSeen && this.#options.clock.nowMs() < doubt.untilMs) return doubt.binding;
    this.#doubtful.delete(metadata.uid ?? '');
    return undefined;
  }

  /** Whose binding was refused lets others go first for a while: otherwise it would win every cycle. */
  #withPenalty(workload: Workload, nowMs: number): Workload {
    const isDoubtful = workload.members.some(({ key }) => this.#doubtful.has(key.split(' ')[1] ?? ''));
    if (isDoubtful) return { ...workload, pause: 'its binding was refused, waiting to see why' };
    const penalty = this.#penalties.get(workload.key);
    if (penalty === undefined || penalty.untilMs <= nowMs) return workload;
    const seconds = Math.ceil((penalty.untilMs - nowMs) / 1000);
    return { ...workload, pause: `its binding was refused, tried again in ${seconds} s` };
  }

  async #bindAll(plan: CyclePlan, reading: Reading, nowMs: number): Promise<void> {
    const { metrics } = this.#options;
    const starts = plan.starts.filter(({ workload }) => !isReservation(workload));
    await forEachLimited(starts, async ({ workload, holdings }) => {
      const unit = holdings.flatMap((holding): readonly Binding[] => {
        const pod = reading.pods.get(holding.member.key);
        const nodeName = plan.ledger.pool.nodes[holding.placement.node]?.name;
        if (pod === undefined || nodeName === undefined) return [];
        return [{ pod, nodeName, annotations: writeAssigned(holding, plan.ledger.pool, reading.classes) }];
      });
      const bound = await bindTogether(this.#options, unit, {
        assume: (binding) => this.#assumed.set(binding.pod.metadata.uid ?? '', { binding }),
        forget: (binding) => this.#doubt(binding),
      });
      for (const { pod } of bound) this.#teller.forget(pod.metadata.uid ?? '');
      if (bound.length === unit.length) {
        this.#penalties.delete(workload.key);
        if (workload.startedAtMs === undefined) metrics.started(workload, nowMs);
        return;
      }
      const lastMs = Math.min(PENALTY_MS.most, (this.#penalties.get(workload.key)?.lastMs ?? PENALTY_MS.first / 2) * 2);
      this.#penalties.set(workload.key, { untilMs: nowMs + lastMs, lastMs });
    });
  }

  #doubt(binding: Binding): void {
    const { uid = '' } = binding.pod.metadata;
    this.#assumed.delete(uid);
    this.#doubtful.set(uid, { binding, untilMs: this.#options.clock.nowMs() + DOUBT_MS });
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
}

function asBound(pod: Pod, { annotations, nodeName }: Binding): Pod {
  const { metadata, spec } = pod;
  return {
    ...pod,
    metadata: { ...metadata, annotations: { ...metadata.annotations, ...annotations } },
    spec: { ...spec, nodeName },
  };
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
