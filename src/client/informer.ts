/**
 * An informer: list once, then one watch, resumed where it was cut; a new list when the server has forgotten. Source:
 * client-go reflector.
 */
import { backoffMs } from '../base/backoff.ts';
import { type Clock, pause } from '../base/clock.ts';
import { freezeJson, isEqual } from '../base/json.ts';
import { findController, type KubeObject, keyOf, type ResourceRef } from '../kube/object.ts';
import { isStatusError } from '../kube/status-error.ts';
import type { ApiClient, Informer, ListOptions, ObjectChange, WatchEvent } from './types.ts';

export interface InformerOptions extends ListOptions {
  /** Keeps of each object which manager wrote what, a large part of a pod. Default: true. */
  readonly keepsManagers?: boolean;
  readonly client: ApiClient;
  readonly ref: ResourceRef;
  readonly clock: Clock;
  /** Told each time a list or watch fails; the informer goes on by itself. */
  readonly report?: (error: unknown) => void;
}

const BACKOFF = { firstMs: 200, maxMs: 30_000 };

/** Starts at once. */
export function createInformer<T extends KubeObject>(options: InformerOptions): Informer<T> {
  return new WatchingInformer<T>(options);
}

class WatchingInformer<T extends KubeObject> implements Informer<T> {
  readonly ref: ResourceRef;
  readonly synced: Promise<void>;
  readonly #options: InformerOptions;
  readonly #objects = new Map<string, T>();
  readonly #byOwner = new Map<string, Map<string, T>>();
  readonly #handlers = new Set<(change: ObjectChange<T>) => void>();
  readonly #stop = new AbortController();
  /** Keys in order, so that no list sorts them anew. */
  readonly #keys: string[] = [];
  #sorted: readonly T[] | undefined;
  #markSynced: () => void = () => undefined;
  #resourceVersion: string | undefined;

  constructor(options: InformerOptions) {
    this.#options = options;
    this.ref = options.ref;
    this.synced = new Promise((resolve) => {
      this.#markSynced = resolve;
    });
    void this.#run();
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(): readonly T[] {
    // why: each key has its object
    this.#sorted ??= this.#keys.map((key) => this.#objects.get(key) as T);
    return this.#sorted;
  }

  ownedBy(uid: string): readonly T[] {
    const owned = [...(this.#byOwner.get(uid)?.values() ?? [])];
    return owned.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }

  onChange(handle: (change: ObjectChange<T>) => void): () => void {
    this.#handlers.add(handle);
    return () => this.#handlers.delete(handle);
  }

  close(): void {
    this.#stop.abort();
    this.#handlers.clear();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    for (let failures = 0; !signal.aborted; ) {
      try {
        if (this.#resourceVersion === undefined) await this.#relist();
        await this.#watch();
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        if (isStatusError(error, 'Expired')) this.#resourceVersion = undefined;
        else {
          failures++;
          this.#options.report?.(error);
        }
        await pause(this.#options.clock, backoffMs(failures, BACKOFF), signal);
      }
    }
  }

  async #relist(): Promise<void> {
    const { client, ref, namespace, labelSelector, fieldSelector } = this.#options;
    const scope = {
      ...(namespace !== undefined && { namespace }),
      ...(labelSelector && { labelSelector }),
      ...(fieldSelector && { fieldSelector }),
    };
    const { items, resourceVersion } = await client.list<T>(ref, scope);
    const seen = new Set(items.map(keyOf));
    for (const [key, object] of this.#objects) if (!seen.has(key)) this.#remove(key, object);
    for (const item of items) this.#put(item);
    this.#resourceVersion = resourceVersion;
    this.#markSynced();
  }

  async #watch(): Promise<void> {
    const { client, ref, namespace, labelSelector, fieldSelector } = this.#options;
    const scope = {
      ...(namespace !== undefined && { namespace }),
      ...(labelSelector && { labelSelector }),
      ...(fieldSelector && { fieldSelector }),
    };
    const resourceVersion = this.#resourceVersion ?? '';
    for await (const event of client.watch<T>(ref, { ...scope, resourceVersion }, this.#stop.signal))
      this.#onEvent(event);
  }

  #onEvent({ type, object }: WatchEvent<T>): void {
    this.#resourceVersion = object.metadata.resourceVersion ?? this.#resourceVersion;
    if (type === 'DELETED') this.#remove(keyOf(object), object);
    else if (type !== 'BOOKMARK') this.#put(object);
  }

  #put(fresh: T): void {
    const key = keyOf(fresh);
    const previous = this.#objects.get(key);
    if (previous !== undefined && isSameVersion(previous, fresh)) return;
    const object = freezeJson(this.#options.keepsManagers === false ? withoutManagers(fresh) : fresh);
    if (previous === undefined) this.#keys.splice(findPlace(this.#keys, key), 0, key);
    this.#objects.set(key, object);
    this.#sorted = undefined;
    if (previous !== undefined) this.#unlink(previous);
    this.#link(object);
    this.#notify(previous === undefined ? { type: 'added', object } : { type: 'changed', object, previous });
  }

  #remove(key: string, last: T): void {
    const previous = this.#objects.get(key);
    if (previous === undefined) return;
    this.#objects.delete(key);
    this.#keys.splice(findPlace(this.#keys, key), 1);
    this.#sorted = undefined;
    this.#unlink(previous);
    this.#notify({ type: 'deleted', object: freezeJson(last), previous });
  }

  #notify(change: ObjectChange<T>): void {
    for (const handle of this.#handlers) handle(change);
  }

  #link(object: T): void {
    const owner = findController(object);
    if (owner === undefined) return;
    const owned = this.#byOwner.get(owner.uid) ?? new Map<string, T>();
    owned.set(keyOf(object), object);
    this.#byOwner.set(owner.uid, owned);
  }

  #unlink(object: T): void {
    const owner = findController(object);
    if (owner === undefined) return;
    const owned = this.#byOwner.get(owner.uid);
    owned?.delete(keyOf(object));
    if (owned?.size === 0) this.#byOwner.delete(owner.uid);
  }
}

function withoutManagers<T extends KubeObject>(object: T): T {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** Where the key stands among keys in order, or would. */
function findPlace(keys: readonly string[], key: string): number {
  let [from, to] = [0, keys.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((keys[middle] ?? '') < key) from = middle + 1;
    else to = middle;
  }
  return from;
}

function isSameVersion(a: KubeObject, b: KubeObject): boolean {
  const { resourceVersion } = a.metadata;
  return resourceVersion !== undefined ? resourceVersion === b.metadata.resourceVersion : isEqual(a, b);
}
