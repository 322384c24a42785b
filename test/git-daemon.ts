/** A repository behind git's own daemon, on loopback. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { basename, dirname } from 'node:path';
import { eventually } from './athanor.ts';
import { findFreePort } from './free-port.ts';

export interface GitDaemon {
  readonly url: string;
  close(): Promise<void>;
}

/** Serves one repository read-only until it is closed. */
export async function startGitDaemon(repository: string): Promise<GitDaemon> {
  const port = await findFreePort();
  const args = [
    'daemon',
    '--export-all',
    '--listen=127.0.0.1',
    `--port=${port}`,
    `--base-path=${dirname(repository)}`,
    '--reuseaddr',
    repository,
  ];
  const child = spawn('git', args, { stdio: 'ignore' });
  await eventually('git daemon', () => canConnect(port));
  return {
    url: `git://127.0.0.1:${port}/${basename(repository)}`,
    close: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

function canConnect(port: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(undefined));
  });
}
