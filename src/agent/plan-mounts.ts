/**
 * Plans a container's private root as lines of a shell script: a tmpfs of bind mounts, so that any path can be a
 * mount path. Runs nothing.
 */
import { StatusError } from '../kube/status-error.ts';
import { LINKS_MAX } from './limits.ts';
import { shellQuote } from './shell-quote.ts';

export interface FolderEntry {
  readonly name: string;
  readonly type: 'folder' | 'file' | 'link';
  /** Where a link points. */
  readonly target?: string;
}

/** The host's folder, or undefined where there is none that can be read. */
export type ListFolder = (path: string) => readonly FolderEntry[] | undefined;

export interface Mount {
  /** What the container sees, absolute. */
  readonly target: string;
  /** What is there, a path of the host. */
  readonly source: string;
  readonly type: 'folder' | 'file';
  readonly readOnly: boolean;
}

export interface MountsRequest {
  readonly mounts: readonly Mount[];
  /** Host folders that the container shall find empty. */
  readonly hidden: readonly string[];
  readonly list: ListFolder;
}

interface Tree {
  readonly lines: string[];
  readonly list: ListFolder;
  /** Folders that are ours (tmpfs), with what lies in them. */
  readonly covered: Map<string, Map<string, FolderEntry>>;
  /** Targets of mounts already made. */
  readonly mounted: string[];
}

/** Disks, terminals and other devices that no container needs; each would cost a mount. */
const SKIPPED_DEVICES =
  /^(tty.+|vcs.*|loop.*|ram\d*|hvc.*|port|mem|kmsg|sd.*|vd.*|nvme.*|xvd.*|dm-.*|initctl|log|termination-log)$/;
const SKIPPED_AT_ROOT: ReadonlySet<string> = new Set(['proc', 'lost+found']);

/** Script lines that build the root at `$R`, an empty folder. The functions they call are in `MOUNT_FUNCTIONS`. */
export function planMounts({ mounts, hidden, list }: MountsRequest): string[] {
  const tree: Tree = { lines: [], list, covered: new Map(), mounted: [] };
  cover(tree, '/');
  tree.lines.push('own_proc');
  for (const path of hidden) hide(tree, path);
  const placed = [...mounts].sort((a, b) => a.target.split('/').length - b.target.split('/').length);
  const targets = placed.map((mount) => ({ mount, target: place(tree, mount) }));
  for (const { mount, target } of targets) {
    if (mount.readOnly) tree.lines.push(`seal ${shellQuote(target)}`);
  }
  return tree.lines;
}

/** The shell functions behind the lines of `planMounts`. */
export const MOUNT_FUNCTIONS = `cover() { mount -t tmpfs -o mode=0755,size=64m tmpfs "$R$1"; }
folder() { mkdir "$R$1"; mount --rbind "$1" "$R$1" || mount -t tmpfs tmpfs "$R$1"; }
file() { : > "$R$1"; mount --bind "$1" "$R$1"; }
link() { ln -s "$2" "$R$1"; }
own_proc() { mkdir "$R/proc"; mount -t proc -o nosuid,nodev,noexec proc "$R/proc"; }
bind() { mount --rbind "$1" "$R$2"; }
seal() { mount -o remount,bind,ro "$R$1"; }`;

/** Replaces the folder by a tmpfs that holds a bind mount of each of its entries. */
function cover(tree: Tree, path: string): Map<string, FolderEntry> {
  const entries = (tree.list(path) ?? []).filter(({ name }) => isWanted(path, name));
  tree.lines.push(`cover ${shellQuote(path)}`);
  for (const { name, type, target } of entries) {
    const child = shellQuote(join(path, name));
    tree.lines.push(type === 'link' ? `link ${child} ${shellQuote(target ?? '')}` : `${type} ${child}`);
  }
  const own = new Map(entries.map((entry) => [entry.name, entry]));
  if (path === '/') own.set('proc', { name: 'proc', type: 'folder' });
  tree.covered.set(path, own);
  return own;
}

function isWanted(path: string, name: string): boolean {
  if (path === '/') return !SKIPPED_AT_ROOT.has(name);
  return path !== '/dev' || !SKIPPED_DEVICES.test(name);
}

function hide(tree: Tree, path: string): void {
  const target = walk(tree, path, 'find');
  if (target === undefined) return;
  tree.lines.push(`cover ${shellQuote(target)}`);
  tree.covered.set(target, new Map());
}

/** Makes the mount's target exist and mounts it there; returns the target with links resolved. */
function place(tree: Tree, { target, source, type }: Mount): string {
  const parent = walk(tree, target.slice(0, target.lastIndexOf('/')), 'make') ?? '/';
  const path = makeEntry(tree, { folder: parent, name: target.slice(target.lastIndexOf('/') + 1), type });
  tree.lines.push(`bind ${shellQuote(source)} ${shellQuote(path)}`);
  tree.mounted.push(path);
  return path;
}

interface Step {
  readonly folder: string;
  readonly name: string;
  readonly type: 'folder' | 'file';
}

/** The resolved path; with `make` missing folders are made, with `find` they give undefined. */
function walk(tree: Tree, path: string, mode: 'make' | 'find'): string | undefined {
  let current = '/';
  let rest = split(path);
  for (let links = 0; rest.length > 0; ) {
    const [name = '', ...after] = rest;
    const entry = findEntry(tree, current, name);
    if (entry?.type === 'link') {
      if (++links > LINKS_MAX) throw new StatusError('Invalid', `cannot mount at ${path}: it is a circle of links`);
      const target = entry.target ?? '';
      if (target.startsWith('/')) current = '/';
      rest = [...split(target), ...after];
    } else if (name === '..') {
      current = current.slice(0, current.lastIndexOf('/')) || '/';
      rest = after;
    } else {
      if (entry === undefined && mode === 'find') return undefined;
      current = makeEntry(tree, { folder: current, name, type: 'folder' });
      rest = after;
    }
  }
  return current;
}

/** The entry's path, created when it is missing. @throws Invalid when a file stands where a folder must. */
function makeEntry(tree: Tree, { folder, name, type }: Step): string {
  const path = join(folder, name);
  const entry = findEntry(tree, folder, name);
  if (entry?.type === 'link') return makeLinked(tree, path, type);
  if (isMounted(tree, folder)) {
    tree.lines.push(type === 'folder' ? `mkdir -p "$R"${shellQuote(path)}` : `: >> "$R"${shellQuote(path)}`);
    return path;
  }
  if (entry !== undefined) {
    if (entry.type === type) return path;
    throw new StatusError(
      'Invalid',
      `cannot mount a ${type} at ${path}: there is a ${entry.type}, choose another mountPath`,
    );
  }
  const own = tree.covered.get(folder) ?? cover(tree, folder);
  own.set(name, { name, type });
  tree.lines.push(type === 'folder' ? `mkdir "$R"${shellQuote(path)}` : `: > "$R"${shellQuote(path)}`);
  if (type === 'folder') tree.covered.set(path, new Map());
  return path;
}

/** The last component is a link: what it points at is the mount point. */
function makeLinked(tree: Tree, path: string, type: 'folder' | 'file'): string {
  const resolved = walk(tree, path, type === 'folder' ? 'make' : 'find');
  if (resolved !== undefined) return resolved;
  throw new StatusError('Invalid', `cannot mount a file at ${path}: it is a link that leads nowhere`);
}

function findEntry(tree: Tree, folder: string, name: string): FolderEntry | undefined {
  const own = tree.covered.get(folder);
  if (own !== undefined) return own.get(name);
  if (isMounted(tree, folder)) return { name, type: 'folder' };
  return tree.list(folder)?.find((entry) => entry.name === name);
}

function isMounted(tree: Tree, folder: string): boolean {
  return tree.mounted.some((target) => folder === target || folder.startsWith(`${target}/`));
}

function split(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function join(folder: string, name: string): string {
  return folder === '/' ? `/${name}` : `${folder}/${name}`;
}
