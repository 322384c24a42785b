/**
 * Runs the reconcilers: one queue per kind, informers shared between them. Knows how to ask and apply, not what is
 * wanted.
 */
import type { Clock } from '../base/clock.ts';
import { isEqual } from '../base/json.ts';
import { createInformer } from '../client/informer.ts';
import type { ApiClient, Informer, ObjectChange } from '../client/types.ts';
import type { Controller, Outcome, Settings } from '../kube/kind.ts';
import { findController, keyOf, type KubeObject, type ObjectOf, type ResourceRef } from '../kube/object.ts';
import { isStatusError } from '../kube/status-error.ts';
import { WELL_KNOWN } from '../kube/well-known.ts';
import { applyChildren } from './children.ts';
import { WorkQueue } from './work-queue.ts';
import { createWorld } from './world.ts';

export interface ControllersOptions {
  readonly client: ApiClient;
  readonly controllers: readonly Controller[];
  readonly clock: Clock;
  readonly settings: Settings;
  /** Told of each failed reconcile and watch. */
  readonly report: (what: string, error: unknown) => void;
  /** Objects of one kind reconciled at the same time. Default 4. */
  readonly workers?: number;
}

export interface Controllers {
  /** Resolves when every informer has its first list. */
  readonly synced: Promise<void>;
  close(): Promise<void>;
}

type AnyObject = ObjectOf<unknown>;
type AnyReconcile = (object: AnyObject, world: ReturnType<typeof createWorld>) => Outcome<unknown>;

interface Loop {
  readonly controller: Controller;
  readonly reconcile: AnyReconcile;
  readonly informer: Informer<AnyObject>;
  /** Of the kinds it owns and reads. */
  readonly seen: ReadonlyMap<string, Informer<KubeObject>>;
  readonly applied: Map<string, string>;
}

/** Starts at once; closes in the order: queues, then informers. */
export function startControllers(options: ControllersOptions): Controllers {
  const { client, controllers, clock, report } = options;
  const refs = new Map<string, ResourceRef>([
    ...Object.entries(WELL_KNOWN),
    ...controllers.map(({ kind }) => [kind.kind, kind] as const),
  ]);
  const informers = new Map<string, Informer<KubeObject>>();
  const informerOf = (kind: string) => {
    const known = informers.get(kind);
    if (known !== undefined) return known;
    const ref = getRef(refs, kind);
    const created = createInformer<KubeObject>({
      client,
      ref,
      clock,
      report: (error) => report(`watch ${ref.plural}`, error),
    });
    informers.set(kind, created);
    return created;
  };
  const queues = controllers.flatMap((controller) => {
    if (controller.reconcile === undefined) return [];
    const { kind, owns, reads } = controller.kind;
    const seen = new Map([...owns, ...reads].map((name) => [name, informerOf(name)] as const));
    // why: it is only ever given objects of its own kind
    const reconcile = controller.reconcile as unknown as AnyReconcile;
    const informer = informerOf(kind) as Informer<AnyObject>; // why: all our kinds have a spec
    return [startLoop({ controller, reconcile, informer, seen, applied: new Map() }, options, refs)];
  });
  return {
    synced: Promise.all([...informers.values()].map(({ synced }) => synced)).then(() => undefined),
    close: async () => {
      await Promise.all(queues.map((queue) => queue.close()));
      for (const informer of informers.values()) informer.close();
    },
  };
}

function getRef(refs: ReadonlyMap<string, ResourceRef>, kind: string): ResourceRef {
  const ref = refs.get(kind);
  if (ref === undefined) throw new Error(`kind ${kind} is declared by no room`);
  return ref;
}

function startLoop(loop: Loop, options: ControllersOptions, refs: ReadonlyMap<string, ResourceRef>): WorkQueue {
  const { kind } = loop.controller;
  const allSynced = Promise.all([loop.informer, ...loop.seen.values()].map(({ synced }) => synced));
  const queue = new WorkQueue({
    clock: options.clock,
    workers: options.workers ?? 4,
    report: (key, error) => options.report(`reconcile ${kind.kind} ${key}`, error),
    work: async (key) => {
      await allSynced;
      return reconcileOne(loop, key, { options, refs }).catch((error: unknown) => {
        if (!isStatusError(error, 'Invalid')) throw error;
        // why: it would be as invalid the next time; a change of the object or of what it looks at asks again
        options.report(`reconcile ${kind.kind} ${key}`, error);
        return {};
      });
    },
  });
  loop.informer.onChange(({ object }) => queue.add(keyOf(object)));
  for (const [name, informer] of loop.seen) {
    informer.onChange((change) => wakeOwners(loop, { queue, name, change }));
  }
  return queue;
}

/** A change of a child wakes its owner; of something read, all that might have looked at it. */
function wakeOwners(
  loop: Loop,
  { queue, name, change }: { queue: WorkQueue; name: string; change: ObjectChange<KubeObject> },
): void {
  const { kind, owns, reads } = loop.controller.kind;
  const { object, type } = change;
  if (type === 'deleted') loop.applied.delete(object.metadata.uid ?? '');
  const owner = findController(object);
  if (owns.includes(name) && owner?.kind === kind) {
    const { namespace } = object.metadata;
    queue.add(namespace === undefined ? owner.name : `${namespace}/${owner.name}`);
  }
  if (!reads.includes(name)) return;
  for (const reader of loop.informer.list()) {
    const isNear = object.metadata.namespace === undefined || object.metadata.namespace === reader.metadata.namespace;
    if (isNear) queue.add(keyOf(reader));
  }
}

interface Surroundings {
  readonly options: ControllersOptions;
  readonly refs: ReadonlyMap<string, ResourceRef>;
}

async function reconcileOne(
  loop: Loop,
  key: string,
  { options, refs }: Surroundings,
): Promise<{ againInMs?: number | undefined }> {
  const object = loop.informer.get(key);
  if (object === undefined || object.metadata.deletionTimestamp !== undefined) return {};
  const { client, clock, settings } = options;
  const { kind } = loop.controller;
  const { name, namespace, uid = '' } = object.metadata;
  const outcome = loop.reconcile(object, createWorld({ nowMs: clock.nowMs(), settings, informers: loop.seen }));
  if (outcome.done === true) {
    await client.delete(kind, name, { namespace, preconditions: { uid } }).catch(ignore(['NotFound', 'Conflict']));
    return {};
  }
  const present = new Map(kind.owns.map((child) => [child, loop.seen.get(child)?.ownedBy(uid) ?? []] as const));
  const refOf = (child: string) => getRef(refs, child);
  await applyChildren({
    client,
    owner: object,
    wanted: outcome.children,
    present,
    refOf,
    fieldManager: 'athanor',
    applied: loop.applied,
  });
  if (!isEqual(outcome.status, object.status)) {
    await client.updateStatus(kind, { ...object, status: outcome.status }).catch(ignore(['NotFound', 'Conflict']));
  }
  return { againInMs: outcome.againInMs };
}

/** A conflict means a newer object is on its way here: its arrival asks again. */
function ignore(reasons: readonly ('NotFound' | 'Conflict')[]): (error: unknown) => void {
  return (error) => {
    if (!reasons.some((reason) => isStatusError(error, reason))) throw error;
  };
}
