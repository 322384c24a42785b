/** The pods of one node: a worker for each, and the addresses and names they share. */
import { readdirSync, rmSync } from 'node:fs';
import type { Cancel } from '../base/clock.ts';
import { keyOf } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import { readJsonFile } from './container-record.ts';
import { formatHosts } from './hosts-file.ts';
import { killPodLeftovers } from './leftovers.ts';
import { CLOSE_GRACE_SECONDS, RETRY_MAX_MS } from './limits.ts';
import { type AgentContext, HOST_IP } from './options.ts';
import { allocateAddress } from './pod-address.ts';
import { PodFolder, type PodRecord } from './pod-folder.ts';
import { PodWorker } from './pod-worker.ts';

/** The workers of all pods of the node, and the addresses and names they share. */
export class NodePods {
  readonly #context: AgentContext;
  readonly #workers = new Map<string, PodWorker>();
  readonly #ending = new Set<Promise<void>>();
  readonly #retries = new Map<string, Cancel>();
  #isClosed = false;

  constructor(context: AgentContext) {
    this.#context = context;
  }

  list(): PodWorker[] {
    return [...this.#workers.values()];
  }

  find(namespace: string, name: string): PodWorker | undefined {
    return this.list().find(({ pod }) => keyOf(pod) === `${namespace}/${name}`);
  }

  /** The API has this pod: its worker is made, or told. A folder that cannot be made (full disk) is tried again. */
  keep(pod: Pod): void {
    const { clock, log } = this.#context.options;
    const uid = pod.metadata.uid ?? '';
    this.#retries.get(uid)?.(); // why: a later try must not bring back an older state of the pod
    this.#retries.delete(uid);
    try {
      this.#keep(pod);
    } catch (error) {
      log.error({ err: error, pod: keyOf(pod) }, 'cannot take on a pod, will try again');
      this.#retries.set(
        uid,
        clock.after(RETRY_MAX_MS, () => this.keep(pod)),
      );
    }
  }

  #keep(pod: Pod): void {
    const uid = pod.metadata.uid ?? '';
    if (this.#isClosed || pod.spec.nodeName !== this.#context.options.nodeName) return;
    const known = this.#workers.get(uid);
    if (known !== undefined) return known.update(pod);
    const worker = this.#createWorker(pod, uid);
    this.#workers.set(uid, worker);
    try {
      this.#writeHosts(pod);
    } catch (error) {
      this.#workers.delete(uid); // why: a worker that is known would never get its hosts file
      throw error;
    }
    worker.ask();
  }

  /** The API no longer has this pod. */
  drop(pod: Pod): void {
    const uid = pod.metadata.uid ?? '';
    this.#retries.get(uid)?.();
    this.#retries.delete(uid);
    const worker = this.#workers.get(uid);
    if (worker === undefined) return;
    this.#workers.delete(uid);
    this.#await(worker.remove().finally(() => this.#writeHosts(pod)));
  }

  /** Removes what earlier agents have left of pods that are gone, processes included. */
  forgetOthers(pods: readonly Pod[]): void {
    const { root } = this.#context.options;
    const kept = new Set(pods.map(({ metadata }) => metadata.uid));
    for (const uid of readdirSync(`${root}/pods`)) {
      if (kept.has(uid)) continue;
      killPodLeftovers(`${root}/pods/${uid}`);
      rmSync(`${root}/pods/${uid}`, { recursive: true, force: true });
    }
  }

  /** Ends all pods and forgets none. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const cancel of this.#retries.values()) cancel();
    await Promise.all(this.list().map((worker) => worker.close(CLOSE_GRACE_SECONDS)));
    await Promise.all(this.#ending);
  }

  #createWorker(pod: Pod, uid: string): PodWorker {
    const { options } = this.#context;
    const folder = new PodFolder(options.root, uid);
    const { name, namespace = 'default' } = pod.metadata;
    const known = folder.readRecord();
    const record = known ?? { namespace, name, ip: this.#allocate(uid), startedAtMs: options.clock.nowMs() };
    if (known === undefined) folder.writeRecord(record);
    return new PodWorker({ context: this.#context, pod, folder, record });
  }

  /** Only Linux has all of 127.0.0.0/8. */
  #allocate(uid: string): string {
    if (process.platform !== 'linux') return HOST_IP;
    return allocateAddress(uid, this.#listAddresses());
  }

  /** Those on disk count too: a pod that has not been seen yet after a restart keeps its address. */
  #listAddresses(): Set<string> {
    const { root } = this.#context.options;
    const records = readdirSync(`${root}/pods`).map((uid) => readJsonFile<PodRecord>(`${root}/pods/${uid}/pod.json`));
    return new Set(records.map((record) => record?.ip ?? HOST_IP));
  }

  /**
   * Names of pods with the same subdomain must be there before these pods are ready: a gang finds its members by
   * them.
   */
  #writeHosts(changed: Pod): void {
    const all = this.list().map(({ pod, ip }) => ({ pod, ip }));
    for (const { pod, ip, folder } of this.list()) {
      const isAffected = pod.metadata.uid === changed.metadata.uid || pod.spec.subdomain !== undefined;
      if (isAffected) folder.writeHosts(formatHosts({ pod, ip }, all));
    }
  }

  #await(ending: Promise<void>): void {
    const { log } = this.#context.options;
    const settled = ending.catch((error: unknown) => log.error({ err: error }, 'cannot remove what is left of a pod'));
    this.#ending.add(settled);
    void settled.then(() => this.#ending.delete(settled));
  }
}
