/** What a reconcile may see: the informers of the kinds it declares, and nothing else. */
import { assert } from '../base/assert.ts';
import type { Settings, World } from '../kube/kind.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Informer } from '../client/types.ts';

export interface WorldOptions {
  readonly nowMs: number;
  readonly settings: Settings;
  /** By kind; only those the reconciler's kind owns or reads. */
  readonly informers: ReadonlyMap<string, Informer<KubeObject>>;
}

/** @throws AssertionError from its methods when asked for a kind that was not declared. */
export function createWorld({ nowMs, settings, informers }: WorldOptions): World {
  const informerOf = (kind: string) => {
    const informer = informers.get(kind);
    assert(informer !== undefined, `kind ${kind} is in neither owns nor reads`);
    return informer;
  };
  return {
    nowMs,
    settings,
    owned: <T extends KubeObject>(owner: KubeObject, kind: string) =>
      informerOf(kind).ownedBy(owner.metadata.uid ?? '') as readonly T[], // why: the caller names the kind's type
    find: <T extends KubeObject>(kind: string, name: string, near?: KubeObject) => {
      const informer = informerOf(kind);
      const isNamespaced = informer.ref.scope === 'Namespaced';
      const key = isNamespaced ? `${near?.metadata.namespace ?? 'default'}/${name}` : name;
      return informer.get(key) as T | undefined; // why: as above
    },
  };
}
