/** What is wrong with an object's metadata. Source: apimachinery pkg/api/validation, pkg/util/validation. */
import { isJsonObject } from '../base/json.ts';
import type { ObjectMeta } from '../kube/object.ts';
import type { FieldCause } from '../kube/status-error.ts';
import { invalidCause } from '../kube/structural.ts';
import type { Resource } from './resource.ts';

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const SUBDOMAIN_RULE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', " +
  "and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is " +
  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const NAME_LENGTH_MAX = 253;
const ANNOTATIONS_BYTES_MAX = 256 * 1024;

/** RBAC names may be any path segment (`system:node`); all others are DNS subdomains. */
export function checkMetadata(metadata: ObjectMeta, resource: Resource): readonly FieldCause[] {
  const shapeCauses = checkShapes(metadata);
  if (shapeCauses.length > 0) return shapeCauses;
  const { name, labels = {}, annotations = {} } = metadata;
  const isFree = resource.group === 'rbac.authorization.k8s.io';
  const isGood = isFree ? !/[/%]/.test(name) && name !== '.' && name !== '..' : SUBDOMAIN.test(name);
  const causes: FieldCause[] =
    isGood && name.length <= NAME_LENGTH_MAX ? [] : [invalidCause('metadata.name', name, SUBDOMAIN_RULE)];
  for (const [key, value] of Object.entries(labels)) {
    if (!QUALIFIED.test(key)) causes.push(invalidCause('metadata.labels', key, 'a label key must be a qualified name'));
    if (!LABEL_VALUE.test(value)) causes.push(invalidCause('metadata.labels', value, LABEL_RULE));
  }
  const bytes = Object.entries(annotations).reduce((sum, [key, value]) => sum + key.length + String(value).length, 0);
  if (bytes > ANNOTATIONS_BYTES_MAX) {
    causes.push({
      reason: 'FieldValueTooLong',
      message: `Too long: may not be more than ${ANNOTATIONS_BYTES_MAX} bytes`,
      field: 'metadata.annotations',
    });
  }
  return causes;
}

/** Everything after this relies on the shapes: a list that is none would only be found once it is on disk. */
function checkShapes(metadata: ObjectMeta): readonly FieldCause[] {
  const { name, labels = {}, annotations = {}, finalizers = [], ownerReferences = [] } = metadata;
  const isText = (value: unknown) => typeof value === 'string';
  const areTexts = (value: unknown) => isJsonObject(value) && Object.values(value).every(isText);
  const bad = (field: string, value: unknown, want: string) =>
    invalidCause(`metadata.${field}`, value, `must be ${want}`);
  const causes: FieldCause[] = [];
  if (!isText(name)) causes.push(bad('name', name, 'a string'));
  if (!areTexts(labels)) causes.push(bad('labels', labels, 'a map of strings'));
  if (!areTexts(annotations)) causes.push(bad('annotations', annotations, 'a map of strings'));
  if (!Array.isArray(finalizers) || !finalizers.every(isText))
    causes.push(bad('finalizers', finalizers, 'a list of strings'));
  if (!Array.isArray(ownerReferences)) causes.push(bad('ownerReferences', ownerReferences, 'a list'));
  else causes.push(...ownerReferences.flatMap(checkOwner), ...checkControllers(ownerReferences));
  return causes;
}

function checkControllers(owners: readonly unknown[]): readonly FieldCause[] {
  const controllers = owners.filter((owner) => isJsonObject(owner) && owner['controller'] === true);
  if (controllers.length <= 1) return [];
  const rule = 'Only one reference can have Controller set to true';
  return [invalidCause('metadata.ownerReferences', controllers, rule)];
}

function checkOwner(owner: unknown, index: number): readonly FieldCause[] {
  const given = isJsonObject(owner) ? owner : {};
  return ['apiVersion', 'kind', 'name', 'uid']
    .filter((field) => typeof given[field] !== 'string' || given[field] === '')
    .map((field) => ({
      reason: 'FieldValueRequired',
      message: 'Required value',
      field: `metadata.ownerReferences[${index}].${field}`,
    }));
}

const LABEL_RULE =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
