/** Programs in Go that tests drive as real clients: built once per version, outside the repository. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { withLock } from '../src/launcher/environment-lock.ts';
import { testCache } from './athanor.ts';

const run = promisify(execFile);
const BUILD_MAX_MS = 600_000;

/** Clients of OCI registries, by the packages and versions that `go install` takes. */
export const GO_PROGRAMS = {
  oras: 'oras.land/oras/cmd/oras@v1.3.0',
  conformance: 'github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260831232431-97274622c111',
} as const;

/** Where the program is; builds it when it was never built (about a minute). */
export async function ensureGoProgram(name: keyof typeof GO_PROGRAMS): Promise<string> {
  const [, version = ''] = GO_PROGRAMS[name].split('@');
  const cache = testCache(name);
  const program = join(cache, `${name}-${version}`);
  if (existsSync(program)) return program;
  await withLock(join(cache, `${version}.lock`), async () => {
    if (existsSync(program)) return;
    const building = join(cache, 'building');
    const env = { ...process.env, GOBIN: building, GOFLAGS: '-mod=mod' };
    await run('go', ['install', GO_PROGRAMS[name]], { env, timeout: BUILD_MAX_MS }).catch((cause: unknown) => {
      throw new Error(`cannot build ${name}: it needs Go and its module proxy`, { cause });
    });
    await rename(join(building, name), program);
  });
  return program;
}
