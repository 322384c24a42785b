/** Where a program tells how far it is: Kubeflow Trainer's progress contract, on the pod's own address. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isJsonObject } from '../base/json.ts';

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

/** Listens on a free port; only who has the token file may report. */
export async function startProgressServer({ host, onReport }: ProgressServerOptions): Promise<ProgressServer> {
  const token = randomBytes(24).toString('hex');
  const folder = await mkdtemp(join(tmpdir(), 'athanor-progress-'));
  const tokenPath = join(folder, 'token');
  await writeFile(tokenPath, token, { mode: 0o600 });
  const server = createServer((request, response) => {
    const answer = (code: number) => response.writeHead(code).end();
    takeReport(request, token)
      .then(
        async (report) => {
          if (report === undefined) return answer(400);
          await onReport(report);
          return answer(200);
        },
        () => answer(401),
      )
      .catch(() => answer(503));
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, host, resolve));
  const { port } = server.address() as AddressInfo; // why: it listens on TCP
  return {
    env: { KUBEFLOW_TRAINER_SERVER_URL: `http://${host}:${port}/status`, KUBEFLOW_TRAINER_SERVER_TOKEN: tokenPath },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Undefined for a body that is no report. @throws when the token is wrong. */
async function takeReport(request: IncomingMessage, token: string): Promise<unknown> {
  const given = Buffer.from((request.headers.authorization ?? '').replace(/^Bearer /, ''));
  const wanted = Buffer.from(token);
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) throw new Error('wrong token');
  let text = '';
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > REPORT_BYTES_MAX) return undefined;
  }
  try {
    const body: unknown = JSON.parse(text);
    return isJsonObject(body) ? body['trainerStatus'] : undefined;
  } catch {
    return undefined; // why: answered with 400
  }
}
