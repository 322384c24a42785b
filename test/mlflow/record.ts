/**
 * Records what real clients send: runs their scripts against our server through a proxy and keeps each exchange in
 * recorded/NAME.jsonl, for recorded.test.ts to replay. Run by hand when a client's new version is taken:
 * `bin/node test/mlflow/record.ts`.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { startTestTracking } from '../../src/tracking/test-tracking.ts';
import { findFreePort } from '../free-port.ts';
import { ensureVenv } from '../python.ts';
import { type Exchange, IdNames, keepHeaders, plainAnswer, readBody, writeBody } from './exchange.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const SCRIPTS = join(ROOT, 'src', 'tracking');
const AUTOLOG = ['mlflow==3.17.2', 'scikit-learn', 'xgboost-cpu', 'lightgbm'];
const OLD = ['mlflow-skinny==2.18.0', 'opentelemetry-api==1.28.2', 'opentelemetry-sdk==1.28.2'];
const TIMEOUT_MS = 300_000;

/** By the set's name: the script, what follows the server's address, and the packages. */
const SETS: Readonly<Record<string, { script: string; words: readonly string[]; packages: readonly string[] }>> = {
  'mlflow-3.17': { script: join(SCRIPTS, 'mlflow-client.py'), words: ['files'], packages: ['mlflow-skinny==3.17.2'] },
  'mlflow-3.17-traces': {
    script: join(SCRIPTS, 'mlflow-traces.py'),
    words: ['files'],
    packages: ['mlflow-skinny==3.17.2'],
  },
  'mlflow-2.18': { script: join(SCRIPTS, 'mlflow-old-client.py'), words: ['files'], packages: OLD },
  'autolog-lightgbm': { script: join(import.meta.dirname, 'autolog.py'), words: ['lightgbm'], packages: AUTOLOG },
  'autolog-xgboost': { script: join(import.meta.dirname, 'autolog.py'), words: ['xgboost'], packages: AUTOLOG },
};

for (const name of Object.keys(SETS)) await record(name);

async function record(name: string): Promise<void> {
  const { script = '', words = [], packages = [] } = SETS[name] ?? {};
  const { python } = await ensureVenv(packages);
  const home = mkdtempSync(join(tmpdir(), 'athanor-record-'));
  const server = await startTestTracking({ home, database: { path: ':memory:' } });
  const exchanges: Exchange[] = [];
  const names = new IdNames();
  const folders = { [home]: '/home/someone', [dirname(dirname(python))]: '/python', [ROOT]: '/checkout' };
  const port = await findFreePort();
  const proxy = await startProxy(port, (request, response) =>
    pass(server.url, { request, response, exchanges, names, folders }),
  );
  try {
    mkdirSync(join(home, 'files'));
    const env = { PATH: process.env['PATH'], HOME: home, LOGNAME: 'someone', NO_PROXY: '127.0.0.1' };
    const options = { env, cwd: home, timeout: TIMEOUT_MS };
    await promisify(execFile)(python, [script, `http://127.0.0.1:${port}`, ...words], options);
    const lines = exchanges.map((exchange) => `${JSON.stringify(exchange)}\n`);
    writeFileSync(join(import.meta.dirname, 'recorded', `${name}.jsonl`), lines.join(''));
    process.stdout.write(`${name}: ${exchanges.length} requests\n`);
  } finally {
    proxy.close();
    proxy.closeAllConnections();
    await server.close();
    rmSync(home, { recursive: true, force: true });
  }
}

async function startProxy(
  port: number,
  handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): Promise<Server> {
  // One after the other, so that a set has an order.
  let last: Promise<void> = Promise.resolve();
  const proxy = createServer((request, response) => {
    last = last.then(() => handle(request, response)).catch((error: unknown) => void response.destroy(error as Error)); // why: whatever it is, the client sees it
  });
  await new Promise<void>((resolve) => proxy.listen(port, '127.0.0.1', resolve));
  return proxy;
}

interface Passing {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly exchanges: Exchange[];
  readonly names: IdNames;
  /** Folders of this machine, and what the set has instead. */
  readonly folders: Readonly<Record<string, string>>;
}

async function pass(url: string, { request, response, exchanges, names, folders }: Passing): Promise<void> {
  const { method = 'GET', url: path = '/' } = request;
  let written = writeBody(await buffer(request));
  for (const [folder, instead] of Object.entries(folders)) written = written.replaceAll(folder, instead);
  const body = readBody(written);
  const headers = keepHeaders(request.headers);
  const answer = await fetch(url + path, { method, headers, ...(body.length > 0 && { body }) });
  const bytes = Buffer.from(await answer.arrayBuffer());
  // An escaped quote ends in digits, as ids begin.
  const asked = { method, path: names.hide(path.replaceAll('%27', "'")), headers, body: names.hide(written) };
  exchanges.push({ ...asked, status: answer.status, answer: plainAnswer(writeBody(bytes), names) });
  response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' }).end(bytes);
}
