/** Events in their turn, a few at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../../kube/object.ts';
import { EventQueue } from './event-queue.ts';

const object: KubeObject = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'x' } };
const said = (message: string) => ({ type: 'Normal' as const, reason: 'Said', message });

test('EventQueue writes in order, a few at once, and drops the rest when it is closed', async () => {
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const queue = new EventQueue((_, { message }) => {
    begun.push(message);
    return new Promise((resolve) => ends.push(resolve));
  });
  for (const message of ['a', 'b', 'c', 'd']) queue.record(object, said(message));
  assert.deepEqual(begun, ['a', 'b'], 'two requests are under way at once');
  ends[0]?.();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(begun, ['a', 'b', 'c']);
  const closed = queue.close();
  for (const end of ends) end();
  await closed;
  queue.record(object, said('e'));
  assert.deepEqual(begun, ['a', 'b', 'c']);
});
