/**
 * Looks through the files of new versions: small models before the version is acknowledged, others afterwards, one by
 * one, and after a restart what was not done. Knows what becomes of a version; modelfiles knows what is dangerous.
 */
import { createHash } from 'node:crypto';
import type { BlobStore } from '../../blobs/blob-store.ts';
import { hashTreeFiles, putTreeFiles, type TreeFile } from '../../blobs/tree.ts';
import { isStatusError } from '../../kube/status-error.ts';
import { describeDanger, scanModel } from '../../modelfiles/scan.ts';
import type { StoredFile } from '../artifacts/artifacts.ts';
import type { ModelVersionRow } from '../schema.ts';
import type { Shared, Tracking, VersionJudge, VersionKey } from '../tracking.ts';
import { selectVersionByKey } from './model-versions.ts';
import { listVersionFiles } from './version-files.ts';

const PENDING = 'PENDING_REGISTRATION';

type Judgement = Pick<ModelVersionRow, 'status' | 'status_message' | 'digest' | 'size_bytes'>;

/** Decides on a version that waits, when its files are few enough to do so at once; otherwise later. */
export async function judgeNew(tracking: Tracking, key: VersionKey, source: string): Promise<void> {
  const files = await listVersionFiles(tracking, source).catch(asTooMany);
  const sizeBytes = typeof files === 'string' ? 0 : sumBytes(files);
  if (sizeBytes > tracking.judge.atOnceBytes) tracking.judge.later(key);
  else await keep(tracking, key, await judge(tracking.blobs, files));
}

/** @throws whatever is not about the files */
function asTooMany(error: unknown): string {
  if (isStatusError(error, 'Invalid')) return error.message;
  throw error;
}

async function judge(
  blobs: BlobStore,
  files: readonly StoredFile[] | string,
  signal?: AbortSignal,
): Promise<Judgement> {
  const unknown = { digest: null, size_bytes: null };
  if (typeof files === 'string') return { status: 'FAILED_REGISTRATION', status_message: files, ...unknown };
  if (files.length === 0) return { status: 'READY', status_message: '', ...unknown };
  // First the digest, so that what is fetched later can be compared with what was looked through.
  const tree = await hashFiles(files, signal);
  // The list is kept under that digest: a bill of materials names its files.
  const { digest } = await putTreeFiles(blobs, tree);
  const danger = describeDanger(
    await scanModel(
      files.map((file) => ({ path: file.path, bytes: file })),
      signal,
    ),
  );
  const known = { digest, size_bytes: sumBytes(files) };
  if (hashTreeFiles(await hashFiles(files, signal)) !== digest) {
    return {
      status: 'FAILED_REGISTRATION',
      status_message: 'its files changed while they were looked through',
      ...known,
    };
  }
  if (danger === undefined) return { status: 'READY', status_message: '', ...known };
  return { status: 'FAILED_REGISTRATION', status_message: danger, ...known };
}

async function hashFiles(files: readonly StoredFile[], signal?: AbortSignal): Promise<readonly TreeFile[]> {
  const tree: TreeFile[] = [];
  for (const { path, sizeBytes, stream } of files) {
    const hash = createHash('sha256');
    for await (const part of stream(0, sizeBytes)) {
      signal?.throwIfAborted();
      hash.update(part);
    }
    tree.push({ path, sizeBytes, digest: `sha256:${hash.digest('hex')}` });
  }
  return tree;
}

function sumBytes(files: readonly StoredFile[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** Nothing happens to a version that is gone, or that somebody else decided on. */
async function keep({ db }: Pick<Shared, 'db'>, key: VersionKey, judgement: Judgement): Promise<void> {
  await db
    .updateTable('tracking_model_versions')
    .set(judgement)
    .where('model_key', '=', key.model_key)
    .where('version', '=', key.version)
    .where('status', '=', PENDING)
    .execute();
}

export interface JudgeOptions {
  readonly atOnceBytes: number;
  readonly onSurprise: (error: unknown) => void;
}

/** A judge that works until it is closed. */
export interface RunningJudge extends VersionJudge {
  /** Takes up what an earlier process left. */
  start(shared: Shared): Promise<void>;
  close(): Promise<void>;
}

/** One version after the other: the work is mostly the processor's. */
export function createJudge({ atOnceBytes, onSurprise }: JudgeOptions): RunningJudge {
  const stop = new AbortController();
  const waiting: VersionKey[] = [];
  let shared: Shared | undefined;
  let working: Promise<void> | undefined;
  const work = async (on: Shared) => {
    for (let key = waiting.shift(); key && !stop.signal.aborted; key = waiting.shift()) {
      await judgeLater(on, key, stop.signal).catch((error: unknown) => stop.signal.aborted || onSurprise(error));
    }
    working = undefined;
  };
  const later = (key: VersionKey) => {
    waiting.push(key);
    if (shared && !stop.signal.aborted) working ??= work(shared);
  };
  return {
    atOnceBytes,
    later,
    start: async (on) => {
      shared = on;
      for (const key of await findPending(on)) later(key);
    },
    close: async () => {
      stop.abort();
      await working;
    },
  };
}

async function findPending({ db }: Shared): Promise<readonly VersionKey[]> {
  const query = db.selectFrom('tracking_model_versions').select(['model_key', 'version']);
  return query.where('status', '=', PENDING).orderBy('creation_time').execute();
}

async function judgeLater(shared: Shared, key: VersionKey, signal: AbortSignal): Promise<void> {
  const found = await selectVersionByKey(shared, key);
  if (!found || found.status !== PENDING) return;
  const tracking = { ...shared, workspace: found.workspace };
  const files = await listVersionFiles(tracking, found.source).catch(asTooMany);
  await keep(shared, key, await judge(shared.blobs, files, signal));
}
