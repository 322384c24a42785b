/**
 * Garbage: dependents whose owners are gone, the content of namespaces and CRDs being deleted, events past their time.
 * Level-triggered.
 */
import type { Cancel, Clock } from '../base/clock.ts';
import type { StoredObject } from '../kube/object.ts';
import type { Address } from './address.ts';
import {
  type Deleter,
  isCrd,
  isForegroundDeletion,
  withoutCleanup,
  withoutForeground,
  withoutOwner,
} from './deleter.ts';
import type { StoreEvent } from './event-ring.ts';
import { CRDS, type Registry } from './registry.ts';
import { resourceName } from './resource.ts';
import type { Store } from './store.ts';
import type { Writer } from './writer.ts';

export interface CollectorOptions {
  readonly store: Store;
  readonly writer: Writer;
  readonly deleter: Deleter;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly report: (error: unknown) => void;
}

/** Events are kept this long, as kube-apiserver does by default. */
const EVENT_TTL_MS = 3_600_000;
const SWEEP_EVERY_MS = 60_000;
/** What could not be done, for want of a disk, is tried again after this long. */
const RETRY_MS = 5_000;

/** Collects garbage from the first moment to the last. */
export class Collector {
  readonly #options: CollectorOptions;
  readonly #queue = new Set<() => Promise<void>>();
  #running: Promise<void> | undefined;
  #unsubscribe: () => void = () => undefined;
  #cancelSweep: Cancel = () => undefined;
  #failed: (() => Promise<void>)[] = [];
  #cancelRetry: Cancel | undefined;
  #closed = false;

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  /** Looks at everything once, since the last life may have been cut short, then follows changes. */
  start(): void {
    const { store } = this.#options;
    this.#unsubscribe = store.subscribe((event) => this.#onEvent(event));
    for (const resource of this.#options.registry.list()) {
      for (const object of store.list(resourceName(resource)).items) this.#onObject(object);
    }
    this.#scheduleSweep();
  }

  /** Ends; what is under way finishes. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    this.#cancelSweep();
    this.#cancelRetry?.();
    this.#queue.clear();
    await this.#running;
  }

  #onEvent({ type, address, object }: StoreEvent): void {
    const { namespace } = object.metadata;
    if (type !== 'DELETED') {
      this.#onObject(object);
      if (type === 'ADDED' && namespace !== undefined) this.#onArrival(namespace);
      return;
    }
    for (const dependent of this.#options.store.dependents(object.metadata.uid ?? ''))
      this.#enqueue(() => this.#collect(dependent));
    for (const owner of object.metadata.ownerReferences ?? []) this.#enqueue(() => this.#release(owner.uid));
    if (namespace !== undefined) this.#onNamespaceContent(namespace);
    if (isCrd(object) || this.#findGoingCrd(address.resource) !== undefined) {
      const name = isCrd(object) ? object.metadata.name : address.resource;
      this.#enqueue(() => this.#emptyCrd(name));
    }
  }

  /** A write that was under way when its namespace went arrives after it: it must not stay. */
  #onArrival(name: string): void {
    const namespace = this.#options.store.get({ resource: 'namespaces', namespace: '', name });
    if (namespace === undefined || namespace.metadata.deletionTimestamp !== undefined)
      this.#enqueue(() => this.#emptyNamespace(name));
  }

  #onObject(object: StoredObject): void {
    const { ownerReferences, deletionTimestamp, uid = '' } = object.metadata;
    if (ownerReferences !== undefined && ownerReferences.length > 0) this.#enqueue(() => this.#collect(object));
    if (deletionTimestamp === undefined) return;
    if (isForegroundDeletion(object)) this.#enqueue(() => this.#release(uid));
    if (object.kind === 'Namespace') this.#enqueue(() => this.#emptyNamespace(object.metadata.name));
    if (isCrd(object)) this.#enqueue(() => this.#emptyCrd(object.metadata.name));
  }

  #onNamespaceContent(name: string): void {
    const namespace = this.#options.store.get({ resource: 'namespaces', namespace: '', name });
    if (namespace?.metadata.deletionTimestamp !== undefined) this.#enqueue(() => this.#emptyNamespace(name));
  }

  /** Deletes the object when none of its owners is left; otherwise forgets the lost ones. */
  async #collect({ metadata: { uid = '' } }: StoredObject): Promise<void> {
    const { store, writer } = this.#options;
    const object = store.findByUid(uid);
    if (object === undefined) return;
    const owners = object.metadata.ownerReferences ?? [];
    const lost = owners.filter((owner) => store.findByUid(owner.uid) === undefined);
    if (lost.length === 0) return;
    if (lost.length === owners.length) await this.#delete(store.addressOf(object), object);
    else
      await writer.amend(store.addressOf(object), (current) =>
        lost.reduce((rest, owner) => withoutOwner(rest, owner.uid), current),
      );
  }

  /** Foreground deletion: dependents first, then the owner. */
  async #release(ownerUid: string): Promise<void> {
    const { store, writer } = this.#options;
    const owner = store.findByUid(ownerUid);
    if (owner === undefined || !isForegroundDeletion(owner)) return;
    const dependents = store.dependents(ownerUid);
    if (dependents.length === 0) await writer.amend(store.addressOf(owner), withoutForeground);
    for (const dependent of dependents) {
      if (dependent.metadata.deletionTimestamp === undefined) await this.#delete(store.addressOf(dependent), dependent);
    }
  }

  /**
   * Pods last among the content would leave orphans running: they go first; the namespace itself goes when it is
   * empty.
   */
  async #emptyNamespace(name: string): Promise<void> {
    const { store, writer } = this.#options;
    const content = [...store.namespaceContent(name)].sort(
      (a, b) => Number(b.resource === 'pods') - Number(a.resource === 'pods'),
    );
    for (const address of content) {
      const object = store.get(address);
      if (object !== undefined && object.metadata.deletionTimestamp === undefined) await this.#delete(address, object);
    }
    if (store.namespaceContent(name).length > 0) return;
    await writer.amend({ resource: 'namespaces', namespace: '', name }, (current) =>
      current.metadata.deletionTimestamp === undefined ? current : undefined,
    );
  }

  /** The definition of that resource, when it is being deleted. */
  #findGoingCrd(resource: string): StoredObject | undefined {
    const crd = this.#options.store.get({ resource: CRDS, namespace: '', name: resource });
    return crd?.metadata.deletionTimestamp === undefined ? undefined : crd;
  }

  /** Objects first, then their definition: a crash in between finds it still there, and goes on. */
  async #emptyCrd(name: string): Promise<void> {
    const { store, writer } = this.#options;
    const address = { resource: CRDS, namespace: '', name };
    if (store.get(address) !== undefined && this.#findGoingCrd(name) === undefined) return;
    await store.settled(); // why: what was being made when the definition was deleted; since then nothing can be
    for (const object of store.list(name).items) {
      if (object.metadata.deletionTimestamp === undefined) await this.#delete(store.addressOf(object), object);
    }
    if (store.list(name).items.length > 0 || this.#findGoingCrd(name) === undefined) return;
    await writer.amend(address, withoutCleanup);
  }

  async #delete(address: Address, { metadata: { uid = '' } }: StoredObject): Promise<void> {
    const resource = this.#options.registry.findByName(address.resource);
    const { namespace, name } = address;
    if (resource === undefined) await this.#options.store.write(address, () => undefined);
    else await this.#options.deleter.delete({ resource, namespace, name }, { preconditions: { uid } });
  }

  #scheduleSweep(): void {
    this.#cancelSweep = this.#options.clock.after(SWEEP_EVERY_MS, () => {
      this.#enqueue(() => this.#sweepEvents());
      this.#scheduleSweep();
    });
  }

  async #sweepEvents(): Promise<void> {
    const { store, clock } = this.#options;
    for (const event of store.list('events').items) {
      const time = String(event['lastTimestamp'] ?? event.metadata.creationTimestamp);
      if (clock.nowMs() - Date.parse(time) > EVENT_TTL_MS) await this.#delete(store.addressOf(event), event);
    }
  }

  #enqueue(work: () => Promise<void>): void {
    if (this.#closed) return;
    this.#queue.add(work);
    this.#running ??= this.#drain();
  }

  async #drain(): Promise<void> {
    await Promise.resolve();
    for (const work of this.#queue) {
      this.#queue.delete(work);
      try {
        await work();
      } catch (error) {
        this.#options.report(error);
        this.#retryLater(work);
      }
    }
    this.#running = undefined;
  }
  /** Every work looks at the newest state, so that doing it late, or again, is as good. */
  #retryLater(work: () => Promise<void>): void {
    this.#failed.push(work);
    if (this.#closed) return;
    this.#cancelRetry ??= this.#options.clock.after(RETRY_MS, () => {
      this.#cancelRetry = undefined;
      for (const failed of this.#failed.splice(0)) this.#enqueue(failed);
    });
  }
}
