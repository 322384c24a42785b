/** Packs a commit of a git repository into the blob store, with the git command line. */
import { rm } from 'node:fs/promises';
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
  const { url, ref, path, work } = options;
  const checkout = join(work, 'checkout');
  await rm(checkout, { recursive: true, force: true });
  await git(options, ['init', '--quiet', checkout]);
  await git(options, ['-C', checkout, 'fetch', '--quiet', '--depth', '1', '--', url, ref]);
  await git(options, ['-C', checkout, 'checkout', '--quiet', 'FETCH_HEAD']);
  const commit = await git(options, ['-C', checkout, 'rev-parse', 'HEAD']);
  const folder = resolve(checkout, path);
  if (folder !== checkout && !folder.startsWith(checkout + sep)) {
    throw new StatusError('Invalid', `cannot pack ${url}: path ${path} leads out of the repository`);
  }
  await rm(join(checkout, '.git'), { recursive: true, force: true });
  return { ...(await importFolder(store, folder)), commit: commit.trim() };
}

async function git({ env, url, ref }: PackGitOptions, args: readonly string[]): Promise<string> {
  const quiet = { ...env, GIT_TERMINAL_PROMPT: '0', GIT_CONFIG_NOSYSTEM: '1' };
  const { code, lastLines } = await runProgram('git', args, { env: quiet });
  if (code === 0) return lastLines;
  throw new StatusError('Invalid', `cannot pack ${url} at ${ref}: git ended with ${code}\n${lastLines}`);
}
