/** Many objects that tell of lineage at once, as at each start: few transactions, and none holds up the others. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { useBothDatabases } from '../../../test/both-databases.ts';
import { until } from '../../../test/until.ts';
import { VirtualClock } from '../../base/clock.ts';
import type { TrackingServer } from '../server.ts';
import { startTestTracking } from '../test-tracking.ts';
import type { Shared } from '../tracking.ts';
import type { LineageEvent } from './lineage.ts';
import { createLineageTeller, type Told } from './lineage-teller.ts';

const OBJECTS = 1_200;
const { home, databases } = useBothDatabases();

/** What a job tells that reads a data set, or its `eventTime` is nonsense. */
function toldBy(index: number, { version = '1', eventTime = '2026-01-01T00:00:00Z' } = {}): Told {
  const uid = `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`;
  const events: readonly LineageEvent[] = ['START', 'COMPLETE'].map((eventType) => ({
    eventType,
    eventTime,
    producer: 'test',
    run: { runId: uid },
    job: { namespace: 'jobs', name: `job-${index}` },
    inputs: [{ namespace: 'n', name: 'data', facets: { version: { datasetVersion: version } } }],
  }));
  return { uid, workspace: `space-${index % 3}`, events };
}

/** Tracking that counts transactions; the first `failures` of them find no database. */
function countTransactions(tracking: Shared, failures = 0) {
  const counted = { transactions: 0 };
  const db = new Proxy(tracking.db, {
    get: (target, name) => {
      if (name !== 'transaction') return Reflect.get(target, name);
      counted.transactions++;
      if (counted.transactions <= failures) throw Object.assign(new Error('no answer'), { code: 'ECONNREFUSED' });
      return target.transaction.bind(target);
    },
  });
  return { counted, tracking: { ...tracking, db } };
}

for (const [dialect, open] of Object.entries(databases)) {
  describe(`lineage that many tell, on ${dialect}`, () => {
    let server: TrackingServer;
    before(async () => {
      const database = await open();
      server = await startTestTracking({ home, database });
    });
    after(() => server.close());
    const countEvents = async (like: string) =>
      (
        await server.tracking.db
          .selectFrom('tracking_lineage_events')
          .select('workspace')
          .where('content', 'like', `%${like}%`)
          .execute()
      ).map(({ workspace }) => workspace);

    test('all of it is kept, each in its workspace, in few transactions, and told again costs nothing', async () => {
      const { counted, tracking } = countTransactions(server.tracking);
      const teller = createLineageTeller({ tracking, clock: new VirtualClock(), report: assert.ifError });
      for (let index = 0; index < OBJECTS; index++) teller.tell(toldBy(index));
      await teller.close();
      const found = await countEvents('jobs');
      assert.equal(found.length, 2 * OBJECTS);
      assert.equal(found.filter((workspace) => workspace === 'space-1').length, (2 * OBJECTS) / 3);
      assert.equal(counted.transactions, 3);
      for (let index = 0; index < OBJECTS; index++) teller.tell(toldBy(index));
      await teller.close();
      assert.equal(counted.transactions, 3);
    });

    test('one that cannot be kept holds up no other, and is tried again', async () => {
      const reported: unknown[] = [];
      const clock = new VirtualClock();
      const { tracking } = server;
      const teller = createLineageTeller({ tracking, clock, report: (error) => reported.push(error) });
      for (let index = 5_000; index < 5_010; index++) {
        teller.tell(toldBy(index, { version: 'second', ...(index === 5_004 && { eventTime: 'soon' }) }));
      }
      await until('the others are kept', async () => (await countEvents('second')).length === 18);
      await until('it was reported', () => reported.length === 1);
      teller.tell(toldBy(5_004, { version: 'second' }));
      clock.advance(5_000);
      await teller.close();
      assert.deepEqual([(await countEvents('second')).length, reported.length], [20, 1]);
    });

    test('without a database all wait together, and the newest is what is told then', async () => {
      const reported: unknown[] = [];
      const clock = new VirtualClock();
      const { counted, tracking } = countTransactions(server.tracking, 1);
      const teller = createLineageTeller({ tracking, clock, report: (error) => reported.push(error) });
      for (let index = 6_000; index < 6_010; index++) teller.tell(toldBy(index, { version: 'third' }));
      await until('it was reported', () => reported.length === 1);
      assert.equal(counted.transactions, 1);
      clock.advance(5_000);
      teller.tell(toldBy(6_000, { version: 'fourth' }));
      await teller.close();
      assert.deepEqual([(await countEvents('third')).length, (await countEvents('fourth')).length], [18, 2]);
      assert.equal(counted.transactions, 2);
    });
  });
}
