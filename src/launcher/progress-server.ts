/** Where a program tells how far it is: Kubeflow Trainer's progress contract, on the pod's own address. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isJsonObject } from '../base/json.ts';
import { HTTP_STATUS, StatusError, toStatusError } from '../kube/status-error.ts';

export interface ProgressServer {
  /** What the program must find in its environment. */
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

export interface ProgressServerOptions {
  readonly host: string;
  /** Called with the `trainerStatus` of each report. */
  readonly onReport: (report: unknown) => Promise<void>;
}

/** The contract's own limit of a report. */
const REPORT_BYTES_MAX = 64 * 1024;
const PATH = '/status';

/** Listens on a free port; only who has the token file may report. */
export async function startProgressServer({ host, onReport }: ProgressServerOptions): Promise<ProgressServer> {
  const token = randomBytes(24).toString('hex');
  const folder = await mkdtemp(join(tmpdir(), 'athanor-progress-'));
  const tokenPath = join(folder, 'token');
  await writeFile(tokenPath, token, { mode: 0o600 });
  const server = createServer((request, response) => {
    takeReport(request, token)
      .then((report) => passOn(report, onReport))
      .then(
        () => response.writeHead(200).end(),
        (error: unknown) => {
          const { reason, message } = toStatusError(error);
          const isRead = request.complete;
          response.writeHead(HTTP_STATUS[reason], isRead ? {} : { connection: 'close' }).end(message);
        },
      );
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, host, resolve));
  const { port } = server.address() as AddressInfo; // why: it listens on TCP
  return {
    env: { KUBEFLOW_TRAINER_SERVER_URL: `http://${host}:${port}${PATH}`, KUBEFLOW_TRAINER_SERVER_TOKEN: tokenPath },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function passOn(report: unknown, onReport: ProgressServerOptions['onReport']): Promise<void> {
  try {
    await onReport(report);
  } catch (cause) {
    const { message } = toStatusError(cause);
    throw new StatusError('ServiceUnavailable', `cannot pass the report on: ${message}, report again later`, { cause });
  }
}

/** @throws Unauthorized, NotFound, MethodNotAllowed, RequestEntityTooLarge, BadRequest. */
async function takeReport(request: IncomingMessage, token: string): Promise<unknown> {
  const given = Buffer.from((request.headers.authorization ?? '').replace(/^Bearer /, ''));
  const wanted = Buffer.from(token);
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted))
    throw new StatusError('Unauthorized', 'cannot take the report: the token is wrong, read it from its file');
  if (request.url !== PATH) throw new StatusError('NotFound', `cannot take the report: want ${PATH}`);
  if (request.method !== 'POST') throw new StatusError('MethodNotAllowed', 'cannot take the report: want POST');
  const report = parseReport(await readReport(request));
  if (report !== undefined) return report;
  throw new StatusError('BadRequest', 'cannot take the report: want JSON with an object trainerStatus');
}

/** A report over the limit leaves the connection open for the answer. */
async function readReport(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  await new Promise<void>((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= REPORT_BYTES_MAX) chunks.push(chunk);
      else
        reject(
          new StatusError('RequestEntityTooLarge', `cannot take the report: want ${REPORT_BYTES_MAX} bytes at most`),
        );
    });
    request.once('end', resolve).once('error', reject).once('close', resolve);
  });
  return Buffer.concat(chunks).toString();
}

function parseReport(text: string): unknown {
  try {
    const body: unknown = JSON.parse(text);
    const report = isJsonObject(body) ? body['trainerStatus'] : undefined;
    return isJsonObject(report) ? report : undefined;
  } catch {
    return undefined; // why: answered with 400
  }
}
