/**
 * Computes a container's environment from its spec and the config maps and secrets it names. Fetches nothing
 * itself.
 */
import { isJsonObject } from '../base/json.ts';
import { ASSIGNED_DEVICES_ANNOTATION } from '../kinds/device-class/kind.ts';
import type { Container, EnvFromSource, EnvVar, Pod } from '../kube/pod.ts';
import { StatusError } from '../kube/status-error.ts';
import { type NodeFacts, readField, readResource } from './downward.ts';
import { expandVariables } from './expand-variables.ts';

/** Config maps and secrets by `namespace/name`, decoded; a name that is missing does not exist. */
export interface EnvSources {
  configMap(name: string): ReadonlyMap<string, string> | undefined;
  secret(name: string): ReadonlyMap<string, string> | undefined;
}

export interface EnvRequest {
  readonly pod: Pod;
  readonly container: Container;
  readonly facts: NodeFacts;
  readonly sources: EnvSources;
  /** What is there before the spec speaks: PATH, HOME and their like. */
  readonly base: Readonly<Record<string, string>>;
}

/** Names of the config maps and secrets that the container's environment refers to. */
export function listEnvReferences(container: Container): { configMaps: string[]; secrets: string[] } {
  const configMaps = new Set<string>();
  const secrets = new Set<string>();
  for (const { configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef) configMaps.add(configMapRef.name);
    if (secretRef) secrets.add(secretRef.name);
  }
  for (const { valueFrom } of container.env ?? []) {
    if (valueFrom?.configMapKeyRef) configMaps.add(valueFrom.configMapKeyRef.name);
    if (valueFrom?.secretKeyRef) secrets.add(valueFrom.secretKeyRef.name);
  }
  return { configMaps: [...configMaps], secrets: [...secrets] };
}

/** The environment, later entries winning. @throws NotFound when a reference that is not optional has no value. */
export function planEnv(request: EnvRequest): Map<string, string> {
  const env = new Map(Object.entries({ ...request.base, ...readDeviceEnv(request.pod) }));
  for (const source of request.container.envFrom ?? []) {
    for (const [key, value] of readEnvFrom(source, request.sources)) env.set(`${source.prefix ?? ''}${key}`, value);
  }
  for (const variable of request.container.env ?? []) {
    const value = readValue(variable, env, request);
    if (value !== undefined) env.set(variable.name, value);
  }
  return env;
}

/** What the scheduler tells a pod of the devices it was given. */
function readDeviceEnv({ metadata }: Pod): Readonly<Record<string, string>> {
  const text = metadata.annotations?.[ASSIGNED_DEVICES_ANNOTATION];
  if (text === undefined) return {};
  try {
    const assigned: unknown = JSON.parse(text);
    const env = isJsonObject(assigned) && isJsonObject(assigned['env']) ? assigned['env'] : {};
    return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value)]));
  } catch {
    return {}; // why: anybody may write an annotation; one that is no JSON tells nothing
  }
}

function readEnvFrom(source: EnvFromSource, sources: EnvSources): ReadonlyMap<string, string> {
  const { configMapRef, secretRef } = source;
  if (configMapRef) return orMissing(sources.configMap(configMapRef.name), 'configmap', configMapRef);
  if (secretRef) return orMissing(sources.secret(secretRef.name), 'secret', secretRef);
  return new Map();
}

function orMissing(
  values: ReadonlyMap<string, string> | undefined,
  kind: string,
  { name, optional }: { readonly name: string; readonly optional?: boolean },
): ReadonlyMap<string, string> {
  if (values !== undefined) return values;
  if (optional === true) return new Map();
  throw new StatusError('NotFound', `${kind} "${name}" not found`);
}

function readValue(variable: EnvVar, env: ReadonlyMap<string, string>, request: EnvRequest): string | undefined {
  const { valueFrom } = variable;
  if (valueFrom === undefined) return expandVariables(variable.value ?? '', env);
  if (valueFrom.fieldRef) return readField(request.pod, valueFrom.fieldRef.fieldPath, request.facts);
  if (valueFrom.resourceFieldRef) return readResource(request, valueFrom.resourceFieldRef);
  if (valueFrom.configMapKeyRef) {
    const { configMapKeyRef: ref } = valueFrom;
    return readKey(orMissing(request.sources.configMap(ref.name), 'configmap', ref), 'ConfigMap', ref);
  }
  if (valueFrom.secretKeyRef) {
    const { secretKeyRef: ref } = valueFrom;
    return readKey(orMissing(request.sources.secret(ref.name), 'secret', ref), 'Secret', ref);
  }
  throw new StatusError('Invalid', `env ${variable.name} has a valueFrom of a kind that is not known`);
}

function readKey(
  values: ReadonlyMap<string, string>,
  kind: string,
  { name, key, optional }: { readonly name: string; readonly key: string; readonly optional?: boolean },
): string | undefined {
  const value = values.get(key);
  if (value !== undefined || optional === true) return value;
  throw new StatusError('NotFound', `couldn't find key ${key} in ${kind} ${name}`);
}
