/**
 * A file of 1 GB through the artifact proxy and back, with the server's memory; on SQLite, which plays no part here.
 * Into S3 also past the proxy, by the same parts: that is what the store itself can do.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setInterval as every } from 'node:timers/promises';
import { request } from 'undici';
import type { DirectAccess } from '../src/blobs/blob-store.ts';
import { openBlobStore } from '../src/blobs/open-blob-store.ts';
import { startS3 } from '../test/s3-server.ts';
import { type Bench, type Figure, residentMb } from './measure.ts';
import { withServer } from './tracking-peers.ts';
import { startBenchTracking } from './tracking-server.ts';

const BYTES = 1_000_000_000;
const CHUNK_BYTES = 1_000_000;
const PATH = '/api/2.0/mlflow-artifacts/artifacts/0/bench/large.bin';
const SAMPLE_MS = 50;

const PART_BYTES = 8 * 1024 * 1024;
const PARTS_IN_FLIGHT = 2;
const DIRECT_KEY = 'direct';
const OURS = { speed: '>= 200 MB/s', memory: '<= 67 MB' };

/** Ours on a folder and on S3, the S3 server alone, then MLflow's. */
export const bench: Bench = async () => [
  ...(await withServer(['ours', 'SQLite'], undefined, (server) => measure('Athanor', server, OURS))),
  ...(await measureS3()),
  ...(await withServer(['theirs', 'SQLite'], undefined, (server) => measure('MLflow', server, { speed: 'peer' }))),
];

async function measure(
  name: string,
  { url, pid }: { readonly url: string; readonly pid: number },
  targets: { readonly speed: string; readonly memory?: string },
): Promise<readonly Figure[]> {
  const before = familyMb(pid);
  const watch = watchPeak(pid);
  const up = await time(() => put(`${url}${PATH}`));
  const down = await time(() => get(`${url}${PATH}`));
  const growth = { what: `memory growth at most: ${name}`, value: (await watch.stop()) - before, unit: 'MB' };
  const target = targets.memory;
  return [...speeds(name, { up, down, target: targets.speed }), { ...growth, ...(target !== undefined && { target }) }];
}

function speeds(
  name: string,
  { up, down, target }: { readonly up: number; readonly down: number; readonly target: string },
): readonly Figure[] {
  return [
    { what: `put 1 GB: ${name}`, value: BYTES / 1e6 / up, unit: 'MB/s', target },
    { what: `get 1 GB: ${name}`, value: BYTES / 1e6 / down, unit: 'MB/s', target },
  ];
}

async function measureS3(): Promise<readonly Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'athanor-bench-'));
  const s3 = await startS3();
  try {
    const server = await startBenchTracking(folder, join(folder, 'rows.db'), s3);
    const ours = await measure('Athanor on S3', server, OURS);
    await server.close();
    const { direct } = await openBlobStore(s3.url(), s3.access);
    if (direct === undefined) throw new Error('the store gives no URLs');
    const up = await time(() => putParts(direct));
    const down = await time(async () => get((await direct.signRead(DIRECT_KEY, 3_600)).url));
    return [...ours, ...speeds('the S3 server itself', { up, down, target: 'what there is' })];
  } finally {
    await s3.close();
    rmSync(folder, { recursive: true, force: true });
  }
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

/** As the proxy sends it, with nothing but a client before the store. */
async function putParts(direct: DirectAccess): Promise<void> {
  const bytes = Buffer.alloc(PART_BYTES, 7);
  const { uploadId, parts } = await direct.beginUpload(DIRECT_KEY, Math.ceil(BYTES / PART_BYTES));
  const arrived: { number: number; etag: string }[] = [];
  const waiting = parts.values();
  const sendOn = async () => {
    for (const { number, url } of waiting) {
      const body = bytes.subarray(0, BYTES - (number - 1) * PART_BYTES);
      const answer = await request(url, { method: 'PUT', body });
      await answer.body.dump();
      arrived.push({ number, etag: String(answer.headers['etag']) });
    }
  };
  await Promise.all(Array.from({ length: PARTS_IN_FLIGHT }, sendOn));
  const inOrder = arrived.toSorted((a, b) => a.number - b.number);
  await direct.completeUpload(DIRECT_KEY, uploadId, inOrder);
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
