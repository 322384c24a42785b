/** Packs a commit of a git repository into the blob store, with the git command line. */
import { realpath, rm, stat } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import type { BlobStore } from '../blobs/blob-store.ts';
import { StatusError } from '../kube/status-error.ts';
import { importFolder, type TreeResult } from './import-dataset.ts';
import { runProgram } from './run-program.ts';

export interface PackGitOptions {
  readonly url: string;
  readonly ref: string;
  /** Folder of the repository that is packed. */
  readonly path: string;
  /** An empty folder to work in. */
  readonly work: string;
  readonly env: NodeJS.ProcessEnv;
}

/** The folder's digest and the commit it came from. @throws Invalid with git's last lines. */
export async function packGit(
  store: BlobStore,
  options: PackGitOptions,
): Promise<TreeResult & { readonly commit: string }> {
  const { url, ref, work } = options;
  const checkout = join(work, 'checkout');
  await rm(checkout, { recursive: true, force: true });
  await git(options, ['init', '--quiet', checkout]);
  await git(options, ['-C', checkout, 'fetch', '--quiet', '--depth', '1', '--', url, ref]);
  await git(options, ['-C', checkout, 'checkout', '--quiet', 'FETCH_HEAD']);
  const commit = await git(options, ['-C', checkout, 'rev-parse', 'HEAD']);
  const folder = await findFolder(checkout, options);
  await rm(join(checkout, '.git'), { recursive: true, force: true });
  return { ...(await importFolder(store, folder)), commit: commit.trim() };
}

/** The folder, which a link may put elsewhere in the repository but not out of it. */
async function findFolder(checkout: string, { url, ref, path }: PackGitOptions): Promise<string> {
  const lexical = resolve(checkout, path);
  const found = await realpath(lexical).catch(() => lexical); // why: a missing one is told by who reads it
  const root = await realpath(checkout);
  const isInside = [lexical.replace(checkout, root), found.replace(checkout, root)].every(
    (folder) => folder === root || folder.startsWith(root + sep),
  );
  if (!isInside)
    throw new StatusError(
      'Invalid',
      `cannot pack ${hidePassword(url)}: path ${path} leads out of the repository, name a folder in it`,
    );
  if (await isFolder(found)) return found;
  throw new StatusError(
    'Invalid',
    `cannot pack ${hidePassword(url)} at ${ref}: it has no folder ${path}, check the path`,
  );
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** Messages end in statuses, which more people read than may know a password. */
function hidePassword(url: string): string {
  return url.replace(/^(\w+:\/\/)[^/@]*@/, '$1');
}

async function git({ env, url, ref }: PackGitOptions, args: readonly string[]): Promise<string> {
  const quiet = { ...env, GIT_TERMINAL_PROMPT: '0', GIT_CONFIG_NOSYSTEM: '1' };
  const { code, lastLines } = await runProgram('git', args, { env: quiet }).catch((cause: unknown) => {
    throw new StatusError('Invalid', `cannot pack ${hidePassword(url)}: git is not on this node, install it`, {
      cause,
    });
  });
  if (code === 0) return lastLines;
  throw new StatusError(
    'Invalid',
    `cannot pack ${hidePassword(url)} at ${ref}: git ended with ${code}\n${lastLines.replaceAll(url, hidePassword(url))}`,
  );
}
