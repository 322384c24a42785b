/** Makes one probe of a container: HTTP, TCP or a command inside it. Counts nothing. */
import { execFile } from 'node:child_process';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import type { Container, Probe } from '../kube/pod.ts';
import { PROBE_OUTPUT_MAX_BYTES } from './limits.ts';
import { probeTimeoutMs } from './probe-state.ts';
import type { RunningContainer } from './run-container.ts';

export interface ProbeTarget {
  readonly container: Container;
  readonly podIp: string;
  readonly running: RunningContainer;
}

/** Undefined for success, else what went wrong. A probe that takes longer than its timeout has failed. */
export async function runProbe(probe: Probe, target: ProbeTarget): Promise<string | undefined> {
  const timeoutMs = probeTimeoutMs(probe);
  if (probe.exec) return probeExec(probe.exec.command, target, timeoutMs);
  if (probe.httpGet) return probeHttp(probe.httpGet, target, timeoutMs);
  if (probe.tcpSocket) return probeTcp(probe.tcpSocket, target, timeoutMs);
  return 'the probe has none of exec, httpGet and tcpSocket';
}

function probeExec(command: readonly string[], { running }: ProbeTarget, timeout: number): Promise<string | undefined> {
  const { words, env, cwd } = running.inside(command);
  return new Promise((resolve) => {
    const options = { env, cwd, timeout, killSignal: 'SIGKILL', maxBuffer: 1024 * PROBE_OUTPUT_MAX_BYTES } as const;
    execFile(words[0] ?? '', words.slice(1), options, (error, stdout, stderr) => {
      if (error === null) return resolve(undefined);
      if (error.killed === true) return resolve(`command timed out after ${timeout / 1000}s`);
      resolve(
        `${stdout}${stderr}`.trim().slice(0, PROBE_OUTPUT_MAX_BYTES) || `command failed: exit code ${error.code}`,
      );
    });
  });
}

/** The number of a port that may be given by name. */
export function findPort(port: number | string, container: Container): number | undefined {
  if (typeof port === 'number') return port;
  const named = container.ports?.find(({ name }) => name === port)?.containerPort;
  return named ?? (/^\d+$/.test(port) ? Number(port) : undefined);
}

type HttpGet = NonNullable<Probe['httpGet']>;

function probeHttp(get: HttpGet, { container, podIp }: ProbeTarget, timeoutMs: number): Promise<string | undefined> {
  const port = findPort(get.port, container);
  if (port === undefined) return Promise.resolve(`the container has no port named ${get.port}`);
  const send = get.scheme === 'HTTPS' ? httpsRequest : httpRequest;
  const headers = Object.fromEntries((get.httpHeaders ?? []).map(({ name, value }) => [name, value]));
  const signal = AbortSignal.timeout(timeoutMs);
  const options = {
    host: get.host ?? podIp,
    port,
    path: get.path ?? '/',
    headers: { 'user-agent': 'kube-probe/1.30', accept: '*/*', ...headers },
    rejectUnauthorized: false,
    agent: false,
    signal,
  };
  return new Promise((resolve) => {
    const request = send(options, (response) => {
      response.resume();
      const { statusCode = 0 } = response;
      resolve(statusCode >= 200 && statusCode < 400 ? undefined : `HTTP probe failed with statuscode: ${statusCode}`);
    });
    request.once('error', (error) => resolve(signal.aborted ? 'HTTP probe timed out' : error.message));
    request.end();
  });
}

type TcpSocket = NonNullable<Probe['tcpSocket']>;

function probeTcp(tcp: TcpSocket, { container, podIp }: ProbeTarget, timeoutMs: number): Promise<string | undefined> {
  const port = findPort(tcp.port, container);
  if (port === undefined) return Promise.resolve(`the container has no port named ${tcp.port}`);
  return new Promise((resolve) => {
    const socket = connect({ host: tcp.host ?? podIp, port, timeout: timeoutMs });
    const finish = (answer: string | undefined) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => finish(undefined));
    socket.once('timeout', () => finish('dial timed out'));
    socket.once('error', (error) => finish(error.message));
  });
}
