/** Makes one pod true, level by level: looks at spec and containers, does what `planPod` says, tells the status. */
import { rmSync } from 'node:fs';
import { backoffMs } from '../base/backoff.ts';
import type { Cancel } from '../base/clock.ts';
import { isEqual } from '../base/json.ts';
import { type Container, isPodFinished, type Pod, type PodStatus } from '../kube/pod.ts';
import { isStatusError, toStatusError } from '../kube/status-error.ts';
import { WELL_KNOWN } from '../kube/well-known.ts';
import { ContainerSlot } from './container-slot.ts';
import type { NodeFacts } from './downward.ts';
import { GRACE_SECONDS_DEFAULT, RETRY_FIRST_MS, RETRY_MAX_MS, VOLUME_REFRESH_MS } from './limits.ts';
import { type AgentContext, HOST_IP } from './options.ts';
import { type PodPlan, type PodView, planPod, type Waiting } from './plan-pod.ts';
import { planStart } from './plan-start.ts';
import type { PodFolder, PodRecord } from './pod-folder.ts';
import { computePodStatus } from './pod-status.ts';
import { PodVolumes } from './pod-volumes.ts';
import { withTokenVolume } from './token-volume.ts';

export interface PodWorkerOptions {
  readonly context: AgentContext;
  readonly pod: Pod;
  readonly folder: PodFolder;
  readonly record: PodRecord;
}

const RETRY = { firstMs: RETRY_FIRST_MS, maxMs: RETRY_MAX_MS };

/** Brings one pod from its spec to its end. */
export class PodWorker {
  readonly slots: ReadonlyMap<string, ContainerSlot>;
  readonly ip: string;
  readonly folder: PodFolder;
  readonly #options: PodWorkerOptions;
  readonly #volumes: PodVolumes;
  #pod: Pod;
  #volumesWaiting: Waiting | undefined;
  #areVolumesReady = false;
  #refreshAtMs = 0;
  #failures = 0;
  #wake: Cancel | undefined;
  #isAsked = false;
  #syncing: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: PodWorkerOptions) {
    const { context, pod, folder, record } = options;
    this.#options = options;
    this.#pod = withTokenVolume(pod);
    this.folder = folder;
    this.ip = record.ip;
    this.#volumes = new PodVolumes(context, folder.volumes);
    const { initContainers = [], containers } = this.#pod.spec;
    const onChange = () => this.ask();
    this.slots = new Map(
      [...initContainers, ...containers].map((container) => [
        container.name,
        new ContainerSlot({ context, pod: this.#pod, container, folder, onChange }),
      ]),
    );
  }

  get pod(): Pod {
    return this.#pod;
  }

  /** The API has another version of the pod. */
  update(pod: Pod): void {
    this.#pod = withTokenVolume(pod);
    this.ask();
  }

  /** Looks at the pod again soon; many calls make one look. */
  ask(): void {
    this.#isAsked = true;
    if (this.#isClosed || this.#syncing !== undefined) return;
    this.#syncing = this.#syncWhileAsked().finally(() => {
      this.#syncing = undefined;
    });
  }

  /** Ends every container within the grace and resolves when none is left; the pod is not looked at again. */
  async close(graceSeconds: number): Promise<void> {
    this.#isClosed = true;
    this.#wake?.();
    await this.#stopAll(graceSeconds);
    await this.#syncing;
    await this.#stopAll(0); // one that was just being started
  }

  /** As `close`, for a pod that the API no longer has: its files go too. */
  async remove(): Promise<void> {
    await this.close(0);
    rmSync(this.folder.path, { recursive: true, force: true });
  }

  async #stopAll(graceSeconds: number): Promise<void> {
    await Promise.all([...this.slots.values()].map((slot) => slot.stop(graceSeconds)));
  }

  async #syncWhileAsked(): Promise<void> {
    const { clock, log } = this.#options.context.options;
    while (this.#isAsked && !this.#isClosed) {
      this.#isAsked = false;
      this.#wake?.();
      try {
        const wakeAtMs = await this.#sync();
        this.#failures = 0;
        if (wakeAtMs !== undefined) this.#wakeIn(wakeAtMs - clock.nowMs());
      } catch (error) {
        const { name, namespace } = this.#pod.metadata;
        log.warn({ err: error, pod: `${namespace}/${name}` }, 'cannot bring the pod up to date, will try again');
        this.#wakeIn(backoffMs(++this.#failures, RETRY));
      }
    }
  }

  #wakeIn(delayMs: number): void {
    this.#wake = this.#options.context.options.clock.after(Math.max(1, delayMs), () => this.ask());
  }

  async #sync(): Promise<number | undefined> {
    if (this.#wasFinishedBefore()) return undefined;
    const isEnding = this.#pod.metadata.deletionTimestamp !== undefined;
    if (!isEnding) await this.#prepareVolumes();
    const plan = planPod(this.#view());
    for (const name of plan.start) await this.#start(name);
    if (plan.stop.length > 0) void this.#terminate(plan.stop);
    const view = this.#view();
    const next = planPod(view);
    await this.#writeStatus(view, next);
    if (isEnding && next.isFinished) await this.#deletePod();
    if (next.start.length > 0) this.#isAsked = true;
    const wakes = [next.wakeAtMs, next.isFinished ? undefined : this.#refreshAtMs].filter((atMs) => atMs !== undefined);
    return wakes.length === 0 ? undefined : Math.min(...wakes);
  }

  /** A finished pod whose files are lost is left as the API has it: it must not run again. */
  #wasFinishedBefore(): boolean {
    if (!isPodFinished(this.#pod) || this.#pod.metadata.deletionTimestamp !== undefined) return false;
    return [...this.slots.values()].every(({ view }) => view.record.run === undefined && view.record.end === undefined);
  }

  #view(): PodView {
    const { context } = this.#options;
    const containers = new Map([...this.slots].map(([name, slot]) => [name, slot.view]));
    return {
      pod: this.#pod,
      nowMs: context.options.clock.nowMs(),
      containers,
      volumesWaiting: this.#volumesWaiting,
      areVolumesReady: this.#areVolumesReady,
      backoff: context.backoff,
    };
  }

  get #facts(): NodeFacts {
    const { capacity, nodeName } = this.#options.context.options;
    return { nodeName, podIp: this.ip, hostIp: HOST_IP, ...capacity };
  }

  async #prepareVolumes(): Promise<void> {
    const { context } = this.#options;
    const nowMs = context.options.clock.nowMs();
    if (nowMs < this.#refreshAtMs || planPod({ ...this.#view(), areVolumesReady: true }).isFinished) return;
    try {
      await this.#volumes.prepare(this.#pod, this.#facts);
      this.#volumesWaiting = undefined;
      this.#areVolumesReady = true;
      this.#refreshAtMs = nowMs + VOLUME_REFRESH_MS;
    } catch (error) {
      const { message } = toStatusError(error);
      // Containers that run keep the files they have, as under a kubelet.
      this.#refreshAtMs = nowMs + RETRY_MAX_MS / 5;
      this.#volumesWaiting = { reason: 'ContainerCreating', message, retryAtMs: this.#refreshAtMs };
      await context.recordEvent(this.#pod, { type: 'Warning', reason: 'FailedMount', message });
    }
  }

  async #start(name: string): Promise<void> {
    const slot = this.slots.get(name);
    const container = this.#findContainer(name);
    if (slot === undefined || container === undefined || this.#isClosed) return;
    const { context, folder } = this.#options;
    const start = { context, pod: this.#pod, facts: this.#facts, folder, volumes: this.#volumes };
    const request = await planStart(start, container);
    if (!('reason' in request)) return slot.start(request);
    const isNew = slot.waiting?.message !== request.message;
    slot.waiting = request;
    const message = `Error: ${request.message ?? request.reason}`;
    if (isNew) await context.recordEvent(this.#pod, { type: 'Warning', reason: 'Failed', message });
  }

  #findContainer(name: string): Container | undefined {
    const { initContainers = [], containers } = this.#pod.spec;
    return [...initContainers, ...containers].find((container) => container.name === name);
  }

  async #terminate(names: readonly string[]): Promise<void> {
    const { metadata, spec } = this.#pod;
    const graceSeconds =
      metadata.deletionGracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? GRACE_SECONDS_DEFAULT;
    await Promise.all(
      names.map(async (name) => {
        const slot = this.slots.get(name);
        if (slot === undefined || slot.isStopping) return;
        const stopped = slot.stop(graceSeconds);
        const occurrence = { type: 'Normal', reason: 'Killing', message: `Stopping container ${name}` } as const;
        await Promise.all([stopped, this.#options.context.recordEvent(this.#pod, occurrence)]);
      }),
    );
  }

  async #writeStatus(view: PodView, plan: PodPlan): Promise<void> {
    const { context, record } = this.#options;
    const { startedAtMs } = record;
    const status = computePodStatus({ view, plan, podIp: this.ip, hostIp: HOST_IP, startedAtMs });
    await this.#tellBackoff(plan);
    const known = this.#pod.status ?? {};
    if (isEqual(status, pickFields(known, status))) return;
    const { name, namespace, uid } = this.#pod.metadata;
    const body = { metadata: { uid }, status };
    try {
      const written = await context.options.client.patch<Pod>(WELL_KNOWN.Pod, {
        name,
        namespace,
        type: 'merge',
        subresource: 'status',
        body,
      });
      this.#pod = { ...this.#pod, ...(written.status && { status: written.status }) };
    } catch (error) {
      if (!isStatusError(error, 'NotFound')) throw error; // gone: the informer will say so
    }
  }

  async #tellBackoff(plan: PodPlan): Promise<void> {
    const before = this.#pod.status?.containerStatuses ?? [];
    for (const [name, { reason, message = '' }] of plan.held) {
      const isTold = before.find((status) => status.name === name)?.state.waiting?.reason === reason;
      if (reason !== 'CrashLoopBackOff' || isTold) continue;
      const text = message.replace(/^back-off \S+/, 'Back-off');
      await this.#options.context.recordEvent(this.#pod, { type: 'Warning', reason: 'BackOff', message: text });
    }
  }

  async #deletePod(): Promise<void> {
    const { name, namespace, uid } = this.#pod.metadata;
    const preconditions = uid === undefined ? {} : { preconditions: { uid } };
    try {
      const { client } = this.#options.context.options;
      await client.delete(WELL_KNOWN.Pod, name, { namespace, gracePeriodSeconds: 0, ...preconditions });
    } catch (error) {
      // Gone already, or another pod has its name now.
      if (!isStatusError(error, 'NotFound') && !isStatusError(error, 'Conflict')) throw error;
    }
  }
}

/** Those fields of the status that the agent writes. */
function pickFields(status: PodStatus, like: PodStatus): Record<string, unknown> {
  const names: ReadonlySet<string> = new Set(Object.keys(like));
  return Object.fromEntries(Object.entries(status).filter(([name]) => names.has(name)));
}
