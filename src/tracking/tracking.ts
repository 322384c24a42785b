/** What every noun of tracking works with: rows, files, time and new names. Opens none of them. */
import { type Kysely, sql } from 'kysely';
import type { Clock } from '../base/clock.ts';
import type { BlobStore } from '../blobs/blob-store.ts';
import type { DialectName } from '../sql/open-database.ts';
import type { TrackingSchema } from './schema.ts';

/** Passed to every function here; inside a transaction, `db` is that transaction. */
export interface Tracking extends Shared {
  /** The tenant whose nouns are seen here; those of others do not exist. */
  readonly workspace: string;
}

/** What is the same for all who ask. */
export interface Shared {
  readonly db: Kysely<TrackingSchema>;
  readonly dialect: DialectName;
  readonly blobs: BlobStore;
  readonly clock: Pick<Clock, 'nowMs'>;
  /** 32 hexadecimal digits, never twice the same. */
  readonly newId: () => string;
  /** Who looks through the files of new versions. */
  readonly judge: VersionJudge;
}

/** Which version of which model, by what never changes. */
export interface VersionKey {
  readonly model_key: string;
  readonly version: number;
}

/** Looks through files that are too many to do so before answering. */
export interface VersionJudge {
  /** Files of versions up to this many bytes are looked through before the version is acknowledged. */
  readonly atOnceBytes: number;
  /** Begins soon; goes on after a restart. */
  later(key: VersionKey): void;
}

/** Where those work who name no workspace. */
export const DEFAULT_WORKSPACE = 'default';

/** Who asks. */
export interface Caller {
  readonly user: string;
  /** The one that the request names, or the default one. */
  readonly workspace: string;
}

/** Runs `work` so that all of it is kept or nothing; what it returns is on the disk when this resolves. */
export async function inTransaction<T>(tracking: Tracking, work: (within: Tracking) => Promise<T>): Promise<T> {
  return tracking.db.transaction().execute((db) => work({ ...tracking, db }));
}

/** The next number of a counter, from 1. Two callers never get the same. */
export async function nextNumber({ db }: Tracking, name: string): Promise<number> {
  const { value } = await db
    .insertInto('tracking_counters')
    .values({ name, value: 1 })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value: sql`tracking_counters.value + 1` }))
    .returning('value')
    .executeTakeFirstOrThrow();
  return value;
}
