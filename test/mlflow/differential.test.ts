/**
 * The same requests to the real MLflow server and to ours, on SQLite and on PostgreSQL: the same answers, ids, times and
 * the database's words aside. Where we differ on purpose, the step says why.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { TrackingServer } from '../../src/tracking/server.ts';
import { startTestTracking } from '../../src/tracking/test-tracking.ts';
import { useBothDatabases } from '../both-databases.ts';
import { randomSequence } from './random-sequence.ts';
import { SEQUENCES } from './sequences.ts';
import { type MlflowServer, startMlflow } from './server.ts';
import { type Answer, isSame, play, type Step } from './steps.ts';

const SEEDS = [1, 2, 3, 4, 5, 6];
const sequences: Readonly<Record<string, readonly Step[]>> = {
  ...SEQUENCES,
  ...Object.fromEntries(SEEDS.map((seed) => [`random requests of seed ${seed}`, randomSequence(seed)])),
};

const { home, databases } = useBothDatabases();
const theirs = new Map<string, readonly Answer[]>();

before(async () => {
  const peer: MlflowServer = await startMlflow();
  for (const [title, steps] of Object.entries(sequences)) theirs.set(title, await play(peer.url, slug(title), steps));
  await peer.close();
});

/** A text that no other sequence has, without digits that could be an id. */
function slug(title: string): string {
  return title.replaceAll(/\d/g, (digit) => 'abcdefghij'.charAt(Number(digit))).replaceAll(' ', '-');
}

for (const [dialect, open] of Object.entries(databases)) {
  describe(`answers as MLflow's server, on ${dialect}`, () => {
    let ours: TrackingServer;
    before(async () => {
      const database = await open();
      ours = await startTestTracking({ home, database });
    });
    after(() => ours.close());
    for (const [title, steps] of Object.entries(sequences)) {
      test(title, async () => {
        const answers = await play(ours.url, slug(title), steps);
        const wrong = steps.flatMap((step, index) => findDifference(title, step, index, answers[index]));
        assert.deepEqual(wrong, []);
      });
    }
  });
}

function findDifference(...[title, step, index, own]: [string, Step, number, Answer | undefined]): string[] {
  const peer = theirs.get(title)?.[index];
  assert.ok(own !== undefined && peer !== undefined);
  if (isSame(step, own, peer) === (step.differs === undefined)) return [];
  const what = `${index} ${step.method} ${step.path} ${JSON.stringify(step.query ?? step.body)?.slice(0, 200)}`;
  if (step.differs !== undefined) return [`${what}: the answers are the same now, though '${step.differs}'`];
  return [`${what}\n  MLflow ${JSON.stringify(peer).slice(0, 600)}\n  ours   ${JSON.stringify(own).slice(0, 600)}`];
}
