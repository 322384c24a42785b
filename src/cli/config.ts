/**
 * Everything that can be configured, read once: flags, then environment, then athanor.yaml, then defaults. The only
 * reader of all of them.
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';
import type { BlobAccess } from '../blobs/s3-location.ts';
import { StatusError } from '../kube/status-error.ts';
import { findBlobAccess, withRegion } from './blob-access.ts';

const Port = z.coerce.number().int().min(0).max(65535);

const FileConfig = z.strictObject({
  kubernetesPort: Port.optional(),
  trackingPort: Port.optional(),
  gatewayPort: Port.optional(),
  databaseUrl: z.string().optional(),
  blobsUrl: z.string().optional(),
  nodeName: z.string().optional(),
  /** Amounts of devices the node says it has, such as nvidia.com/gpu. */
  devices: z.record(z.string(), z.number().int().min(0)).optional(),
  /** Accelerators that the node only says it has, for trying out how work is queued and shared. */
  accelerators: z
    .array(
      z.strictObject({
        class: z.string().default('nvidia'),
        count: z.number().int().min(1).max(64).default(1),
        model: z.string().default(''),
        memoryMiB: z.number().int().min(0).default(0),
      }),
    )
    .optional(),
  /** Images that the node knows, beside athanor and python: name to command. */
  images: z.record(z.string(), z.object({ command: z.array(z.string()) })).optional(),
});

export type FileConfig = z.infer<typeof FileConfig>;

export interface Config {
  /** Absolute folder that holds everything the embedded default writes. */
  readonly home: string;
  readonly kubernetesPort: number;
  readonly trackingPort: number;
  readonly gatewayPort: number;
  /** PostgreSQL; undefined keeps rows in SQLite under the home. */
  readonly databaseUrl: string | undefined;
  readonly blobsUrl: string;
  /** Who asks the blob store, when it is an S3-compatible one. */
  readonly blobsAccess: BlobAccess | undefined;
  readonly nodeName: string;
  readonly devices: Readonly<Record<string, number>>;
  readonly accelerators: NonNullable<FileConfig['accelerators']>;
  readonly images: NonNullable<FileConfig['images']>;
}

/** What the command line may say; undefined where it does not. */
export interface ConfigFlags {
  readonly home?: string | undefined;
  readonly kubernetesPort?: string | undefined;
  readonly trackingPort?: string | undefined;
  readonly gatewayPort?: string | undefined;
}

const DEFAULT_PORTS = { kubernetesPort: 7443, trackingPort: 7500, gatewayPort: 7080 } as const;

/** @throws BadRequest that names the file, variable or flag that is wrong. */
export function readConfig(flags: ConfigFlags, env: NodeJS.ProcessEnv): Config {
  const home = resolve(flags.home ?? env['ATHANOR_HOME'] ?? join(homedir(), '.athanor'));
  const file = readFile(join(home, 'athanor.yaml'));
  const port = (name: keyof typeof DEFAULT_PORTS, variable: string) =>
    parsePort(flags[name] ?? env[variable], variable) ?? file[name] ?? DEFAULT_PORTS[name];
  const blobsUrl = withRegion(env['BLOBS_URL'] || file.blobsUrl || pathToFileURL(join(home, 'blobs')).href, env);
  return {
    home,
    kubernetesPort: port('kubernetesPort', 'ATHANOR_KUBERNETES_PORT'),
    trackingPort: port('trackingPort', 'ATHANOR_TRACKING_PORT'),
    gatewayPort: port('gatewayPort', 'ATHANOR_GATEWAY_PORT'),
    databaseUrl: env['DATABASE_URL'] || file.databaseUrl,
    blobsUrl,
    blobsAccess: blobsUrl.startsWith('s3:') ? findBlobAccess(env) : undefined,
    nodeName: file.nodeName ?? 'laptop',
    devices: file.devices ?? {},
    accelerators: file.accelerators ?? [],
    images: file.images ?? {},
  };
}

function parsePort(text: string | undefined, name: string): number | undefined {
  if (text === undefined || text === '') return undefined;
  const parsed = Port.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new StatusError('BadRequest', `cannot use port '${text}' (${name}): it is not a number from 0 to 65535`);
}

function readFile(path: string): FileConfig {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    // why: fs errors carry a code; the file is optional
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
  const parsed = FileConfig.safeParse(parse(text) ?? {});
  if (parsed.success) return parsed.data;
  throw new StatusError('BadRequest', `cannot read ${path}: ${z.prettifyError(parsed.error)}`);
}

/** Files and folders of a home. */
export function pathsOf(home: string) {
  return {
    kubeconfig: join(home, 'kubeconfig'),
    lock: join(home, 'lock.db'),
    run: join(home, 'run.json'),
    log: join(home, 'logs', 'athanor.log'),
    pki: join(home, 'pki'),
    cluster: join(home, 'cluster.db'),
    rows: join(home, 'rows.db'),
    node: join(home, 'node'),
    cache: join(home, 'cache'),
  } as const;
}
