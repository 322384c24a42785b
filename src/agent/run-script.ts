/** The one shell script that turns a fresh set of namespaces into a container and runs its command. Text only; pure. */
import { MOUNT_FUNCTIONS } from './plan-mounts.ts';
import { shellQuote } from './shell-quote.ts';

export interface RunScriptRequest {
  /** Empty folder of the host on which the private root is built. */
  readonly rootPath: string;
  /** From `planMounts`. */
  readonly mountLines: readonly string[];
  readonly hostName: string;
  readonly workingDir: string;
  readonly env: ReadonlyMap<string, string>;
  readonly command: readonly string[];
}

/**
 * Process 1: runs the command as its child, passes signals on, reaps, and exits as the command did. It tells on
 * descriptor 3 `started`, or why the command cannot start. INT and QUIT are given back their default meaning, which
 * a shell takes from its background processes.
 */
const INIT = `child=
trap 'test -z "$child" || kill -TERM "$child" 2>/dev/null' TERM
trap 'test -z "$child" || kill -INT "$child" 2>/dev/null' INT
if ! command -v -- "$1" >/dev/null; then
  printf 'error exec: "%s": executable file not found in $PATH\\n' "$1" >&3
  exit 127
fi
echo started >&3
if /usr/bin/env --default-signal=INT true 2>/dev/null; then set -- /usr/bin/env --default-signal=INT,QUIT -- "$@"; fi
"$@" 3>&- &
child=$!
exec 3>&- 2>/dev/null
while :; do
  wait "$child"
  code=$?
  kill -0 "$child" 2>/dev/null || exit "$code"
done`;

/**
 * The script. It tells `pid <n>` on descriptor 3, waits for a line on its standard input (its limits are set
 * meanwhile), and sends its own complaints to descriptor 3 until the command runs.
 */
export function formatRunScript(request: RunScriptRequest): string {
  const { rootPath, mountLines, hostName, workingDir, env, command } = request;
  const variables = [...env].map(([name, value]) => shellQuote(`${name}=${value}`));
  const words = command.map((word) => shellQuote(word));
  return `set -eu
exec 4>&2 2>&3
read -r pid rest < /proc/self/stat
echo "pid $pid" >&3
read -r go
exec < /dev/null
umask 022
R=${shellQuote(rootPath)}
${MOUNT_FUNCTIONS}
${mountLines.join('\n')}
mkdir "$R/.old"
cd "$R"
pivot_root . .old
cd /
umount -l /.old
rmdir /.old
hostname ${shellQuote(hostName)} || echo ${shellQuote(hostName)} > /proc/sys/kernel/hostname || :
mkdir -p -- ${shellQuote(workingDir)} 2>/dev/null || :
cd -- ${shellQuote(workingDir)}
exec 2>&4 4>&-
exec /usr/bin/env -i ${[...variables, '/bin/sh', '-c', shellQuote(INIT), 'init', ...words].join(' ')}
`;
}
