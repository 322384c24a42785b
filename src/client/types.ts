/**
 * What the client room offers the rooms above it: the shape of requests, lists and watches. Speaks to any Kubernetes
 * API server.
 */
import type { KubeObject, ResourceRef } from '../kube/object.ts';

export interface ListOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface ObjectList<T extends KubeObject> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
}

export interface PatchRequest {
  readonly name: string;
  readonly namespace?: string | undefined;
  /** `apply` is server-side apply and needs `fieldManager`. */
  readonly type: 'merge' | 'json' | 'apply';
  readonly body: unknown;
  readonly subresource?: 'status' | undefined;
  readonly fieldManager?: string;
  /** Takes over fields of other managers; apply only. */
  readonly force?: boolean;
  /** Refuses fields that the schema does not know, instead of dropping them. */
  readonly strict?: boolean;
}

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

export type WatchEvent<T extends KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly object: T };

/**
 * Every method throws a StatusError with the server's reason; a server that cannot be reached gives
 * ServiceUnavailable.
 */
export interface ApiClient {
  get<T extends KubeObject>(ref: ResourceRef, name: string, namespace?: string): Promise<T>;
  list<T extends KubeObject>(ref: ResourceRef, options?: ListOptions): Promise<ObjectList<T>>;
  /** `fieldManager` is by default the client's own name. */
  create<T extends KubeObject>(ref: ResourceRef, object: T, options?: { readonly fieldManager: string }): Promise<T>;
  /** Replaces the object; @throws Conflict when its resourceVersion is not the stored one. */
  update<T extends KubeObject>(ref: ResourceRef, object: T): Promise<T>;
  /** Replaces the status alone; @throws Conflict as `update`. */
  updateStatus<T extends KubeObject>(ref: ResourceRef, object: T): Promise<T>;
  patch<T extends KubeObject>(ref: ResourceRef, patch: PatchRequest): Promise<T>;
  delete(
    ref: ResourceRef,
    name: string,
    options?: DeleteOptions & { readonly namespace?: string | undefined },
  ): Promise<void>;
  /** One watch connection; ends when the server closes it. @throws Expired when `resourceVersion` is too old. */
  watch<T extends KubeObject>(
    ref: ResourceRef,
    options: ListOptions & { readonly resourceVersion: string },
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>>;
  /** Any other request; the answer parsed from JSON. */
  request<T>(method: string, path: string, body?: unknown): Promise<T>;
  /** The answer to a GET as a server-side Table, for people to read. */
  table<T>(path: string): Promise<T>;
  /** Any other request whose answer is text that comes bit by bit (logs). */
  stream(path: string, signal: AbortSignal): AsyncIterable<string>;
  /** Releases the connections. */
  close(): Promise<void>;
}

export interface ObjectChange<T extends KubeObject> {
  readonly type: 'added' | 'changed' | 'deleted';
  readonly object: T;
  readonly previous?: T;
}

/** A read-only copy of the objects of one kind, kept fresh by one watch. Objects are frozen. */
export interface Informer<T extends KubeObject> {
  readonly ref: ResourceRef;
  /** Resolves once the first list is in. */
  readonly synced: Promise<void>;
  /** By `namespace/name` (or `name` for cluster-scoped kinds). */
  get(key: string): T | undefined;
  /** All objects, in order of key. */
  list(): readonly T[];
  /** Objects whose controller has this uid, in order of name; O(children). */
  ownedBy(uid: string): readonly T[];
  /** Called for each change after the copy has it; returns how to stop. */
  onChange(handle: (change: ObjectChange<T>) => void): () => void;
  /** Ends the watch. */
  close(): void;
}
