/** Who one is at a registry: variables of the environment first, then what `docker login` and `oras login` keep. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isJsonObject } from '../base/json.ts';
import { StatusError } from '../kube/status-error.ts';
import { ignoreMissingFile } from './missing-file.ts';

/** A user with a password, or a token alone. */
export type OciCredentials = { readonly basic: string } | { readonly bearer: string };

/** Undefined: nobody. Helpers of Docker's are not asked. @throws Invalid when the file is no JSON */
export async function findCredentials(env: NodeJS.ProcessEnv, host: string): Promise<OciCredentials | undefined> {
  const { ATHANOR_REGISTRY_TOKEN: token, ATHANOR_REGISTRY_USER: user, ATHANOR_REGISTRY_PASSWORD: password } = env;
  if (token) return { bearer: token };
  if (user && password) return { basic: Buffer.from(`${user}:${password}`).toString('base64') };
  const path = join(env['DOCKER_CONFIG'] ?? join(homedir(), '.docker'), 'config.json');
  const text = await ignoreMissingFile(readFile(path, 'utf8'));
  const auths = text === undefined ? undefined : parse(path, text)['auths'];
  if (!isJsonObject(auths)) return undefined;
  const names = host === 'docker.io' ? ['https://index.docker.io/v1/', host] : [host, `https://${host}`];
  const found = names.map((name) => auths[name]).find(isJsonObject);
  const known = (key: string) => (typeof found?.[key] === 'string' && found[key] !== '' ? found[key] : undefined);
  const registryToken = known('registrytoken');
  if (registryToken !== undefined) return { bearer: registryToken };
  const auth = known('auth');
  if (auth !== undefined) return { basic: auth };
  const [name, secret] = [known('username'), known('password')];
  if (name === undefined || secret === undefined) return undefined;
  return { basic: Buffer.from(`${name}:${secret}`).toString('base64') };
}

function parse(path: string, text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (isJsonObject(value)) return value;
  } catch (cause) {
    throw new StatusError('Invalid', `cannot read ${path}: it is not JSON`, { cause });
  }
  throw new StatusError('Invalid', `cannot read ${path}: it is no JSON object`);
}
