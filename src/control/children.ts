/** Makes children true: what is missing is created, what differs is applied, what is no longer wanted is deleted. */
import { hashJson, isEqual, isJsonObject } from '../base/json.ts';
import type { ApiClient } from '../client/types.ts';
import {
  controllerRefOf,
  findController,
  type KubeObject,
  type ManagedFields,
  type ResourceRef,
} from '../kube/object.ts';
import { isStatusError, StatusError } from '../kube/status-error.ts';

export interface ChildrenRequest {
  readonly client: ApiClient;
  readonly owner: KubeObject;
  readonly wanted: readonly KubeObject[];
  /** The owner's objects there are now, by kind; their kinds are all that may be pruned. */
  readonly present: ReadonlyMap<string, readonly KubeObject[]>;
  readonly refOf: (kind: string) => ResourceRef;
  readonly fieldManager: string;
  /** Hash of what was last applied, by uid; kept between calls. */
  readonly applied: Map<string, string>;
}

/** Created when missing, never patched: Kubernetes lets nothing of them change. */
const IMMUTABLE_KINDS = new Set(['Pod', 'Job']);

/** @throws AlreadyExists when another owner has an object of that name; whatever it throws, nothing is pruned then. */
export async function applyChildren(request: ChildrenRequest): Promise<void> {
  for (const child of request.wanted) await applyChild(request, child);
  await prune(request);
}

async function applyChild(request: ChildrenRequest, child: KubeObject): Promise<void> {
  const { owner, present, applied } = request;
  const complete = adopt(owner, child);
  const existing = (present.get(child.kind) ?? []).find(({ metadata }) => metadata.name === child.metadata.name);
  if (existing === undefined) return create(request, complete);
  if (IMMUTABLE_KINDS.has(child.kind)) return;
  if (applied.get(existing.metadata.uid ?? '') === hashJson(complete) && covers(existing, complete)) return;
  await apply(request, complete, existing);
}

/** The child in its owner's namespace, with the reference that ties their lives. */
function adopt(owner: KubeObject, child: KubeObject): KubeObject {
  const namespace = owner.metadata.namespace === undefined ? {} : { namespace: owner.metadata.namespace };
  return { ...child, metadata: { ...child.metadata, ...namespace, ownerReferences: [controllerRefOf(owner)] } };
}

/** By POST, which never takes what somebody else has made meanwhile, as apply would. */
async function create(request: ChildrenRequest, child: KubeObject): Promise<void> {
  const { client, refOf, owner, fieldManager, applied } = request;
  const ref = refOf(child.kind);
  const { name, namespace } = child.metadata;
  try {
    const { metadata } = await client.create(ref, child, { fieldManager });
    applied.set(metadata.uid ?? '', hashJson(child));
  } catch (error) {
    if (!isStatusError(error, 'AlreadyExists')) throw error;
    const there = await client.get(ref, name, namespace);
    checkOwned(owner, there);
    if (!IMMUTABLE_KINDS.has(child.kind)) await apply(request, child, there);
  }
}

/** @throws AlreadyExists when the object there has another controller than the owner, or none. */
function checkOwned(owner: KubeObject, there: KubeObject): void {
  if (findController(there)?.uid === owner.metadata.uid) return;
  const { name, namespace } = there.metadata;
  const what = `${there.kind} ${namespace === undefined ? name : `${namespace}/${name}`}`;
  throw new StatusError(
    'AlreadyExists',
    `cannot create ${what}: one that is not owned by ${owner.kind} ${owner.metadata.name} is there, delete or rename it`,
  );
}

/**
 * Applies to the very object that was seen to be the owner's. @throws Conflict when another one bears the name now;
 * Invalid when it has got another controller meanwhile: the API server lets an object have only one.
 */
async function apply(request: ChildrenRequest, child: KubeObject, existing: KubeObject): Promise<void> {
  const { client, refOf, fieldManager, applied } = request;
  const { name, namespace } = child.metadata;
  const { uid = '' } = existing.metadata;
  const ref = refOf(child.kind);
  await ownByApply(request, existing);
  const body = { ...child, metadata: { ...child.metadata, uid } };
  await client.patch(ref, { name, namespace, type: 'apply', body, fieldManager, force: true });
  applied.set(uid, hashJson(child));
}

/** What a POST made ours becomes ours by apply, or no field would ever go. Source: client-go's csaupgrade. */
async function ownByApply({ client, refOf, fieldManager }: ChildrenRequest, existing: KubeObject): Promise<void> {
  const { name, namespace, uid, resourceVersion, managedFields = [] } = existing.metadata;
  const isMine = ({ manager, subresource }: ManagedFields) => manager === fieldManager && subresource === undefined;
  const [mine, ...others] = managedFields.filter(isMine);
  if (mine?.operation !== 'Update' || others.length > 0) return;
  const managers = managedFields.map((entry) => (entry === mine ? { ...entry, operation: 'Apply' } : entry));
  const body = { metadata: { uid, resourceVersion, managedFields: managers } };
  await client.patch(refOf(existing.kind), { name, namespace, type: 'merge', body, fieldManager });
}

/** True when every field of `wanted` is in `existing` with the same value; `existing` may have more. */
function covers(existing: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(existing) &&
      wanted.length <= existing.length &&
      wanted.every((item, index) => covers(existing[index], item))
    );
  }
  if (!isJsonObject(wanted)) return isEqual(existing, wanted);
  return (
    isJsonObject(existing) &&
    Object.entries(wanted).every(([name, value]) => value === undefined || covers(existing[name], value))
  );
}

async function prune({ client, wanted, present, refOf }: ChildrenRequest): Promise<void> {
  for (const [kind, objects] of present) {
    const names = new Set(wanted.filter((child) => child.kind === kind).map(({ metadata }) => metadata.name));
    for (const { metadata } of objects) {
      if (names.has(metadata.name) || metadata.deletionTimestamp !== undefined) continue;
      const { name, namespace, uid = '', resourceVersion } = metadata;
      // why: what has changed may have got another owner; if it has not, its change asks again
      const preconditions = { uid, ...(resourceVersion !== undefined && { resourceVersion }) };
      await client.delete(refOf(kind), name, { namespace, preconditions }).catch(ignoreGone);
    }
  }
}

function ignoreGone(error: unknown): void {
  if (!isStatusError(error, 'NotFound') && !isStatusError(error, 'Conflict')) throw error;
}
