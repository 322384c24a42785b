/**
 * Who asks an S3-compatible blob store: AWS's usual variables, then the shared file; in pods, variables of our own that
 * a Secret fills. The only reader of all of them.
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { BlobAccess } from '../blobs/s3-location.ts';
import { BLOB_ACCESS_VARIABLES } from '../kinds/fields/blobs.ts';

const PROFILE_DEFAULT = 'default';

/** Undefined when nobody is named: the store is asked as nobody then. */
export function findBlobAccess(env: NodeJS.ProcessEnv): BlobAccess | undefined {
  return toAccess(env) ?? toAccess(readProfile(env));
}

/** The same inside a pod. */
export function findPodBlobAccess(env: NodeJS.ProcessEnv): BlobAccess | undefined {
  const named = Object.entries(BLOB_ACCESS_VARIABLES).map(([usual, ours]) => [usual, env[ours]] as const);
  return toAccess(Object.fromEntries(named));
}

/** What a user's program inherits: the platform's own credentials are not for it. */
export function withoutBlobAccess(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const hidden = new Set<string>(Object.values(BLOB_ACCESS_VARIABLES));
  return Object.fromEntries(Object.entries(env).filter(([name]) => !hidden.has(name)));
}

/** The store's URL with the region that AWS's variables name, when it names none: pods see no such variables. */
export function withRegion(blobsUrl: string, { AWS_REGION, AWS_DEFAULT_REGION }: NodeJS.ProcessEnv): string {
  const region = AWS_REGION || AWS_DEFAULT_REGION;
  if (!blobsUrl.startsWith('s3:') || !region || !URL.canParse(blobsUrl)) return blobsUrl;
  const url = new URL(blobsUrl);
  if (!url.searchParams.has('region')) url.searchParams.set('region', region);
  return url.href;
}

function toAccess(values: Readonly<Record<string, string | undefined>>): BlobAccess | undefined {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN } = values;
  if (!accessKeyId || !secretAccessKey) return undefined;
  return { accessKeyId, secretAccessKey, sessionToken: AWS_SESSION_TOKEN || undefined };
}

/** Values of the profile under the names that the variables have. */
function readProfile(env: NodeJS.ProcessEnv): Readonly<Record<string, string>> {
  const path = env['AWS_SHARED_CREDENTIALS_FILE'] || join(env['HOME'] || homedir(), '.aws', 'credentials');
  const wanted = env['AWS_PROFILE'] || PROFILE_DEFAULT;
  const values: Record<string, string> = {};
  let section = '';
  for (const line of readLines(path)) {
    section = /^\[\s*(.+?)\s*\]/.exec(line)?.[1] ?? section;
    const [, key = '', value = ''] = /^([\w.-]+)\s*=\s*(.*)$/.exec(line) ?? [];
    if (section === wanted && key !== '') values[key.toUpperCase()] = value;
  }
  return values;
}

function readLines(path: string): readonly string[] {
  try {
    const lines = readFileSync(path, 'utf8').split('\n');
    return lines.map((line) => line.trim()).filter((line) => !/^[#;]/.test(line));
  } catch (error) {
    // why: fs errors carry a code; the file is optional
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
