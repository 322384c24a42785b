/** Builds a virtual environment once, however many pods ask: with uv where there is one, with pip otherwise. */
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isEqual } from '../base/json.ts';
import { StatusError } from '../kube/status-error.ts';
import { withLock } from './environment-lock.ts';
import { findProgram, runProgram } from './run-program.ts';

export interface EnvironmentRequest {
  readonly python: string;
  readonly packages: readonly string[];
}

export interface PrepareOptions {
  /** Folder of the environment; it is used at this path only, since scripts inside name it. */
  readonly target: string;
  readonly request: EnvironmentRequest;
  readonly env: NodeJS.ProcessEnv;
  readonly say: (line: string) => void;
}

const MARKER = 'athanor.json';

/** Resolves when the environment is whole. @throws Invalid with pip's last lines when a package cannot be had. */
export async function prepareEnvironment(options: PrepareOptions): Promise<void> {
  const { target, request, say } = options;
  if (await isReady(target, request)) return;
  await mkdir(dirname(target), { recursive: true });
  const onWait = () => say(`waiting for another pod that builds ${target}`);
  await withLock(
    `${target}.lock`,
    async () => {
      if (!(await isReady(target, request))) await build(options);
    },
    { onWait },
  );
}

async function isReady(target: string, request: EnvironmentRequest): Promise<boolean> {
  try {
    const built = parseMarker(await readFile(join(target, MARKER), 'utf8'));
    if (built === undefined) return false;
    if (!isEqual(built, request))
      throw new StatusError(
        'Conflict',
        `cannot use environment ${target}: it was built for another request, delete it`,
      );
    await access(join(target, 'bin', 'python'));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false; // why: fs errors carry a code
    throw error;
  }
}

/** Undefined for a marker that a full disk or a crash of the machine tore. */
function parseMarker(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // why: the environment is built again
  }
}

async function build(options: PrepareOptions): Promise<void> {
  const { target, request, env, say } = options;
  await rm(target, { recursive: true, force: true });
  const python = await findPython(request.python, env);
  const uv = await findProgram('uv', env);
  const caches = { PIP_CACHE_DIR: join(dirname(target), '.pip'), UV_CACHE_DIR: join(dirname(target), '.uv') };
  const environment = {
    ...env,
    ...caches,
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    PIP_NO_INPUT: '1',
    PIP_ROOT_USER_ACTION: 'ignore',
  };
  const tools: Tools = { python, uv, env: environment, target, say };
  say(`building ${target} with ${uv === undefined ? 'pip' : 'uv'}: ${request.packages.join(' ') || 'no packages'}`);
  await createVenv(tools, request.packages.length > 0);
  if (request.packages.length > 0) await install(tools, request.packages);
  await writeFile(join(target, `${MARKER}.new`), JSON.stringify(request));
  await rename(join(target, `${MARKER}.new`), join(target, MARKER));
  say('the environment is ready');
}

interface Tools {
  readonly python: string;
  readonly uv: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly target: string;
  readonly say: (line: string) => void;
}

async function createVenv({ python, uv, env, target }: Tools, needsPip: boolean): Promise<void> {
  const pip = needsPip && uv === undefined ? [] : ['--without-pip'];
  const { code, lastLines } = await runProgram(python, ['-m', 'venv', ...pip, target], { env });
  if (code === 0) return;
  await rm(target, { recursive: true, force: true });
  throw new StatusError(
    'Invalid',
    `cannot create a virtual environment with ${python}: is its venv module installed (Debian: apt-get install python3-venv)?\n${lastLines}`,
  );
}

async function install({ uv, env, target, say }: Tools, packages: readonly string[]): Promise<void> {
  const python = join(target, 'bin', 'python');
  const [program, args] =
    uv === undefined
      ? [python, ['-m', 'pip', 'install', '--progress-bar', 'off', '--', ...packages]]
      : [uv, ['pip', 'install', '--python', python, '--', ...packages]];
  const { code, lastLines } = await runProgram(program, args, { env, onLine: say });
  if (code === 0) return;
  await rm(target, { recursive: true, force: true });
  throw new StatusError('Invalid', `cannot install ${packages.join(' ')}:\n${lastLines}`);
}

async function findPython(version: string, env: NodeJS.ProcessEnv): Promise<string> {
  const found =
    (await findProgram(`python${version}`, env)) ?? (version === '3' ? await findProgram('python', env) : undefined);
  if (found !== undefined) return found;
  throw new StatusError(
    'Invalid',
    `cannot prepare the environment: python${version} is not on this node, install it or ask for another version`,
  );
}
