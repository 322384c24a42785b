/** A file of 1 GB through the artifact proxy and back, with the server's memory; on SQLite, which plays no part here. */
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { setInterval as every } from 'node:timers/promises';
import { request } from 'undici';
import { type Bench, type Figure, residentMb } from './measure.ts';
import { nameOf, withServer } from './tracking-peers.ts';

const BYTES = 1_000_000_000;
const CHUNK_BYTES = 1_000_000;
const PATH = '/api/2.0/mlflow-artifacts/artifacts/0/bench/large.bin';
const SAMPLE_MS = 50;

/** Ours, then MLflow's. */
export const bench: Bench = async () => [
  ...(await withServer(['ours', 'SQLite'], undefined, (server) => measure('ours', server))),
  ...(await withServer(['theirs', 'SQLite'], undefined, (server) => measure('theirs', server))),
];

async function measure(
  owner: 'ours' | 'theirs',
  { url, pid }: { readonly url: string; readonly pid: number },
): Promise<readonly Figure[]> {
  const before = familyMb(pid);
  const watch = watchPeak(pid);
  const up = await time(() => put(`${url}${PATH}`));
  const down = await time(() => get(`${url}${PATH}`));
  const growth = (await watch.stop()) - before;
  const name = nameOf(owner, 'SQLite').replace(' on SQLite', '');
  const target = owner === 'ours' ? '>= 200 MB/s' : 'peer';
  return [
    { what: `put 1 GB: ${name}`, value: BYTES / 1e6 / up, unit: 'MB/s', target },
    { what: `get 1 GB: ${name}`, value: BYTES / 1e6 / down, unit: 'MB/s', target },
    {
      what: `memory growth at most: ${name}`,
      value: growth,
      unit: 'MB',
      ...(owner === 'ours' && { target: '<= 67 MB' }),
    },
  ];
}

async function time(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return (performance.now() - startedMs) / 1_000;
}

async function put(url: string): Promise<void> {
  const chunk = Buffer.alloc(CHUNK_BYTES, 7);
  function* chunks() {
    for (let sent = 0; sent < BYTES; sent += CHUNK_BYTES) yield chunk;
  }
  const options = {
    method: 'PUT',
    body: Readable.from(chunks()),
    headers: { 'content-length': String(BYTES) },
  } as const;
  const { statusCode, body } = await request(url, { ...options, headersTimeout: 600_000, bodyTimeout: 600_000 });
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`put answered ${statusCode}: ${text.slice(0, 300)}`);
}

async function get(url: string): Promise<void> {
  const { statusCode, body } = await request(url, { headersTimeout: 600_000, bodyTimeout: 600_000 });
  let received = 0;
  for await (const chunk of body) received += (chunk as Buffer).length; // why: a body's chunks are bytes
  if (statusCode !== 200 || received !== BYTES) throw new Error(`get answered ${statusCode} with ${received} bytes`);
}

function watchPeak(pid: number): { stop(): Promise<number> } {
  const stopping = new AbortController();
  let peak = familyMb(pid);
  const watching = (async () => {
    for await (const _tick of every(SAMPLE_MS, undefined, { signal: stopping.signal }))
      peak = Math.max(peak, familyMb(pid));
  })().catch(() => undefined);
  return {
    stop: async () => {
      stopping.abort();
      await watching;
      return peak;
    },
  };
}

/** A process and its children: MLflow's server has workers. */
function familyMb(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
  return residentMb(pid) + children.reduce((sum, child) => sum + familyMb(Number(child)), 0);
}
