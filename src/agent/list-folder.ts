/** Reads the host's folders for `planMounts`. */
import { readdirSync, readlinkSync } from 'node:fs';
import type { FolderEntry } from './plan-mounts.ts';

/** The entries of a folder, in order of name; undefined when it is not a folder or may not be read. */
export function listFolder(path: string): FolderEntry[] | undefined {
  try {
    const entries = readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    return entries.map((entry) => {
      if (entry.isDirectory()) return { name: entry.name, type: 'folder' };
      if (!entry.isSymbolicLink()) return { name: entry.name, type: 'file' };
      return { name: entry.name, type: 'link', target: readlinkSync(`${path}/${entry.name}`) };
    });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

const MISSING: ReadonlySet<unknown> = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM']);

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && MISSING.has(error.code);
}
