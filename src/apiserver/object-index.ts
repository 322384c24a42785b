/** The objects by resource and key, by uid and by owner. Lists come out in order of key, as etcd gives them. */
import type { StoredObject } from '../kube/object.ts';
import type { Address } from './address.ts';

interface Shelf {
  readonly objects: Map<string, StoredObject>;
  /** Keys in order; undefined when a key came or went since it was last asked for. */
  order: readonly string[] | undefined;
}

/** All durable objects, found by key, uid and owner. */
export class ObjectIndex {
  readonly #shelves = new Map<string, Shelf>();
  readonly #byUid = new Map<string, StoredObject>();
  readonly #addresses = new Map<string, Address>();
  readonly #byOwner = new Map<string, Map<string, StoredObject>>();

  get({ resource, namespace, name }: Address): StoredObject | undefined {
    return this.#shelves.get(resource)?.objects.get(`${namespace}/${name}`);
  }

  put(address: Address, object: StoredObject): void {
    const { resource, namespace, name } = address;
    this.#addresses.set(object.metadata.uid ?? '', address);
    const shelf = this.#shelf(resource);
    const key = `${namespace}/${name}`;
    const before = shelf.objects.get(key);
    if (before === undefined) shelf.order = undefined;
    else this.#unlink(before);
    shelf.objects.set(key, object);
    this.#link(object);
  }

  remove({ resource, namespace, name }: Address): void {
    const shelf = this.#shelf(resource);
    const before = shelf.objects.get(`${namespace}/${name}`);
    if (before === undefined) return;
    shelf.objects.delete(`${namespace}/${name}`);
    shelf.order = undefined;
    this.#addresses.delete(before.metadata.uid ?? '');
    this.#unlink(before);
  }

  /** Where the object with this uid lives. */
  addressOf(uid: string): Address | undefined {
    return this.#addresses.get(uid);
  }

  list(resource: string, namespace?: string): readonly StoredObject[] {
    const shelf = this.#shelves.get(resource);
    if (shelf === undefined) return [];
    shelf.order ??= [...shelf.objects.keys()].sort();
    const found: StoredObject[] = [];
    for (const key of shelf.order) {
      const object = shelf.objects.get(key);
      if (object !== undefined && (namespace === undefined || object.metadata.namespace === namespace))
        found.push(object);
    }
    return found;
  }

  findByUid(uid: string): StoredObject | undefined {
    return this.#byUid.get(uid);
  }

  dependents(ownerUid: string): readonly StoredObject[] {
    return [...(this.#byOwner.get(ownerUid)?.values() ?? [])];
  }

  namespaceContent(namespace: string): readonly Address[] {
    const prefix = `${namespace}/`;
    return [...this.#shelves].flatMap(([resource, { objects }]) =>
      [...objects.keys()]
        .filter((key) => key.startsWith(prefix))
        .map((key) => ({ resource, namespace, name: key.slice(prefix.length) })),
    );
  }

  #shelf(resource: string): Shelf {
    const found = this.#shelves.get(resource) ?? { objects: new Map<string, StoredObject>(), order: undefined };
    this.#shelves.set(resource, found);
    return found;
  }

  #link(object: StoredObject): void {
    const { uid = '', ownerReferences = [] } = object.metadata;
    this.#byUid.set(uid, object);
    for (const owner of ownerReferences) {
      const owned = this.#byOwner.get(owner.uid) ?? new Map<string, StoredObject>();
      owned.set(uid, object);
      this.#byOwner.set(owner.uid, owned);
    }
  }

  #unlink(object: StoredObject): void {
    const { uid = '', ownerReferences = [] } = object.metadata;
    this.#byUid.delete(uid);
    for (const owner of ownerReferences) {
      const owned = this.#byOwner.get(owner.uid);
      owned?.delete(uid);
      if (owned?.size === 0) this.#byOwner.delete(owner.uid);
    }
  }
}
