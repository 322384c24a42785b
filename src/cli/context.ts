/** What every command is given: the configuration, where to print, and a way to the cluster. */
import { createClient } from '../client/client.ts';
import type { ApiClient } from '../client/types.ts';
import { type Config, pathsOf, readConfig } from './config.ts';
import { readKubeconfig } from './kubeconfig.ts';

export interface CommandContext {
  readonly config: Config;
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

/** Global flags of every command. */
export interface GlobalFlags {
  readonly home?: string;
}

/** @throws BadRequest when the configuration does not parse. */
export function createContext(flags: GlobalFlags): CommandContext {
  return { config: readConfig(flags, process.env), env: process.env, stdout: process.stdout, stderr: process.stderr };
}

/** Runs `work` with a client of the cluster that ATHANOR_KUBECONFIG names, or else the home's own. */
export async function withClient<T>(
  { config, env }: CommandContext,
  work: (client: ApiClient) => Promise<T>,
): Promise<T> {
  const client = createClient(
    readKubeconfig(env['ATHANOR_KUBECONFIG'] || pathsOf(config.home).kubeconfig, 'athanor-cli'),
  );
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}
