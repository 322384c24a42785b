/**
 * What the laptop's node offers its pods: images that stand for programs of this machine, and the few variables they
 * inherit.
 */
import { flushCompileCache, getCompileCacheDir } from 'node:module';
import { availableParallelism, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BundleMap } from '../agent/find-bundle.ts';
import type { NodeCapacity } from '../agent/options.ts';
import type { NodeDevice } from '../kinds/device-class/kind.ts';
import type { Config } from './config.ts';

const PROGRAM_FOLDER = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** The program itself, as its own pods start it. */
export const ATHANOR_PROGRAM = join(PROGRAM_FOLDER, 'bin', 'athanor');

const INHERITED = [
  'PATH',
  'LANG',
  'LC_ALL',
  'TZ',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'PIP_INDEX_URL',
  'PIP_EXTRA_INDEX_URL',
  'PIP_TRUSTED_HOST',
  'PIP_CERT',
  'PIP_CONFIG_FILE',
  'UV_INDEX_URL',
  'UV_DEFAULT_INDEX',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'NODE_EXTRA_CA_CERTS',
  'OPENBLAS_CORETYPE',
  'OPENBLAS_L2_SIZE',
];

/** The images that this node can run as processes. */
export function nodeImages({ images }: Config): BundleMap {
  const compiled = getCompileCacheDir();
  return {
    athanor: {
      command: [ATHANOR_PROGRAM],
      folders: [PROGRAM_FOLDER, ...(compiled === undefined ? [] : [compiled])],
      // Node adds the folder's last part, which names its version and the user, by itself.
      ...(compiled !== undefined && { env: { NODE_COMPILE_CACHE: dirname(compiled) } }),
    },
    python: { command: ['python3'] },
    ...images,
  };
}

/** Nothing of Athanor's own environment reaches a pod but this. */
export function nodeEnv(env: NodeJS.ProcessEnv, apiUrl: string): Readonly<Record<string, string>> {
  const { hostname, port } = new URL(apiUrl);
  const inherited = INHERITED.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]] as const]));
  return { ...Object.fromEntries(inherited), KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port };
}

/**
 * Compiles what pods of the image athanor run and writes it down, so that they, who see the cache read-only, need not.
 * A pod that could write there could choose what the platform runs.
 */
export async function warmPodVerbs(): Promise<void> {
  await Promise.all([
    import('../launcher/prepare-environment.ts'),
    import('../launcher/fetch-tree.ts'),
    import('../launcher/launch.ts'),
    import('../launcher/fetch-model.ts'),
    import('../blobs/open-blob-store.ts'),
    import('../client/client.ts'),
    import('../kinds/training-job/kind.ts'),
  ]);
  flushCompileCache();
}

/** What this machine has, and what the configuration says it has. */
export function nodeCapacity(config: Config): NodeCapacity {
  return {
    cpuMillis: availableParallelism() * 1000,
    memoryBytes: totalmem(),
    extended: config.devices,
    simulated: simulatedDevices(config),
  };
}

/** The accelerators of the configuration, one by one. */
function simulatedDevices({ accelerators }: Config): readonly NodeDevice[] {
  return accelerators.flatMap(({ count, ...one }, list) =>
    Array.from({ length: count }, (_, index) => ({ ...one, id: `simulated-${list}-${index}`, isHealthy: true })),
  );
}
