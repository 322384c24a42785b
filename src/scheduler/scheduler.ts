/**
 * The scheduler as an engine: watches what plans depend on, asks cycle/plan-cycle.ts, binds and stops pods, and tells
 * why the rest must wait.
 */
import type { Cancel, Clock } from '../base/clock.ts';
import { createEventRecorder } from '../client/events.ts';
import { createInformer } from '../client/informer.ts';
import type { ApiClient, Informer } from '../client/types.ts';
import { deviceClass } from '../kinds/device-class/kind.ts';
import { nodePool } from '../kinds/node-pool/kind.ts';
import { type PodGroup, podGroup } from '../kinds/pod-group/kind.ts';
import { queue } from '../kinds/queue/kind.ts';
import { reservation } from '../kinds/reservation/kind.ts';
import type { KubeObject, ResourceRef } from '../kube/object.ts';
import type { Node, Pod } from '../kube/pod.ts';
import { WELL_KNOWN } from '../kube/well-known.ts';
import { Decider } from './live/decider.ts';
import { EventQueue } from './live/event-queue.ts';
import { isNodeChanged, isPodChanged } from './live/matters.ts';
import { SchedulerMetrics } from './live/metrics.ts';
import type { DeviceClass, Sources } from './live/read-scene.ts';
import type { NodePool, Queue } from './objects/read-queues.ts';
import type { Reservation } from './objects/read-reservations.ts';
import {
  hasUpstreamGroups,
  UPSTREAM_POD_GROUP,
  type UpstreamGroup,
  UpstreamGroups,
} from './objects/upstream-groups.ts';
import { DEFAULT_POLICY, type PolicyName } from './placement/policies.ts';

export interface SchedulerOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  /** Values of spec.schedulerName that it answers to. */
  readonly schedulerNames: readonly string[];
  readonly report: (error: unknown) => void;
  /** How nodes are chosen. */
  readonly policy?: PolicyName;
}

export interface Scheduler {
  readonly synced: Promise<void>;
  /** Measures in Prometheus' text form. */
  metrics(): Promise<string>;
  close(): Promise<void>;
}

/** Changes that come this close together are planned for together. */
const GATHER_MS = 5;
/** After trouble that nobody expected. */
const TROUBLE_MS = 5_000;

/** Starts at once. */
export function startScheduler(options: SchedulerOptions): Scheduler {
  const { client, clock, report } = options;
  const informerOf = <T extends KubeObject>(ref: ResourceRef): Informer<T> =>
    createInformer<T>({ client, clock, report, ref, keepsManagers: false });
  const upstream = new Upstream(options, () => loop.request());
  const own = {
    pods: informerOf<Pod>(WELL_KNOWN.Pod),
    nodes: informerOf<Node>(WELL_KNOWN.Node),
    groups: informerOf<PodGroup>(podGroup),
    queues: informerOf<Queue>(queue),
    classes: informerOf<DeviceClass>(deviceClass),
    pools: informerOf<NodePool>(nodePool),
    reservations: informerOf<Reservation>(reservation),
  };
  const groups = { list: () => [...own.groups.list(), ...upstream.list()] };
  const sources: Sources = { ...own, groups };
  const informers = Object.values(own);
  const metrics = new SchedulerMetrics();
  const events = new EventQueue(createEventRecorder({ client, clock, component: 'athanor-scheduler', report }));
  const policy = options.policy ?? DEFAULT_POLICY;
  const again = (delayMs: number) => loop.request(delayMs);
  const decider = new Decider({ ...options, policy, sources, metrics, events, again });
  const loop = new Loop(clock, async () => {
    await Promise.all([upstream, ...informers].map(({ synced }) => synced));
    try {
      return await decider.decide();
    } catch (error) {
      report(error);
      return TROUBLE_MS;
    }
  });
  const synced = Promise.all([upstream, ...informers].map((informer) => informer.synced)).then(() => loop.request());
  const { pods, nodes, ...others } = own;
  for (const informer of Object.values(others)) informer.onChange(() => loop.request());
  nodes.onChange(({ object, previous }) => (isNodeChanged(previous, object) ? loop.request() : undefined));
  pods.onChange(({ type, object, previous }) => {
    if (type !== 'deleted' && previous !== undefined && !isPodChanged(previous, object, decider)) return;
    if (type === 'deleted') decider.forget(object);
    else decider.see(object);
    loop.request();
  });
  return {
    synced,
    metrics: () => metrics.registry.metrics(),
    close: async () => {
      await loop.close();
      await decider.close();
      await events.close();
      for (const informer of [upstream, ...informers]) informer.close();
    },
  };
}

/** Kubernetes' own pod groups, where the API server has them when the scheduler starts. */
class Upstream {
  readonly synced: Promise<void>;
  readonly #groups = new UpstreamGroups();
  #informer: Informer<UpstreamGroup> | undefined;
  #isClosed = false;

  constructor({ client, clock, report }: SchedulerOptions, onChange: () => void) {
    this.synced = hasUpstreamGroups(client)
      .then(async (isThere) => {
        if (!isThere || this.#isClosed) return;
        this.#informer = createInformer<UpstreamGroup>({ client, clock, report, ref: UPSTREAM_POD_GROUP });
        this.#informer.onChange(onChange);
        await this.#informer.synced;
      })
      .catch(report);
  }

  list(): readonly PodGroup[] {
    return this.#groups.read(this.#informer?.list() ?? []);
  }

  close(): void {
    this.#isClosed = true;
    this.#informer?.close();
  }
}

/** Runs work soon after it was asked for; many requests make one run, and never two at a time. */
class Loop {
  readonly #clock: Clock;
  /** Says how soon it must be run again even when nobody asks. */
  readonly #work: () => Promise<number | undefined>;
  #cancel: Cancel | undefined;
  /** When the next run begins, while one waits. */
  #dueMs = 0;
  #running: Promise<void> | undefined;
  /** How long after the run under way another was asked for. */
  #wantedInMs: number | undefined;
  #closed = false;

  constructor(clock: Clock, work: () => Promise<number | undefined>) {
    this.#clock = clock;
    this.#work = work;
  }

  request(delayMs = GATHER_MS): void {
    if (this.#closed) return;
    if (this.#running !== undefined) {
      this.#wantedInMs = Math.min(delayMs, this.#wantedInMs ?? delayMs);
      return;
    }
    const dueMs = this.#clock.nowMs() + delayMs;
    if (this.#cancel !== undefined && this.#dueMs <= dueMs) return;
    this.#cancel?.();
    this.#dueMs = dueMs;
    this.#cancel = this.#clock.after(delayMs, () => this.#run());
  }

  #run(): void {
    this.#cancel = undefined;
    this.#running = this.#work().then((againInMs) => {
      this.#running = undefined;
      const delays = [againInMs, this.#wantedInMs].filter((delayMs) => delayMs !== undefined);
      this.#wantedInMs = undefined;
      if (delays.length > 0) this.request(Math.min(...delays));
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#running;
  }
}
