/** Which names and values MLflow accepts. Pure; the rules are mlflow/utils/validation.py's. */
import { posix } from 'node:path';
import { StatusError } from '../kube/status-error.ts';
import { ALIAS_LENGTH_MAX, EXPERIMENT_NAME_LENGTH_MAX, KEY_LENGTH_MAX, MODEL_NAME_LENGTH_MAX } from './limits.ts';

const KEY = /^[/\w.\- :\p{L}\p{N}]*$/u;

/** @throws Invalid when `key` cannot name a metric, parameter or tag; `field` is what the request calls it, `noun` people. */
export function checkKeyName(key: string, field: string, noun = field): void {
  const said = `Invalid value ${JSON.stringify(key)} for parameter '${field}' supplied`;
  if (!KEY.test(key)) {
    const allowed = 'alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/)';
    throw new StatusError('Invalid', `${said}: Names may only contain ${allowed}.`);
  }
  if (!isUniquePath(key)) {
    throw new StatusError('Invalid', `${said}: ${describePath(key)}`);
  }
  checkLength(key, noun, KEY_LENGTH_MAX);
}

/** @throws Invalid when `value` has more than `lengthMax` characters. */
export function checkLength(value: string, field: string, lengthMax: number): void {
  if (value.length <= lengthMax) return;
  throw new StatusError('Invalid', `'${field}' exceeds the maximum length of ${lengthMax} characters`);
}

/** The first `lengthMax` characters, and no half of one: a database would keep another text than was compared. */
export function cutText(value: string, lengthMax: number): string {
  return value.slice(0, lengthMax).toWellFormed();
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
  checkLength(name, 'name', MODEL_NAME_LENGTH_MAX);
}

/** @throws Invalid for a name that a path or a URI could not carry. */
export function checkLoggedModelName(name: string): void {
  if (!/[/:.%"']/.test(name)) return;
  const rule = `Model name must be a non-empty string and cannot contain the following characters: ('/', ':', '.', '%', '"', "'")`;
  throw new StatusError('Invalid', `Invalid model name ('${name}') provided. ${rule}`);
}

/** @throws Invalid for a name that could be taken for a version. */
export function checkAlias(alias: string): void {
  if (alias === '' || !/^[\w-]*$/.test(alias)) {
    const rule = 'Names may only contain alphanumerics, underscores (_), and dashes (-).';
    throw new StatusError('Invalid', `Invalid alias name: '${alias}'. ${rule}`);
  }
  if (/^latest$/i.test(alias)) {
    throw new StatusError('Invalid', "'latest' alias name (case insensitive) is reserved.");
  }
  if (/^v\d+$/i.test(alias)) throw new StatusError('Invalid', `Version alias name '${alias}' is reserved.`);
  checkLength(alias, 'alias', ALIAS_LENGTH_MAX);
}

function describePath(name: string): string {
  const why =
    'Names may be treated as files in certain cases, and must not resolve to other names when treated as such.';
  return `${why} This name would resolve to '${posix.normalize(name).replace(/(?<=.)\/$/, '')}'`;
}

/** Names may become paths of files: `a/../b` or `a//b` would be another's. */
function isUniquePath(name: string): boolean {
  if (name.startsWith('/') || name === '') return false;
  return name.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}
