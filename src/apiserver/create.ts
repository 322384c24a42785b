/** What the server adds to a new object: its name, identity and time. */
import type { Random } from '../base/random.ts';
import { randomSuffix } from '../base/random.ts';
import { formatTime } from '../kube/condition.ts';
import { apiVersionOf, type ObjectMeta, type StoredObject } from '../kube/object.ts';
import { StatusError } from '../kube/status-error.ts';
import { resourceName } from './resource.ts';
import type { WriteContext } from './write-context.ts';

export interface Birth {
  readonly nowMs: number;
  readonly random: Random;
  readonly newUid: () => string;
}

/** Kubernetes' limit of a name. */
const NAME_LENGTH_MAX = 253;

/**
 * @throws BadRequest when the body is of another kind, version or namespace than the path; Invalid when it has no name;
 * MethodNotAllowed when its definition is going.
 */
export function prepareCreate(context: WriteContext, body: StoredObject, birth: Birth): StoredObject {
  const { resource, namespace } = context;
  checkIdentity(context, body);
  if (resource.isTerminating === true) {
    const message = 'create not allowed while custom resource definition is terminating';
    throw new StatusError('MethodNotAllowed', `cannot create ${resourceName(resource)}: ${message}`);
  }
  const {
    resourceVersion: _version,
    uid: _uid,
    deletionTimestamp: _deletion,
    deletionGracePeriodSeconds: _grace,
    generation: _generation,
    managedFields: _managers,
    ...given
  } = body.metadata ?? {};
  const { metadata: _metadata, status, ...rest } = body;
  const name = chooseName(context, body.metadata ?? {}, birth.random);
  const metadata: ObjectMeta = {
    ...given,
    name,
    ...(namespace !== '' && { namespace }),
    uid: birth.newUid(),
    creationTimestamp: formatTime(birth.nowMs),
    ...(hasGeneration(context) && { generation: 1 }),
  };
  const keepsStatus = status !== undefined && (!resource.hasStatus || resource.kind === 'Node');
  const object = {
    ...rest,
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    metadata,
    ...(keepsStatus && { status }),
  };
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) => value !== undefined),
  ) as unknown as StoredObject; // why: only holes are gone
}

function hasGeneration({ resource }: WriteContext): boolean {
  return resource.isCustom || resource.kind === 'CustomResourceDefinition';
}

/** @throws BadRequest when the body is not of the kind, version and namespace of the path. */
export function checkIdentity({ resource, namespace }: WriteContext, body: StoredObject): void {
  const want = apiVersionOf(resource);
  if ((body.apiVersion ?? want) !== want || (body.kind ?? resource.kind) !== resource.kind) {
    const is = `${body.apiVersion}, Kind=${body.kind}`;
    throw new StatusError(
      'BadRequest',
      `the object provided is ${is}, this address takes ${want}, Kind=${resource.kind}`,
    );
  }
  const inBody = body.metadata?.namespace;
  if (inBody !== undefined && inBody !== '' && inBody !== namespace) {
    const message = `the namespace of the provided object does not match the namespace sent on the request: "${inBody}", "${namespace}"`;
    throw new StatusError('BadRequest', message);
  }
}

function chooseName({ resource, name: pathName }: WriteContext, metadata: Partial<ObjectMeta>, random: Random): string {
  const { name = pathName, generateName } = metadata;
  if (name !== '') return name;
  if (typeof generateName === 'string' && generateName !== '')
    return generateName.slice(0, NAME_LENGTH_MAX - 5) + randomSuffix(random);
  const causes = [
    {
      reason: 'FieldValueRequired',
      message: 'Required value: name or generateName is required',
      field: 'metadata.name',
    },
  ];
  const message = `${resourceName(resource)} "" is invalid: metadata.name: Required value: name or generateName is required`;
  throw new StatusError('Invalid', message, { details: { group: resource.group, kind: resource.kind, causes } });
}
