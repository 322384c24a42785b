/** The embedded API server for tests: in memory unless told otherwise, on a free port of 127.0.0.1. */
import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Credentials, ensureCredentials } from '../src/apiserver/credentials.ts';
import { type Journal, memoryJournal } from '../src/apiserver/journal.ts';
import { startApiServer } from '../src/apiserver/server.ts';
import { openSqliteJournal } from '../src/apiserver/sqlite-journal.ts';
import type { Admit } from '../src/apiserver/writer.ts';
import { type Clock, hostClock } from '../src/base/clock.ts';
import { createClient } from '../src/client/client.ts';
import type { ApiClient } from '../src/client/types.ts';
import type { Status } from '../src/kube/status-error.ts';

export interface ClusterOptions {
  /** In memory by default; a path opens a SQLite journal there; an object is used as it is. */
  readonly journal?: string | Journal;
  readonly port?: number;
  readonly clock?: Clock;
  /** Rules that no schema can say. */
  readonly admit?: Admit;
}

export interface RawRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export interface RawAnswer {
  readonly code: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly status: Partial<Status>;
}

export interface TestCluster {
  readonly url: string;
  readonly port: number;
  /** As the owner. */
  readonly client: ApiClient;
  readonly credentials: Credentials;
  /** What the server reported as its own trouble. */
  readonly reported: readonly unknown[];
  /** Another client, as whoever bears the token. */
  connect(token: string, url?: string): ApiClient;
  /** One request without the client room, as the owner unless the headers say otherwise. */
  raw(path: string, request?: RawRequest): Promise<RawAnswer>;
  close(): Promise<void>;
}

const folder = mkdtempSync(join(tmpdir(), 'athanor-test-credentials-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
/** Made once per process: certificates cost more than a server. */
const sharedCredentials = ensureCredentials(folder);

/** Resolves when it answers. */
export async function startCluster({ journal, port = 0, clock, admit }: ClusterOptions = {}): Promise<TestCluster> {
  const credentials = await sharedCredentials;
  const reported: unknown[] = [];
  const server = await startApiServer({
    host: '127.0.0.1',
    port,
    journal: typeof journal === 'string' ? openSqliteJournal(journal) : (journal ?? memoryJournal()),
    credentials,
    nodeToken: 'node-token',
    clock: clock ?? hostClock(globalThis),
    random: Math.random,
    report: (error) => reported.push(error),
    ...(admit && { admit }),
  });
  const clients: ApiClient[] = [];
  const connect = (token: string, url = server.url) => {
    const client = createClient({ url, token, caPem: credentials.caPem, userAgent: 'test' });
    clients.push(client);
    return client;
  };
  return {
    url: server.url,
    port: Number(new URL(server.url).port),
    client: connect(credentials.ownerToken),
    credentials,
    reported,
    connect,
    raw: (path, request = {}) => sendRaw(`${server.url}${path}`, request, credentials),
    close: async () => {
      await Promise.all(clients.map((client) => client.close()));
      await server.close();
    },
  };
}

function sendRaw(url: string, { method = 'GET', headers, body }: RawRequest, { caPem, ownerToken }: Credentials) {
  return new Promise<RawAnswer>((resolve, reject) => {
    const authorization = `Bearer ${ownerToken}`;
    const request = httpsRequest(
      url,
      { method, ca: caPem, agent: false, headers: { authorization, ...headers } },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          const status = text.startsWith('{') ? (JSON.parse(text) as Partial<Status>) : {};
          resolve({ code: response.statusCode ?? 0, headers: response.headers, text, status });
        });
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}
