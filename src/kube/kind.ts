/**
 * A kind: a noun of the platform declared as data, and the pure question its controller answers. Knows no I/O and no
 * kind of ours.
 */
import type { z } from 'zod';
import type { KubeObject, ObjectOf, ResourceRef } from './object.ts';

/** API group and version of every kind of ours. */
export const GROUP = 'athanor.dev';
/** Their version. */
export const VERSION = 'v1alpha1';

/**
 * What the platform offers to pods and the node, given when the controllers are wired; the same for every reconcile.
 */
export interface Settings {
  /** Base URL of the tracking server as pods reach it. */
  readonly trackingUrl: string;
  /** Blob store as pods reach it: `file:///...` or `s3://...`. */
  readonly blobsUrl: string;
  /** Secret with the store's credentials, in every namespace; undefined where it asks for none. */
  readonly blobsSecret?: string | undefined;
  /** Folder on every node that outlives pods: environments and other caches. Absolute. */
  readonly nodeCachePath: string;
}

/** What a reconcile may look at: frozen, indexed, and only the kinds that `owns` and `reads` name. */
export interface World {
  readonly nowMs: number;
  readonly settings: Settings;
  /** Objects of `kind` owned by `owner`, in order of name. */
  owned<T extends KubeObject = KubeObject>(owner: KubeObject, kind: string): readonly T[];
  /** The object of that name, or undefined. Namespaced kinds are looked up beside `near`. */
  find<T extends KubeObject = KubeObject>(kind: string, name: string, near?: KubeObject): T | undefined;
}

/** The answer: what should exist, what was observed, and when to ask again although nothing has changed. */
export interface Outcome<Status> {
  readonly children: readonly KubeObject[];
  readonly status: Status;
  readonly againInMs?: number;
  /** True when the object itself has had its time (TTL): the loop deletes it, and with it all it owns. */
  readonly done?: boolean;
}

export type Reconcile<Spec, Status> = (object: ObjectOf<Spec, Status>, world: World) => Outcome<Status>;

/** A column of `kubectl get` and of every table of ours; a bare path means a string. */
export interface Column {
  readonly path: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
}

export interface Kind<S extends z.ZodType = z.ZodType, T extends z.ZodType = z.ZodType> extends ResourceRef {
  readonly shortNames: readonly string[];
  readonly description: string;
  readonly spec: S;
  readonly status: T;
  readonly columns: Readonly<Record<string, Column>>;
  /** Condition types its status may carry, each with a sentence. */
  readonly conditions: Readonly<Record<string, string>>;
  /** Kinds it creates; only these are ever pruned. */
  readonly owns: readonly string[];
  /** Kinds it looks up by name. */
  readonly reads: readonly string[];
}

export interface KindDeclaration<S extends z.ZodType, T extends z.ZodType> {
  readonly kind: string;
  /** Default: the kind's name in lower case with an s. */
  readonly plural?: string;
  readonly scope: 'Namespaced' | 'Cluster';
  readonly shortNames?: readonly string[];
  readonly description: string;
  readonly spec: S;
  readonly status: T;
  readonly columns: Readonly<Record<string, string | Column>>;
  readonly conditions?: Readonly<Record<string, string>>;
  readonly owns: readonly string[];
  readonly reads?: readonly string[];
}

/** Fills in what follows from the name. */
export function defineKind<S extends z.ZodType, T extends z.ZodType>(declared: KindDeclaration<S, T>): Kind<S, T> {
  const columns = Object.entries(declared.columns).map(
    ([title, column]) =>
      [title, typeof column === 'string' ? { path: column, type: 'string' as const } : column] as const,
  );
  return Object.freeze({
    ...declared,
    group: GROUP,
    version: VERSION,
    plural: declared.plural ?? `${declared.kind.toLowerCase()}s`,
    shortNames: declared.shortNames ?? [],
    conditions: declared.conditions ?? {},
    reads: declared.reads ?? [],
    columns: Object.fromEntries(columns),
  });
}

/** A kind with the function that reconciles it; kinds without one are only read by others. */
export interface Controller {
  readonly kind: Kind;
  /** Only ever called with objects of `kind`; `never` lets one list hold reconcilers of unlike specs. */
  readonly reconcile?: (object: ObjectOf<never, never>, world: World) => Outcome<unknown>;
}
