/**
 * Tells all that a plan says, beside the planning and binding that goes on: the newest plan first of all, and of a plan
 * that a newer one has overtaken only what was begun.
 */
import type { Pod } from '../../kube/pod.ts';
import type { CyclePlan, Waiting } from '../cycle/plan-cycle.ts';
import { forEachLimited } from './act.ts';
import type { Reading, Sources } from './read-scene.ts';
import { describeRefusal, type Outcome, Teller, type TellOptions } from './tell.ts';

/** What it needs beside what telling needs. */
export interface PlanTellerOptions extends TellOptions {
  readonly sources: Sources;
  readonly report: (error: unknown) => void;
  /** True for a pod that we have bound, although it has not come back yet. */
  readonly isBound: (pod: Pod) => boolean;
  /** Something could not be said, or not yet: decide again after that time. */
  readonly again: (delayMs: number) => void;
}

/** A decision to tell. */
export interface Told {
  readonly plan: CyclePlan;
  readonly reading: Reading;
}

/** What was said of a queue stands at least this long: its numbers change with each plan. */
const QUEUE_EVERY_MS = 1_000;
/** What somebody else has changed meanwhile is looked at again after this long. */
const AGAIN_MS = 250;
/** After trouble that nobody expected. */
const TROUBLE_MS = 5_000;
/** How long the objects of a gang may take to come before it is told that some are missing. */
export const COMPLETE_MS = 2_000;
/** Requests under way at once: bindings are more urgent. */
const PARALLEL = 8;
/** Pods told why they wait: at once when they are few; of many, so that binding goes on, only so many a second. */
const PODS = { atOnce: 500, perSecond: 100 } as const;
const REFILL_MS = 1_000;
/** Pods told before it is asked again whether there is a newer plan. */
const BATCH = 64;

interface Sentence {
  readonly pod: Pod;
  readonly message: string;
}

/** Tells one plan after the other. */
export class PlanTeller {
  readonly #options: PlanTellerOptions;
  readonly #teller: Teller;
  /** When each queue was told last, by name. */
  readonly #queueToldMs = new Map<string, number>();
  #left: number = PODS.atOnce;
  #filledMs = 0;
  #next: Told | undefined;
  #running: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: PlanTellerOptions) {
    this.#options = options;
    this.#teller = new Teller(options);
  }

  /** The pod has its node, or is gone. */
  forget(uid: string): void {
    this.#teller.forget(uid);
  }

  /** Returns at once. */
  tell(told: Told): void {
    if (this.#isClosed) return;
    this.#next = told;
    this.#running ??= this.#tellAll().finally(() => {
      this.#running = undefined;
    });
  }

  /** Ends once nothing is under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#next = undefined;
    await this.#running;
  }

  async #tellAll(): Promise<void> {
    for (let told = this.#next; told !== undefined; told = this.#next) {
      this.#next = undefined;
      try {
        await this.#tellQueues(told);
        await this.#tellGroups(told);
        await this.#tellPods(told);
      } catch (error) {
        this.#options.report(error);
        this.#options.again(TROUBLE_MS);
      }
    }
  }

  get #isOvertaken(): boolean {
    return this.#isClosed || this.#next !== undefined;
  }

  async #tellQueues({ plan, reading }: Told): Promise<void> {
    const { sources, clock } = this.#options;
    const waiting = new Set(plan.waiting.map(({ workload }) => workload.key));
    const counts = new Map<string, { running: number; pending: number }>();
    for (const { key, queue } of reading.workloads) {
      const count = counts.get(queue) ?? { running: 0, pending: 0 };
      counts.set(queue, count);
      count[waiting.has(key) ? 'pending' : 'running'] += 1;
    }
    const nowMs = clock.nowMs();
    const isDue = (name: string) => nowMs - (this.#queueToldMs.get(name) ?? Number.NEGATIVE_INFINITY) >= QUEUE_EVERY_MS;
    const queues = sources.queues.list();
    const due = queues.filter(({ metadata }) => isDue(metadata.name));
    if (due.length < queues.length) this.#options.again(QUEUE_EVERY_MS);
    await this.#each(due, async (object) => {
      const { name } = object.metadata;
      const outcome = await this.#teller.describeQueue(object, plan, counts.get(name) ?? { running: 0, pending: 0 });
      if (outcome !== 'same') this.#queueToldMs.set(name, nowMs);
      return outcome;
    });
    await this.#each(sources.reservations.list(), (one) => this.#teller.describeReservation(one, plan));
  }

  async #tellGroups({ plan, reading }: Told): Promise<void> {
    const waiting = new Map(plan.waiting.map((one) => [one.workload.key, one]));
    const nominated = new Set(plan.nominations.map(({ key }) => key));
    await this.#each([...reading.groups], ([key, group]) => {
      const scheduled = nominated.has(key) ? 0 : (plan.ledger.held.get(key)?.size ?? 0);
      return this.#teller.describeGroup(group, { scheduled, waiting: waiting.get(key) });
    });
  }

  /** Those first of whom nothing was said yet; when many wait, some of them each time. */
  async #tellPods({ plan, reading }: Told): Promise<void> {
    const most = this.#refill();
    const first: Sentence[] = [];
    const others: Sentence[] = [];
    for (const one of plan.waiting) {
      if (first.length >= most) break;
      for (const sentence of this.#sentencesOf(one, plan, reading))
        (this.#teller.isFirst(sentence.pod) ? first : others).push(sentence);
    }
    const sentences = [...first, ...others];
    if (sentences.length > most) this.#options.again(REFILL_MS);
    for (let from = 0; from < Math.min(most, sentences.length) && !this.#isOvertaken; from += BATCH)
      await this.#each(sentences.slice(from, Math.min(most, from + BATCH)), async ({ pod, message }) => {
        // why: a later plan may have bound it while this one was being told
        if (this.#options.isBound(pod)) return 'same';
        this.#left -= 1;
        return this.#teller.refuse(pod, message);
      });
  }

  /** How many pods may be told now. */
  #refill(): number {
    const nowMs = this.#options.clock.nowMs();
    const more = (Math.max(0, nowMs - this.#filledMs) / 1000) * PODS.perSecond;
    this.#left = Math.min(PODS.atOnce, this.#left + more);
    this.#filledMs = nowMs;
    return Math.max(0, Math.floor(this.#left));
  }

  #sentencesOf(one: Waiting, { ledger }: CyclePlan, reading: Reading): readonly Sentence[] {
    const { workload, refusal } = one;
    if (isTooEarly(one, this.#options.clock.nowMs())) return [];
    const message = describeRefusal(one, reading.groups.get(workload.key));
    const held = refusal.reason === 'Nominated' ? undefined : ledger.held.get(workload.key);
    return workload.members.flatMap(({ key, on, isLeaving }) => {
      const pod = reading.pods.get(key);
      const isWaiting = on === undefined && isLeaving !== true && held?.has(key) !== true;
      return pod !== undefined && isWaiting && this.#teller.isNews(pod, message) ? [{ pod, message }] : [];
    });
  }

  async #each<T>(items: readonly T[], tell: (item: T) => Promise<Outcome>): Promise<void> {
    let isMissed = false;
    await forEachLimited(
      items,
      async (item) => {
        if ((await tell(item)) === 'changed') isMissed = true;
      },
      PARALLEL,
    );
    if (isMissed) this.#options.again(AGAIN_MS);
  }
}

/** A gang's objects come one after the other: that some are missing is no news for a moment. */
export function isTooEarly({ workload, refusal: { reason, message } }: Waiting, nowMs: number): boolean {
  const isIncomplete = reason === 'Members' || message.endsWith('which does not exist');
  return isIncomplete && nowMs - workload.createdAtMs < COMPLETE_MS;
}
