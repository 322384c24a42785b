/** Which names and values MLflow accepts. Pure; the rules are mlflow/utils/validation.py's. */
import { StatusError } from '../kube/status-error.ts';
import { ALIAS_LENGTH_MAX, EXPERIMENT_NAME_LENGTH_MAX, KEY_LENGTH_MAX } from './limits.ts';

const KEY = /^[/\w.\- :\p{L}\p{N}]*$/u;

/** @throws Invalid when `key` cannot name a metric, parameter or tag; `field` is what the request calls it. */
export function checkKeyName(key: string, field: string): void {
  const said = `Invalid value ${JSON.stringify(key)} for parameter '${field}' supplied`;
  if (!KEY.test(key)) {
    const allowed = 'alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/)';
    throw new StatusError('Invalid', `${said}: Names may only contain ${allowed}.`);
  }
  if (!isUniquePath(key)) {
    throw new StatusError('Invalid', `${said}: Names must not resolve to other names when treated as a path.`);
  }
  checkLength(key, field, KEY_LENGTH_MAX);
}

/** @throws Invalid when `value` has more than `lengthMax` characters. */
export function checkLength(value: string, field: string, lengthMax: number): void {
  if (value.length <= lengthMax) return;
  throw new StatusError('Invalid', `'${field}' exceeds the maximum length of ${lengthMax} characters`);
}

/** @throws Invalid for an empty or too long name. */
export function checkExperimentName(name: string): void {
  if (name === '') throw new StatusError('Invalid', "Invalid experiment name: ''");
  checkLength(name, 'name', EXPERIMENT_NAME_LENGTH_MAX);
}

/** @throws Invalid for a name that a `models:/name/version` URI could not carry. */
export function checkModelName(name: string): void {
  if (name.trim() === '') throw new StatusError('Invalid', "Missing value for required parameter 'name'.");
  if (/[/:]/.test(name) || !isUniquePath(name)) {
    throw new StatusError('Invalid', `Invalid model name '${name}'. Names cannot contain '/' or ':'.`);
  }
  checkLength(name, 'name', KEY_LENGTH_MAX);
}

/** @throws Invalid for a name that could be taken for a version. */
export function checkAlias(alias: string): void {
  if (alias === '' || !/^[\w-]*$/.test(alias)) {
    const rule = 'Names may only contain alphanumerics, underscores (_), and dashes (-).';
    throw new StatusError('Invalid', `Invalid alias name: '${alias}'. ${rule}`);
  }
  if (/^(latest|v\d+)$/i.test(alias)) throw new StatusError('Invalid', `Alias name '${alias}' is reserved.`);
  checkLength(alias, 'alias', ALIAS_LENGTH_MAX);
}

/** Names may become paths of files: `a/../b` or `a//b` would be another's. */
function isUniquePath(name: string): boolean {
  if (name.startsWith('/') || name === '') return false;
  return name.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}
