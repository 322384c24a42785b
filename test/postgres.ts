/** A real PostgreSQL for one test: own folder, own port, gone afterwards. Knows where Debian keeps the programs. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Client } from 'pg';
import { findFreePort } from './free-port.ts';

const START_TIMEOUT_MS = 60_000;
const DEBIAN_FOLDER = '/usr/lib/postgresql';

/** A running server; `url` names its database. */
export interface TestPostgres {
  readonly url: string;
  /** Drops all tables, for the next test. */
  forget(): Promise<void>;
  close(): Promise<void>;
}

/** Starts PostgreSQL on 127.0.0.1; nothing of it is durable. Its own default is 128 MB of buffers; tests need less. */
export async function startPostgres({ buffersMb = 16 } = {}): Promise<TestPostgres> {
  const programs = findPrograms();
  const folder = mkdtempSync(join(tmpdir(), 'athanor-postgres-'));
  const user = findUser();
  if (user) chownSync(folder, user.uid, user.gid);
  try {
    const cluster = join(folder, 'cluster');
    runAs(user, [join(programs, 'initdb'), '-D', cluster, '-U', 'athanor', '-A', 'trust', '-E', 'UTF8', '--no-sync']);
    const port = await findFreePort();
    const flags = ['-D', cluster, '-h', '127.0.0.1', '-p', String(port), '-k', folder, ...planSettings(buffersMb)];
    const server = await serve(user, [join(programs, 'postgres'), ...flags]);
    const url = `postgres://athanor@127.0.0.1:${port}/postgres`;
    return {
      url,
      forget: () => forget(url),
      close: () => stop(server, folder),
    };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

function planSettings(buffersMb: number): string[] {
  const settings = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', `shared_buffers=${buffersMb}MB`];
  return settings.flatMap((setting) => ['-c', setting]);
}

function findPrograms(): string {
  const debian = existsSync(DEBIAN_FOLDER)
    ? readdirSync(DEBIAN_FOLDER).map((version) => join(DEBIAN_FOLDER, version, 'bin'))
    : [];
  const folders = [...(process.env['PATH'] ?? '').split(':'), ...debian];
  const found = folders.find((path) => ['postgres', 'initdb'].every((name) => existsSync(join(path, name))));
  if (found === undefined) throw new Error('cannot find PostgreSQL: run `apt-get install postgresql`');
  return found;
}

interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root, so that root lends it another user. */
function findUser(): SystemUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    const uid = Number.parseInt(spawnSync('id', ['-u', name], { encoding: 'utf8' }).stdout, 10);
    const gid = Number.parseInt(spawnSync('id', ['-g', name], { encoding: 'utf8' }).stdout, 10);
    if (!Number.isNaN(uid) && !Number.isNaN(gid)) return { uid, gid };
  }
  throw new Error('cannot start PostgreSQL as root: there is neither a user postgres nor a user nobody');
}

function runAs(user: SystemUser | undefined, [program = '', ...flags]: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, flags, { cwd: '/', encoding: 'utf8', ...user });
  if (status !== 0) throw new Error(`cannot run ${program}: ${error?.message ?? stderr}`);
}

async function serve(user: SystemUser | undefined, [program = '', ...flags]: readonly string[]): Promise<ChildProcess> {
  const child = spawn(program, flags, { cwd: '/', stdio: ['ignore', 'ignore', 'pipe'], ...user });
  const lines: string[] = [];
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`cannot start PostgreSQL: ${why}\n${lines.join('\n')}`));
    const timer = setTimeout(() => fail('it takes too long'), START_TIMEOUT_MS);
    child.once('exit', (code) => fail(`it ended with ${code}`));
    child.once('error', (error) => fail(error.message));
    createInterface({ input: child.stderr }).on('line', (line) => {
      lines.push(line);
      if (!line.includes('ready to accept connections')) return;
      clearTimeout(timer);
      resolve();
    });
  }).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  return child;
}

async function forget(url: string): Promise<void> {
  const client = new Client(url);
  await client.connect();
  await client.query('drop schema public cascade; create schema public');
  await client.end();
}

async function stop(server: ChildProcess, folder: string): Promise<void> {
  if (server.exitCode === null && server.signalCode === null) {
    const ended = once(server, 'exit');
    server.kill('SIGINT');
    await ended;
  }
  rmSync(folder, { recursive: true, force: true });
}
