/**
 * Deletion: grace for pods, finalizers, preconditions, and what becomes of the dependents. Source: kubernetes
 * registry/generic, garbagecollector.
 */
import type { Clock } from '../base/clock.ts';
import { isJsonObject } from '../base/json.ts';
import { formatTime } from '../kube/condition.ts';
import type { ObjectMeta, StoredObject } from '../kube/object.ts';
import { isPodFinished, type Pod } from '../kube/pod.ts';
import { StatusError } from '../kube/status-error.ts';
import { resourceName } from './resource.ts';
import type { Store } from './store.ts';
import type { WriteContext } from './write-context.ts';
import { conflict, notFound, type Writer } from './writer.ts';

export interface DeleteRequest {
  readonly gracePeriodSeconds?: number | undefined;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan' | undefined;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string } | undefined;
  readonly dryRun?: boolean;
}

const FOREGROUND = 'foregroundDeletion';
/** Holds a CustomResourceDefinition until no object of it is left. */
const CRD_CLEANUP = 'customresourcecleanup.apiextensions.k8s.io';

export interface DeleterOptions {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
}

/** Deletes objects as their finalizers, grace and dependents allow. */
export class Deleter {
  readonly #options: DeleterOptions;

  constructor(options: DeleterOptions) {
    this.#options = options;
  }

  /** The object as it was last, gone or on its way. @throws NotFound, Conflict when a precondition does not hold. */
  async delete(
    context: Pick<WriteContext, 'resource' | 'namespace' | 'name'>,
    request: DeleteRequest,
  ): Promise<StoredObject> {
    const { store } = this.#options;
    const address = { resource: resourceName(context.resource), namespace: context.namespace, name: context.name };
    const current = store.get(address);
    if (current === undefined) throw notFound(context);
    checkPreconditions(context, current, request);
    if (request.dryRun === true) return current;
    if (request.propagationPolicy === 'Orphan') await this.#orphan(current);
    let last = current;
    await store.write(address, (newest) => {
      if (newest === undefined) return undefined;
      checkPreconditions(context, newest, request);
      const next = this.#nextState(newest, request);
      last = next ?? newest;
      return next;
    });
    return store.get(address) ?? last;
  }

  #nextState(object: StoredObject, request: DeleteRequest): StoredObject | undefined {
    const graceSeconds = graceOf(object, request.gracePeriodSeconds);
    const finalizers = finalizersOf(object, request);
    if (graceSeconds === 0 && finalizers.length === 0 && object.kind !== 'Namespace') return undefined;
    const { deletionTimestamp, deletionGracePeriodSeconds, finalizers: _finalizers, ...metadata } = object.metadata;
    const isSooner = deletionTimestamp === undefined || graceSeconds < (deletionGracePeriodSeconds ?? 0);
    const deadline = isSooner ? formatTime(this.#options.clock.nowMs() + graceSeconds * 1000) : deletionTimestamp;
    const grace = isSooner ? graceSeconds : (deletionGracePeriodSeconds ?? 0);
    if (!isSooner && finalizers.length === (object.metadata.finalizers ?? []).length) return object;
    const next: ObjectMeta = { ...metadata, deletionTimestamp: deadline, deletionGracePeriodSeconds: grace };
    return {
      ...object,
      metadata: finalizers.length === 0 ? next : { ...next, finalizers },
      ...goingStatus(object, deadline),
    };
  }

  /** Dependents lose their reference, and so outlive the owner. */
  async #orphan(owner: StoredObject): Promise<void> {
    const { store, writer } = this.#options;
    for (const dependent of store.dependents(owner.metadata.uid ?? '')) {
      await writer.amend(store.addressOf(dependent), (current) => withoutOwner(current, owner.metadata.uid ?? ''));
    }
  }
}

/** The object without its reference to that owner. */
export function withoutOwner(object: StoredObject, ownerUid: string): StoredObject {
  const { ownerReferences = [], ...metadata } = object.metadata;
  const kept = ownerReferences.filter(({ uid }) => uid !== ownerUid);
  return { ...object, metadata: kept.length === 0 ? metadata : { ...metadata, ownerReferences: kept } };
}

/** How namespaces and definitions say that they are going. */
function goingStatus(object: StoredObject, time: string): { readonly status?: unknown } {
  if (object.kind === 'Namespace') return { status: { phase: 'Terminating' } };
  if (!isCrd(object)) return {};
  const status = isJsonObject(object['status']) ? object['status'] : {};
  const before: readonly unknown[] = Array.isArray(status['conditions']) ? status['conditions'] : [];
  const others = before.filter((condition) => !isJsonObject(condition) || condition['type'] !== 'Terminating');
  const reason = 'InstanceDeletionPending';
  const message = 'CustomResource deletion is in progress';
  const going = { type: 'Terminating', status: 'True', reason, message, lastTransitionTime: time };
  return { status: { ...status, conditions: [...others, going] } };
}

/** True for a CustomResourceDefinition. */
export function isCrd({ apiVersion, kind }: StoredObject): boolean {
  return kind === 'CustomResourceDefinition' && apiVersion.startsWith('apiextensions.k8s.io/');
}

/** The definition, free to go once nothing else holds it. */
export function withoutCleanup(object: StoredObject): StoredObject {
  return withoutFinalizer(object, CRD_CLEANUP);
}

/** True while the object waits for its dependents to go first. */
export function isForegroundDeletion({ metadata }: StoredObject): boolean {
  return metadata.deletionTimestamp !== undefined && (metadata.finalizers?.includes(FOREGROUND) ?? false);
}

/** The object with the garbage collector's own finalizer taken away. */
export function withoutForeground(object: StoredObject): StoredObject {
  return withoutFinalizer(object, FOREGROUND);
}

function withoutFinalizer(object: StoredObject, name: string): StoredObject {
  const { finalizers = [], ...metadata } = object.metadata;
  const kept = finalizers.filter((finalizer) => finalizer !== name);
  return { ...object, metadata: kept.length === 0 ? metadata : { ...metadata, finalizers: kept } };
}

/** Only pods that a node has taken and that have not ended get time to stop. */
function graceOf(object: StoredObject, requested: number | undefined): number {
  if (object.kind !== 'Pod') return 0;
  const pod = object as unknown as Pod; // why: kind says so
  if (pod.spec.nodeName === undefined || isPodFinished(pod)) return 0;
  return requested ?? pod.spec.terminationGracePeriodSeconds ?? 30;
}

function finalizersOf(object: StoredObject, { propagationPolicy }: DeleteRequest): readonly string[] {
  const { finalizers = [], deletionTimestamp } = object.metadata;
  const own = [
    ...(propagationPolicy === 'Foreground' ? [FOREGROUND] : []),
    ...(isCrd(object) && deletionTimestamp === undefined ? [CRD_CLEANUP] : []),
  ];
  return [...new Set([...finalizers, ...own])];
}

function checkPreconditions(
  context: Pick<WriteContext, 'resource' | 'name'>,
  { metadata }: StoredObject,
  { preconditions }: DeleteRequest,
): void {
  if (preconditions?.uid !== undefined && preconditions.uid !== metadata.uid) {
    const message = `Precondition failed: UID in precondition: ${preconditions.uid}, UID in object meta: ${metadata.uid}`;
    throw new StatusError('Conflict', `cannot delete ${context.resource.plural} "${context.name}": ${message}`);
  }
  if (preconditions?.resourceVersion !== undefined && preconditions.resourceVersion !== metadata.resourceVersion)
    throw conflict(context);
}
