/**
 * All objects in memory, a ring of what changed, and a journal under them. A write is seen by readers once it is
 * durable, never before.
 */
import { assert } from '../base/assert.ts';
import { freezeJson } from '../base/json.ts';
import type { StoredObject } from '../kube/object.ts';
import { StatusError } from '../kube/status-error.ts';
import { type Address, formatKey, parseKey } from './address.ts';
import { EventRing, type StoreEvent } from './event-ring.ts';
import type { Journal, JournalEntry } from './journal.ts';
import { ObjectIndex } from './object-index.ts';

/**
 * Decides the next state of one object from its newest one; undefined deletes. Throws to refuse. Returning the same
 * object changes nothing.
 */
export type Change = (current: StoredObject | undefined) => StoredObject | undefined;

export interface Snapshot {
  readonly items: readonly StoredObject[];
  readonly revision: number;
}

type Listener = (event: StoreEvent) => void;

interface Pending {
  readonly event: StoreEvent;
  readonly resolve: (object: StoredObject | undefined) => void;
  readonly reject: (error: Error) => void;
}

interface Staged {
  readonly object: StoredObject | null;
  readonly revision: number;
  /** Rejects when the change never became durable. */
  readonly durable: Promise<StoredObject | undefined>;
}

/** Changes that may wait for the disk at once. */
const PENDING_MAX = 20_000;
/** Changes written in one batch. */
const BATCH_MAX = 1_000;

/** The objects of the cluster. */
export class Store {
  readonly #journal: Journal;
  readonly #index = new ObjectIndex();
  readonly #ring: EventRing;
  readonly #listeners = new Set<Listener>();
  /** The newest state of objects whose change is not durable yet; null is deleted. */
  readonly #staged = new Map<string, Staged>();
  #pending: Pending[] = [];
  #flushing: Promise<void> | undefined;
  #revision: number;
  #durableRevision: number;

  private constructor(journal: Journal, revision: number) {
    this.#journal = journal;
    this.#revision = revision;
    this.#durableRevision = revision;
    this.#ring = new EventRing(revision);
  }

  /** Reads everything back. */
  static async open(journal: Journal): Promise<Store> {
    const { revision, objects } = await journal.load();
    const store = new Store(journal, revision);
    for (const { key, text } of objects) {
      const object = JSON.parse(text) as StoredObject; // why: written by this class
      store.#index.put(parseKey(key), freezeJson(object));
    }
    return store;
  }

  /** The newest durable revision: what lists and watches start from. */
  get revision(): number {
    return this.#durableRevision;
  }

  /** The oldest revision a watch may still start from. */
  get oldestRevision(): number {
    return this.#ring.floor;
  }

  get(address: Address): StoredObject | undefined {
    return this.#index.get(address);
  }

  /** Objects of a resource in order of key; of one namespace when `namespace` is not undefined. */
  list(resource: string, namespace?: string): Snapshot {
    return { items: this.#index.list(resource, namespace), revision: this.#durableRevision };
  }

  /** The list as it was at `revision`. @throws Expired when that is too long ago. */
  listAt(resource: string, namespace: string | undefined, revision: number): Snapshot {
    if (revision === this.#durableRevision) return this.list(resource, namespace);
    const objects = new Map(this.#index.list(resource, namespace).map((object) => [keyIn(object), object]));
    for (const event of this.eventsSince(revision).toReversed()) {
      if (event.address.resource !== resource || (namespace !== undefined && event.address.namespace !== namespace))
        continue;
      const key = keyIn(event.object);
      if (event.previous === undefined) objects.delete(key);
      else objects.set(key, event.previous);
    }
    const items = [...objects.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
    return { items, revision };
  }

  /** Objects that name this uid as an owner. */
  dependents(ownerUid: string): readonly StoredObject[] {
    return this.#index.dependents(ownerUid);
  }

  findByUid(uid: string): StoredObject | undefined {
    return this.#index.findByUid(uid);
  }

  /** Where a stored object lives. @throws AssertionError when it is not stored. */
  addressOf(object: StoredObject): Address {
    const address = this.#index.addressOf(object.metadata.uid ?? '');
    assert(address !== undefined, `${object.kind} ${object.metadata.name} is not in the store`);
    return address;
  }

  /** Addresses of everything in a namespace. */
  namespaceContent(namespace: string): readonly Address[] {
    return this.#index.namespaceContent(namespace);
  }

  /** What happened after `revision`. @throws Expired when the ring no longer holds it, or it is of another life. */
  eventsSince(revision: number): readonly StoreEvent[] {
    if (revision > this.#durableRevision) {
      const message = `resource version ${revision} is not of this server: it has reached ${this.#durableRevision}`;
      throw new StatusError('Expired', message);
    }
    return this.#ring.since(revision);
  }

  /** Called for every durable change, in order; returns how to stop. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Changes one object and resolves when that is durable: the new object (or the last state of a deleted one).
   * `change` runs at once, on the newest state, so two changes of one object never miss each other.
   */
  async write(address: Address, change: Change): Promise<StoredObject | undefined> {
    const key = formatKey(address);
    const staged = this.#staged.get(key);
    const current = staged === undefined ? this.#index.get(address) : (staged.object ?? undefined);
    const next = change(current);
    if (next === current) {
      await staged?.durable;
      return current;
    }
    if (this.#pending.length >= PENDING_MAX) {
      throw new StatusError(
        'TooManyRequests',
        `cannot write ${key}: ${PENDING_MAX} writes wait for the disk, try again`,
      );
    }
    return this.#stage({ address, key, current, next });
  }

  #stage(write: { address: Address; key: string; current: StoredObject | undefined; next: StoredObject | undefined }) {
    const { address, key, current, next } = write;
    const revision = ++this.#revision;
    const basis = next ?? (current as StoredObject); // why: next and current differ, so one of them is there
    const object = freezeJson({ ...basis, metadata: { ...basis.metadata, resourceVersion: String(revision) } });
    const type = next === undefined ? 'DELETED' : current === undefined ? 'ADDED' : 'MODIFIED';
    const event: StoreEvent = { type, revision, address, object, previous: current };
    const durable = new Promise<StoredObject | undefined>((resolve, reject) => {
      this.#pending.push({ event, resolve, reject });
      this.#flushing ??= this.#flush();
    });
    this.#staged.set(key, { object: next === undefined ? null : object, revision, durable });
    return durable;
  }

  async #flush(): Promise<void> {
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const batch = this.#pending.splice(0, BATCH_MAX);
      try {
        await this.#journal.append(batch.map(({ event }) => toEntry(event)));
      } catch (error) {
        this.#abandon(batch, error instanceof Error ? error : new Error(String(error)));
        continue;
      }
      for (const { event, resolve } of batch) {
        this.#publish(event);
        resolve(event.object);
      }
    }
    this.#flushing = undefined;
  }

  /** Nothing of the batch is on disk, and all that was staged after it stands on it: refuse them all. */
  #abandon(batch: readonly Pending[], error: Error): void {
    const refused = [...batch, ...this.#pending];
    this.#pending = [];
    this.#staged.clear();
    for (const { reject } of refused) reject(error);
  }

  #publish(event: StoreEvent): void {
    const key = formatKey(event.address);
    if (event.type === 'DELETED') this.#index.remove(event.address);
    else this.#index.put(event.address, event.object);
    if (this.#staged.get(key)?.revision === event.revision) this.#staged.delete(key);
    this.#durableRevision = event.revision;
    this.#ring.push(event);
    for (const listener of this.#listeners) listener(event);
  }

  /** Resolves when all that was written so far is durable, or refused. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#staged.values()].map(({ durable }) => durable));
  }

  /** Waits for the writes under way, then closes the journal. */
  async close(): Promise<void> {
    await this.#flushing;
    await this.#journal.close();
  }
}

function toEntry({ type, revision, address, object }: StoreEvent): JournalEntry {
  return { revision, key: formatKey(address), text: type === 'DELETED' ? undefined : JSON.stringify(object) };
}

function keyIn({ metadata }: StoredObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}
