/** Makes children true: what is missing is created, what differs is applied, what is no longer wanted is deleted. */
import { hashJson, isEqual, isJsonObject } from '../base/json.ts';
import type { ApiClient } from '../client/types.ts';
import { controllerRefOf, findController, type KubeObject, type ResourceRef } from '../kube/object.ts';
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

/** @throws AlreadyExists when another owner has an object of that name; then nothing is pruned. */
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
  const hash = hashJson(complete);
  const uid = existing.metadata.uid ?? '';
  if (applied.get(uid) === hash && covers(existing, complete)) return;
  await apply(request, complete);
  applied.set(uid, hash);
}

/** The child in its owner's namespace, with the reference that ties their lives. */
function adopt(owner: KubeObject, child: KubeObject): KubeObject {
  const namespace = owner.metadata.namespace === undefined ? {} : { namespace: owner.metadata.namespace };
  return { ...child, metadata: { ...child.metadata, ...namespace, ownerReferences: [controllerRefOf(owner)] } };
}

async function create(request: ChildrenRequest, child: KubeObject): Promise<void> {
  const { client, refOf, owner } = request;
  const ref = refOf(child.kind);
  const { name, namespace } = child.metadata;
  if (!IMMUTABLE_KINDS.has(child.kind)) {
    // why: apply would take over whatever bears the name
    const there = await client.get(ref, name, namespace).catch(undefinedIfMissing);
    if (there !== undefined) checkOwned(owner, there);
    await apply(request, child);
    return;
  }
  try {
    await client.create(ref, child);
  } catch (error) {
    if (!isStatusError(error, 'AlreadyExists')) throw error;
    checkOwned(owner, await client.get(ref, name, namespace));
  }
}

function undefinedIfMissing(error: unknown): undefined {
  if (!isStatusError(error, 'NotFound')) throw error;
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

async function apply({ client, refOf, fieldManager }: ChildrenRequest, child: KubeObject): Promise<KubeObject> {
  const { name, namespace } = child.metadata;
  return client.patch(refOf(child.kind), { name, namespace, type: 'apply', body: child, fieldManager, force: true });
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
      const { name, namespace, uid = '' } = metadata;
      await client.delete(refOf(kind), name, { namespace, preconditions: { uid } }).catch(ignoreGone);
    }
  }
}

function ignoreGone(error: unknown): void {
  if (!isStatusError(error, 'NotFound') && !isStatusError(error, 'Conflict')) throw error;
}
