/** Create, update, patch and delete: what a request makes of an object. Knows nothing of HTTP or of who asks. */
import type { Clock } from '../base/clock.ts';
import { isEqual, isJsonObject } from '../base/json.ts';
import type { Random } from '../base/random.ts';
import { applyObject, isChanged, trackUpdate } from '../kube/apply.ts';
import { formatTime } from '../kube/condition.ts';
import type { ObjectMeta, StoredObject } from '../kube/object.ts';
import { type FieldCause, StatusError } from '../kube/status-error.ts';
import { applyDefaults, prune, validate } from '../kube/structural.ts';
import type { Address } from './address.ts';
import { checkIdentity, prepareCreate } from './create.ts';
import { checkMetadata } from './metadata-rules.ts';
import { type Resource, resourceName } from './resource.ts';
import type { Store } from './store.ts';
import type { WriteContext } from './write-context.ts';

export interface WriterOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly newUid: () => string;
  readonly admit?: Admit | undefined;
}

/**
 * Has a say in every new object and every changed one of custom resources, after its schema: gives what is wrong with
 * it. `look` lists what is stored of a resource.
 */
export type Admit = (
  object: StoredObject,
  before: StoredObject | undefined,
  look: (resource: string) => readonly StoredObject[],
) => readonly FieldCause[];

/** Makes of a request what is to be stored. */
export class Writer {
  readonly #options: WriterOptions;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** @throws AlreadyExists, Invalid, Forbidden (namespace going away), NotFound (no such namespace). */
  async create(context: WriteContext, body: StoredObject): Promise<StoredObject> {
    const { clock, random, newUid } = this.#options;
    const prepared = prepareCreate(context, body, { nowMs: clock.nowMs(), random, newUid });
    const address = { ...addressOf(context), name: prepared.metadata.name };
    const object = this.#admit(context, prepared);
    const tracked = trackUpdate(undefined, object, this.#manager(context));
    return this.#write(context, address, (current) => {
      if (current !== undefined) throw alreadyExists(context.resource, address.name);
      return tracked;
    });
  }

  /** Replaces the object, or its status. @throws Conflict when `metadata.resourceVersion` is set and not the newest. */
  async update(context: WriteContext, body: StoredObject): Promise<StoredObject> {
    return this.#write(context, addressOf(context), (current) => {
      if (current === undefined) throw notFound(context);
      return this.#replace(context, current, body);
    });
  }

  /** Patches with a function of the newest object; conflicts cannot arise unless the patch names a resourceVersion. */
  async patch(context: WriteContext, change: (current: StoredObject) => StoredObject): Promise<StoredObject> {
    return this.#write(context, addressOf(context), (current) => {
      if (current === undefined) throw notFound(context);
      return this.#replace(context, current, change(current));
    });
  }

  /**
   * Server-side apply: creates the object when there is none. @throws Conflict as `applyObject`, and when a uid or
   * resourceVersion is named and is not the stored one.
   */
  async apply(context: WriteContext, applied: StoredObject, force: boolean): Promise<StoredObject> {
    const { clock, random, newUid } = this.#options;
    checkIdentity(context, applied);
    return this.#write(context, addressOf(context), (current) => {
      if (current === undefined && context.subresource !== undefined) throw notFound(context);
      checkPreconditions(context, current, applied);
      const basis =
        current ??
        prepareCreate(context, { ...bare(applied), spec: undefined }, { nowMs: clock.nowMs(), random, newUid });
      const mine = appliedPart(context, withoutServerFields(applied));
      const merged = applyObject(basis, mine, { ...this.#manager(context), force });
      if (current === undefined) return this.#admit(context, merged);
      const kept = this.#keepServerFields(context, current, merged);
      const next = nextGeneration(current, this.#admit(context, kept, current));
      return isChanged(current, next) ? finishIfReleased(next) : current;
    });
  }

  /** A change that the server itself makes (finalizers, deletion, binding): no admission, no manager. */
  async amend(
    address: Address,
    change: (current: StoredObject) => StoredObject | undefined,
  ): Promise<StoredObject | undefined> {
    return this.#options.store.write(address, (current) => {
      if (current === undefined) return undefined;
      const next = change(current);
      return next === undefined || next === current ? next : finishIfReleased(next);
    });
  }

  #replace(context: WriteContext, current: StoredObject, body: StoredObject): StoredObject | undefined {
    checkTarget(context, current, body);
    const version = body.metadata?.resourceVersion;
    if (version !== undefined && version !== '' && version !== current.metadata.resourceVersion)
      throw conflict(context);
    const kept = this.#keepServerFields(context, current, body);
    const admitted = nextGeneration(current, this.#admit(context, kept, current));
    if (isEqual(admitted, current)) return current;
    const managers = admitted.metadata.managedFields;
    const before = { ...current, metadata: withManagers(current.metadata, managers) };
    return finishIfReleased(trackUpdate(before, admitted, this.#manager(context)));
  }

  /** What a client may not change is taken from the stored object; so is everything outside the subresource. */
  #keepServerFields({ resource, subresource }: WriteContext, current: StoredObject, body: StoredObject): StoredObject {
    const managedFields = findManagers(body) ?? current.metadata.managedFields;
    if (subresource === 'status') {
      return dropUndefined({
        ...current,
        status: body['status'],
        metadata: withManagers(current.metadata, managedFields),
      });
    }
    const {
      uid,
      creationTimestamp,
      deletionTimestamp,
      deletionGracePeriodSeconds,
      generation,
      resourceVersion,
      namespace,
    } = current.metadata;
    const fixed = {
      uid,
      creationTimestamp,
      deletionTimestamp,
      deletionGracePeriodSeconds,
      generation,
      resourceVersion,
      namespace,
    };
    const { apiVersion, kind } = current;
    // why: holes are dropped below
    const metadata = { ...body.metadata, ...fixed, name: current.metadata.name } as ObjectMeta;
    const status = resource.hasStatus ? { status: current['status'] } : {};
    return dropUndefined({
      ...body,
      apiVersion,
      kind,
      metadata: withManagers(metadata, managedFields),
      ...status,
    });
  }

  #admit(context: WriteContext, object: StoredObject, before?: StoredObject): StoredObject {
    const { resource } = context;
    const known = resource.schema === undefined ? object : admitToSchema(context, object);
    const complete = resource.setDefaults?.(known) ?? known;
    const causes = [
      ...checkMetadata(complete.metadata, resource),
      ...(resource.schema === undefined ? [] : validate(resource.schema, complete)),
      ...(resource.check?.(complete, before) ?? []),
    ];
    if (causes.length > 0) throw invalidObject(resource, complete.metadata.name, causes);
    const { admit, store } = this.#options;
    if (admit !== undefined && resource.isCustom && context.subresource === undefined) {
      const refused = admit(complete, before, (name) => store.list(name).items);
      if (refused.length > 0) throw invalidObject(resource, complete.metadata.name, refused);
    }
    context.guard?.(complete, before);
    return complete;
  }

  #manager({ fieldManager, subresource, resource }: WriteContext) {
    return {
      name: fieldManager,
      subresource,
      time: formatTime(this.#options.clock.nowMs()),
      listKeys: resource.listKeys,
    };
  }

  async #write(
    { dryRun, resource, name }: WriteContext,
    address: Address,
    change: (current: StoredObject | undefined) => StoredObject | undefined,
  ): Promise<StoredObject> {
    const { store } = this.#options;
    const written = dryRun ? change(store.get(address)) : await store.write(address, change);
    if (written === undefined)
      throw new StatusError('InternalError', `cannot write ${resourceName(resource)} ${name}: nothing is left of it`);
    return written;
  }
}

function admitToSchema({ resource, fieldValidation, warn }: WriteContext, object: StoredObject): StoredObject {
  const schema = resource.schema ?? {};
  const unknown: string[] = [];
  const { apiVersion, kind, metadata, ...rest } = object;
  const pruned = prune(schema, rest, unknown) as object; // why: an object stays one
  if (unknown.length > 0 && fieldValidation === 'Strict') {
    const fields = unknown.map((field) => `unknown field "${field}"`).join(', ');
    throw new StatusError(
      'BadRequest',
      `${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: strict decoding error: ${fields}`,
    );
  }
  if (fieldValidation === 'Warn') for (const field of unknown) warn(`unknown field "${field}"`);
  const defaulted = applyDefaults(schema, pruned) as object; // why: an object stays one
  return { apiVersion, kind, metadata, ...defaulted };
}

/** An object whose deletion waited for finalizers goes when the last one is gone. */
function finishIfReleased(object: StoredObject): StoredObject | undefined {
  const { deletionTimestamp, finalizers = [], deletionGracePeriodSeconds } = object.metadata;
  const isHeld = finalizers.length > 0 || (deletionGracePeriodSeconds ?? 0) > 0 || object.kind === 'Namespace';
  return deletionTimestamp !== undefined && !isHeld ? undefined : object;
}

/** Compared after defaults are filled in and unknown fields are gone, so that only a real change counts. */
function nextGeneration(current: StoredObject, next: StoredObject): StoredObject {
  const { generation } = current.metadata;
  if (generation === undefined || isEqual(desiredPart(next), desiredPart(current))) return next;
  return { ...next, metadata: { ...next.metadata, generation: generation + 1 } };
}

function checkTarget(context: WriteContext, current: StoredObject, body: StoredObject): void {
  checkIdentity(context, body);
  const { name = context.name, uid = current.metadata.uid } = body.metadata ?? {};
  if (name !== context.name) {
    const message = `the name of the object (${name}) does not match the name on the URL (${context.name})`;
    throw new StatusError('BadRequest', message);
  }
  if (uid === current.metadata.uid || String(uid) === '') return;
  const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid}`;
  throw new StatusError('Conflict', `cannot change ${resourceName(context.resource)} "${name}": ${why}`);
}

/** The managers that a client gives back, as one does who moves fields between them; undefined when odd or none. */
function findManagers({ metadata }: StoredObject): ObjectMeta['managedFields'] {
  const given: unknown = metadata?.managedFields;
  const isEntry = (entry: unknown) =>
    isJsonObject(entry) &&
    typeof entry['manager'] === 'string' &&
    (entry['operation'] === 'Apply' || entry['operation'] === 'Update') &&
    isJsonObject(entry['fieldsV1']);
  const isGood = Array.isArray(given) && given.length > 0 && given.every(isEntry);
  return isGood ? (given as ObjectMeta['managedFields']) : undefined; // why: just checked
}

function checkPreconditions(context: WriteContext, current: StoredObject | undefined, applied: StoredObject): void {
  const { uid, resourceVersion } = applied.metadata;
  const isOther = uid !== undefined && uid !== '' && uid !== current?.metadata.uid;
  const isNewer =
    resourceVersion !== undefined && resourceVersion !== '' && resourceVersion !== current?.metadata.resourceVersion;
  if (isOther || isNewer) throw conflict(context);
}

function withManagers(metadata: ObjectMeta, managedFields: ObjectMeta['managedFields']): ObjectMeta {
  const { managedFields: _managedFields, ...rest } = metadata;
  return managedFields === undefined ? rest : { ...rest, managedFields };
}

function withoutServerFields(applied: StoredObject): StoredObject {
  const { managedFields: _managedFields, ...metadata } = applied.metadata;
  return { ...applied, metadata };
}

/** What an applier may own through this door: all but the status, or through the subresource the status alone. */
function appliedPart({ resource, subresource }: WriteContext, applied: StoredObject): StoredObject {
  const { status, ...rest } = applied;
  if (subresource === 'status') return { ...bare(applied), ...(status !== undefined && { status }) };
  return resource.hasStatus ? (rest as StoredObject) : applied; // why: the status is no part of what makes an object
}

function bare({ apiVersion, kind, metadata }: StoredObject): StoredObject {
  return {
    apiVersion,
    kind,
    metadata: { name: metadata.name, ...(metadata.namespace && { namespace: metadata.namespace }) },
  };
}

function desiredPart({ metadata: _metadata, status: _status, ...rest }: StoredObject): unknown {
  return rest;
}

function dropUndefined(object: StoredObject): StoredObject {
  const metadata = Object.fromEntries(Object.entries(object.metadata).filter(([, value]) => value !== undefined));
  const rest = Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
  return { ...rest, metadata } as unknown as StoredObject; // why: the same object without holes
}

function addressOf({ resource, namespace, name }: WriteContext): Address {
  return { resource: resourceName(resource), namespace, name };
}

/** `pods "a" not found`, as Kubernetes says it. */
export function notFound({ resource, name }: Pick<WriteContext, 'resource' | 'name'>): StatusError {
  const details = { group: resource.group, kind: resource.plural, name };
  return new StatusError('NotFound', `${resourceName(resource)} "${name}" not found`, { details });
}

function alreadyExists(resource: Resource, name: string): StatusError {
  const details = { group: resource.group, kind: resource.plural, name };
  return new StatusError('AlreadyExists', `${resourceName(resource)} "${name}" already exists`, { details });
}

/** The optimistic lock's refusal, in the words that clients look for. */
export function conflict({ resource, name }: Pick<WriteContext, 'resource' | 'name'>): StatusError {
  const details = { group: resource.group, kind: resource.plural, name };
  const message = `Operation cannot be fulfilled on ${resourceName(resource)} "${name}": the object has been modified; please apply your changes to the latest version and try again`;
  return new StatusError('Conflict', message, { details });
}

function invalidObject({ group, kind }: Resource, name: string, causes: readonly FieldCause[]): StatusError {
  const texts = causes.map(({ field, message }) => `${field}: ${message}`);
  const why = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  const subject = group === '' ? kind : `${kind}.${group}`;
  return new StatusError('Invalid', `${subject} "${name}" is invalid: ${why}`, {
    details: { group, kind, name, causes },
  });
}

/** True for any JSON object with metadata; what a body must be at least. */
export function isObjectLike(value: unknown): value is StoredObject {
  return isJsonObject(value) && (value['metadata'] === undefined || isJsonObject(value['metadata']));
}
