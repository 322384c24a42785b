/** Gathers the files of config map, secret and projected volumes from the API. Writes none. */
import type { ApiClient } from '../client/types.ts';
import type { ConfigMap, KeyToPath, Pod, Secret, Volume, VolumeProjection } from '../kube/pod.ts';
import { isStatusError, StatusError } from '../kube/status-error.ts';
import { WELL_KNOWN } from '../kube/well-known.ts';
import type { Payload, PayloadFile } from './atomic-folder.ts';
import { type NodeFacts, readField } from './downward.ts';
import { TOKEN_SECONDS_DEFAULT } from './limits.ts';

export interface PayloadRequest {
  readonly client: ApiClient;
  readonly pod: Pod;
  readonly facts: NodeFacts;
  /** A token for the pod's service account; kept by the caller until it must be renewed. */
  readonly getToken: (request: TokenRequest) => Promise<string>;
}

export interface TokenRequest {
  readonly audience: string | undefined;
  readonly expirationSeconds: number;
}

/**
 * The volume's files, or undefined for a volume that is not made of files. @throws NotFound for a missing object
 * or key.
 */
export async function gatherPayload(volume: Volume, request: PayloadRequest): Promise<Payload | undefined> {
  const { configMap, secret, projected } = volume;
  if (configMap) return gatherSource({ configMap }, configMap.defaultMode ?? 0o644, request);
  if (secret) {
    return gatherSource({ secret: { ...secret, name: secret.secretName } }, secret.defaultMode ?? 0o644, request);
  }
  if (!projected) return undefined;
  const parts = await Promise.all(
    projected.sources.map((source) => gatherSource(source, projected.defaultMode ?? 0o644, request)),
  );
  return new Map(parts.flatMap((part) => [...part]));
}

async function gatherSource(source: VolumeProjection, mode: number, request: PayloadRequest): Promise<Payload> {
  const { pod, facts } = request;
  if (source.configMap) return selectItems(await readConfigMap(request, source.configMap.name), source.configMap, mode);
  if (source.secret) return selectItems(await readSecret(request, source.secret.name), source.secret, mode);
  if (source.serviceAccountToken) {
    const { audience, path, expirationSeconds = TOKEN_SECONDS_DEFAULT } = source.serviceAccountToken;
    return new Map([
      [path, { content: Buffer.from(await request.getToken({ audience, expirationSeconds })), mode: 0o600 }],
    ]);
  }
  const items = source.downwardAPI?.items ?? [];
  const read = (path: string | undefined) => (path === undefined ? '' : readField(pod, path, facts));
  return new Map(items.map(({ path, fieldRef }) => [path, { content: Buffer.from(read(fieldRef?.fieldPath)), mode }]));
}

interface Named {
  readonly name: string;
  readonly items?: readonly KeyToPath[];
  readonly optional?: boolean;
}

function selectItems(
  values: ReadonlyMap<string, Buffer> | undefined,
  { name, items, optional }: Named,
  mode: number,
): Payload {
  if (values === undefined) {
    if (optional === true) return new Map();
    throw new StatusError('NotFound', `"${name}" not found`);
  }
  if (items === undefined) return new Map([...values].map(([key, content]) => [key, { content, mode }]));
  const files = new Map<string, PayloadFile>();
  for (const { key, path, mode: own } of items) {
    const content = values.get(key);
    if (content !== undefined) files.set(path, { content, mode: own ?? mode });
    else if (optional !== true) throw new StatusError('NotFound', `references non-existent key ${key} of "${name}"`);
  }
  return files;
}

type Near = Pick<PayloadRequest, 'client' | 'pod'>;

/** The values of a config map in the pod's namespace, or undefined when it does not exist. */
export async function readConfigMap({ client, pod }: Near, name: string): Promise<Map<string, Buffer> | undefined> {
  const found = await orUndefined(client.get<ConfigMap>(WELL_KNOWN.ConfigMap, name, pod.metadata.namespace));
  if (found === undefined) return undefined;
  const text = Object.entries(found.data ?? {}).map(([key, value]) => [key, Buffer.from(value)] as const);
  const binary = Object.entries(found.binaryData ?? {}).map(
    ([key, value]) => [key, Buffer.from(value, 'base64')] as const,
  );
  return new Map([...text, ...binary]);
}

/** The values of a secret in the pod's namespace, or undefined when it does not exist. */
export async function readSecret({ client, pod }: Near, name: string): Promise<Map<string, Buffer> | undefined> {
  const found = await orUndefined(client.get<Secret>(WELL_KNOWN.Secret, name, pod.metadata.namespace));
  if (found === undefined) return undefined;
  return new Map(Object.entries(found.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64')]));
}

async function orUndefined<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isStatusError(error, 'NotFound')) return undefined;
    throw error;
  }
}
