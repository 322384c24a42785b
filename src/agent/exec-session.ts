/** One command run beside a container's own, over a WebSocket in Kubernetes' channel protocol (v4 and v5). */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants as osConstants } from 'node:os';
import type { Readable } from 'node:stream';
import type { WebSocket } from 'ws';
import { type Status, StatusError, toWireStatus } from '../kube/status-error.ts';
import { EXEC_COMMAND_ARGS_MAX } from './limits.ts';
import type { RunningContainer } from './run-container.ts';
import { shellQuote } from './shell-quote.ts';

/** In order of preference. */
export const EXEC_PROTOCOLS: readonly string[] = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];

const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

export interface ExecQuery {
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** @throws BadRequest when there is no command. */
export function parseExecQuery(query: URLSearchParams): ExecQuery {
  const command = query.getAll('command');
  if (command.length === 0 || command.length > EXEC_COMMAND_ARGS_MAX) {
    throw new StatusError('BadRequest', `cannot exec: a command of 1 to ${EXEC_COMMAND_ARGS_MAX} words must be given`);
  }
  const isTrue = (name: string) => ['true', '1'].includes(query.get(name) ?? '');
  return { command, stdin: isTrue('stdin'), stdout: isTrue('stdout'), stderr: isTrue('stderr'), tty: isTrue('tty') };
}

export interface ExecRequest {
  readonly client: WebSocket;
  readonly running: RunningContainer;
  readonly query: ExecQuery;
}

/** Runs the command until it ends or the client goes; the last message is a Status with the exit code. */
export function runExec({ client, running, query }: ExecRequest): void {
  const { words, env, cwd } = running.inside(query.command);
  const [file = '', ...args] = query.tty ? withTerminal(words) : words;
  const child = spawn(file, args, { env, cwd, stdio: ['pipe', 'pipe', 'pipe'] });
  const send = (channel: number, bytes: Buffer) => client.send(Buffer.concat([Buffer.from([channel]), bytes]));
  client.on('error', () => client.terminate());
  client.on('close', () => child.kill('SIGKILL'));
  client.on('message', (message: Buffer) => receive(child, query, message));
  child.stdin?.on('error', () => undefined); // the command has closed its input: its end tells the rest
  if (!query.stdin) child.stdin?.end();
  const outputs = [
    forward(child.stdout, client, (bytes) => query.stdout && send(CHANNEL.stdout, bytes)),
    forward(child.stderr, client, (bytes) => query.stderr && send(CHANNEL.stderr, bytes)),
  ];
  void Promise.all([awaitEnd(child), ...outputs]).then(([status]) => {
    send(CHANNEL.error, Buffer.from(JSON.stringify(status)));
    client.close(1000);
  });
}

/** Node has no terminals; `script` of util-linux lends one. The size of the window is not passed on. */
function withTerminal(words: readonly string[]): string[] {
  return ['script', '--quiet', '--return', '--command', words.map((word) => shellQuote(word)).join(' '), '/dev/null'];
}

function receive(child: ChildProcess, query: ExecQuery, message: Buffer): void {
  const [channel, first] = message;
  if (channel === CHANNEL.stdin && query.stdin) child.stdin?.write(message.subarray(1));
  if (channel === CHANNEL.close && first === CHANNEL.stdin) child.stdin?.end();
}

const SOCKET_PENDING_MAX_BYTES = 1024 * 1024;

/** Sends the pipe's output, no faster than the client takes it; resolves when the pipe has ended. */
function forward(pipe: Readable | null, client: WebSocket, send: (bytes: Buffer) => unknown): Promise<void> {
  return new Promise((resolve) => {
    if (pipe === null) return resolve();
    pipe.on('data', (bytes: Buffer) => {
      send(bytes);
      if (client.bufferedAmount > SOCKET_PENDING_MAX_BYTES) {
        pipe.pause();
        client.ping(undefined, undefined, () => pipe.resume()); // called once all before it is written
      }
    });
    pipe.once('close', resolve);
  });
}

function awaitEnd(child: ChildProcess): Promise<Status> {
  return new Promise((resolve) => {
    child.once('error', (cause) => {
      resolve(toWireStatus(new StatusError('InternalError', `cannot exec: ${cause.message}`, { cause })));
    });
    child.once('exit', (code, signal) => resolve(formatEnd(code ?? 128 + osConstants.signals[signal ?? 'SIGKILL'])));
  });
}

/** As client libraries expect it: Success, or NonZeroExitCode with the code as a cause. */
function formatEnd(exitCode: number): Status {
  const base = { kind: 'Status', apiVersion: 'v1', metadata: {} } as const;
  if (exitCode === 0) return { ...base, status: 'Success', code: 200 };
  const message = `command terminated with non-zero exit code: exit status ${exitCode}`;
  const causes = [{ reason: 'ExitCode', message: String(exitCode), field: '' }];
  return { ...base, status: 'Failure', reason: 'NonZeroExitCode', message, details: { causes }, code: 500 };
}
