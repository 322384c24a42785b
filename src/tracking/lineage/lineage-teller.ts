/**
 * Keeps what objects tell of lineage, many objects in one transaction: at each start all of them tell again. The newest
 * state of an object counts; one that cannot be kept is tried again, and holds up no other.
 */
import type { Clock } from '../../base/clock.ts';
import { isStatusError } from '../../kube/status-error.ts';
import { explainDatabaseError } from '../../sql/database-error.ts';
import type { Shared } from '../tracking.ts';
import { type LineageEvent, type OwnedEvent, recordAll } from './lineage.ts';

/** What one object tells. */
export interface Told {
  readonly uid: string;
  readonly workspace: string;
  readonly events: readonly LineageEvent[];
}

export interface LineageTeller {
  /** Soon; the same again costs nothing. */
  tell(told: Told): void;
  /** An object that is gone needs no memory; what it told stays. */
  forget(uid: string): void;
  /** Keeps what waits, but tries nothing again. */
  close(): Promise<void>;
}

export interface TellerOptions {
  readonly tracking: Shared;
  readonly clock: Clock;
  readonly report: (error: unknown) => void;
}

const RETRY_MS = 5_000;
/** Of one transaction, which holds up other writers on SQLite. One object may tell more. */
const OBJECTS_AT_ONCE = 500;
const EVENTS_AT_ONCE = 2_000;

/** Begins when there is something to tell. */
export function createLineageTeller({ tracking, clock, report }: TellerOptions): LineageTeller {
  const known = new Map<string, string>();
  const waiting = new Map<string, Told>();
  const failed = new Map<string, Told>();
  let working: Promise<void> | undefined;
  let cancelRetry: (() => void) | undefined;
  const begin = () => {
    working ??= work().finally(() => {
      working = undefined;
    });
  };
  const retry = () => {
    cancelRetry = undefined;
    for (const [uid, told] of failed) if (!waiting.has(uid)) waiting.set(uid, told);
    failed.clear();
    begin();
  };
  const tryLater = (batch: readonly Told[]) => {
    for (const told of batch) if (!waiting.has(told.uid)) failed.set(told.uid, told);
    cancelRetry ??= clock.after(RETRY_MS, retry);
  };
  const keep = async (batch: readonly Told[]): Promise<void> => {
    try {
      await recordAll(tracking, batch.flatMap(toOwned));
      for (const { uid, events } of batch) known.set(uid, JSON.stringify(events));
    } catch (error) {
      const isAway = isStatusError(explainDatabaseError(error), 'ServiceUnavailable');
      // One of them may be what cannot be kept: the others are.
      if (batch.length > 1 && !isAway) for (const told of batch) await keep([told]);
      else {
        report(error);
        tryLater(batch);
      }
    }
  };
  const work = async () => {
    // Those that come in one turn go together.
    await Promise.resolve();
    while (waiting.size > 0) await keep(takeBatch(waiting));
  };
  return {
    tell: (told) => {
      failed.delete(told.uid);
      if (told.events.length === 0 || known.get(told.uid) === JSON.stringify(told.events)) return;
      waiting.set(told.uid, told);
      begin();
    },
    forget: (uid) => void known.delete(uid),
    close: async () => {
      cancelRetry?.();
      await working;
      cancelRetry?.();
    },
  };
}

function takeBatch(waiting: Map<string, Told>): readonly Told[] {
  const batch: Told[] = [];
  let countEvents = 0;
  for (const [uid, told] of waiting) {
    countEvents += told.events.length;
    if (batch.length > 0 && (batch.length >= OBJECTS_AT_ONCE || countEvents > EVENTS_AT_ONCE)) break;
    waiting.delete(uid);
    batch.push(told);
  }
  return batch;
}

function toOwned({ workspace, events }: Told): readonly OwnedEvent[] {
  return events.map((event) => ({ workspace, event }));
}
