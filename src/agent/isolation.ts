/** How containers are kept apart on this machine: namespaces where the kernel gives them, else process groups. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { listFolder } from './list-folder.ts';
import { planMounts } from './plan-mounts.ts';
import { formatRunScript } from './run-script.ts';

export type Isolation =
  | { readonly type: 'namespaces'; readonly isRoot: boolean }
  /** `hasDeathSignal`: a process can be made to die with the agent. */
  | { readonly type: 'groups'; readonly hasDeathSignal: boolean };

/** What the agent's own tools are found by; a container has its own PATH. */
export const TOOLS_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const PROBE_TIMEOUT_MS = 10_000;
const DEATH_SIGNAL = ['setpriv', '--pdeathsig', 'KILL', '--'] as const;

/** Tries a real container in the folder, once, and takes what works. */
export async function probeIsolation(folder: string): Promise<Isolation> {
  const isRoot = process.getuid?.() === 0;
  const namespaces: Isolation = { type: 'namespaces', isRoot };
  if (process.platform === 'linux' && (await canRun(namespaces, folder))) return namespaces;
  const { status } = spawnSync('setpriv', ['--pdeathsig', 'KILL', '--', 'true'], { env: { PATH: TOOLS_PATH } });
  return { type: 'groups', hasDeathSignal: status === 0 };
}

/** The words before a container's command line. A process so started dies with the agent, and all below it too. */
export function launcherWords(isolation: Isolation): string[] {
  if (isolation.type === 'groups') return isolation.hasDeathSignal ? [...DEATH_SIGNAL] : [];
  const user = isolation.isRoot ? [] : ['--user', '--map-root-user'];
  return [...DEATH_SIGNAL, 'unshare', ...user, '--mount', '--uts', '--pid', '--fork', '--kill-child=KILL', '/bin/sh'];
}

/** The words that enter the namespaces of a running process. */
export function entererWords(isolation: Isolation, pid: number): string[] {
  if (isolation.type === 'groups') return [];
  const user = isolation.isRoot ? [] : ['--user', '--preserve-credentials'];
  return ['nsenter', '--target', String(pid), ...user, '--mount', '--uts', '--pid', '--'];
}

async function canRun(isolation: Isolation, folder: string): Promise<boolean> {
  const path = mkdtempSync(`${folder}/probe-`);
  try {
    const mount = { target: '/athanor-probe/folder', source: path, type: 'folder', readOnly: true } as const;
    const script = formatRunScript({
      rootPath: path,
      mountLines: planMounts({ mounts: [mount], hidden: [], list: listFolder }),
      hostName: 'probe',
      workingDir: '/',
      env: new Map([['PATH', TOOLS_PATH]]),
      command: ['test', '-d', '/athanor-probe/folder'],
    });
    const file = `${path}.sh`;
    writeFileSync(file, script);
    const [tool = '', ...words] = launcherWords(isolation);
    const line = 'exec 3>&1; echo go | exec "$@"';
    const options = { env: { PATH: TOOLS_PATH }, timeout: PROBE_TIMEOUT_MS };
    await promisify(execFile)('/bin/sh', ['-c', line, 'sh', tool, ...words, file], options);
    return true;
  } catch {
    return false; // the answer of the probe: namespaces cannot be had here
  } finally {
    rmSync(path, { recursive: true, force: true });
    rmSync(`${path}.sh`, { force: true });
  }
}
