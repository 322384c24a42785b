/** Kubeconfig files: the one `up` writes, and reading any other to reach a cluster. */
import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { parse, stringify } from 'yaml';
import { isJsonObject } from '../base/json.ts';
import type { ClientOptions } from '../client/client.ts';
import { StatusError } from '../kube/status-error.ts';

export interface KubeconfigContent {
  readonly url: string;
  readonly caPem: string;
  readonly token: string;
}

/** Mode 0600: it holds the owner's token. */
export async function writeKubeconfig(path: string, { url, caPem, token }: KubeconfigContent): Promise<void> {
  const content = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'athanor',
    preferences: {},
    clusters: [
      {
        name: 'athanor',
        cluster: { server: url, 'certificate-authority-data': Buffer.from(caPem).toString('base64') },
      },
    ],
    users: [{ name: 'owner', user: { token } }],
    contexts: [{ name: 'athanor', context: { cluster: 'athanor', user: 'owner', namespace: 'default' } }],
  };
  await writeFile(`${path}.new`, stringify(content), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/**
 * The current context of a kubeconfig with a bearer token. @throws BadRequest when it is of another make;
 * ServiceUnavailable when there is none.
 */
export function readKubeconfig(path: string, userAgent: string): ClientOptions {
  let content: unknown;
  try {
    content = parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new StatusError(
      'ServiceUnavailable',
      `cannot reach Athanor: there is no ${path}, start it with 'athanor up'`,
      { cause },
    );
  }
  const context = pick(content, 'contexts', isJsonObject(content) ? content['current-context'] : undefined)?.[
    'context'
  ];
  const cluster = isJsonObject(context) ? pick(content, 'clusters', context['cluster'])?.['cluster'] : undefined;
  const user = isJsonObject(context) ? pick(content, 'users', context['user'])?.['user'] : undefined;
  if (
    !isJsonObject(cluster) ||
    typeof cluster['server'] !== 'string' ||
    !isJsonObject(user) ||
    typeof user['token'] !== 'string'
  ) {
    throw new StatusError('BadRequest', `cannot use ${path}: its current context has no server with a bearer token`);
  }
  const ca = cluster['certificate-authority-data'];
  return {
    url: cluster['server'],
    token: user['token'],
    userAgent,
    caPem: typeof ca === 'string' ? Buffer.from(ca, 'base64').toString() : undefined,
  };
}

function pick(content: unknown, list: string, name: unknown): Record<string, unknown> | undefined {
  const entries = isJsonObject(content) ? content[list] : undefined;
  const found: unknown = Array.isArray(entries)
    ? entries.find((entry) => isJsonObject(entry) && entry['name'] === name)
    : undefined;
  return isJsonObject(found) ? found : undefined;
}
