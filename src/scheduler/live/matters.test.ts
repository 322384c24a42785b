/** Words on a status and heartbeats make no new plan; everything that a plan reads does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../../kube/pod.ts';
import { node, pod } from '../objects/test-objects.ts';
import { isNodeChanged, isPodChanged } from './matters.ts';

const waiting = pod('p', { cpu: '1' });
const bound: Pod = { ...waiting, spec: { ...waiting.spec, nodeName: 'n' } };

function withCondition(of: Pod, type: string, status: 'True' | 'False' = 'True'): Pod {
  const lastTransitionTime = '2026-01-01T00:00:00Z';
  return { ...of, status: { ...of.status, conditions: [{ type, status, lastTransitionTime }] } };
}

const POD_CASES: Record<string, { before: Pod; after: Pod; expected?: boolean; want: boolean }> = {
  'why it waits': {
    before: waiting,
    after: withCondition(waiting, 'PodScheduled', 'False'),
    want: false,
  },
  'what the agent says of its containers': {
    before: bound,
    after: withCondition(bound, 'Ready'),
    want: false,
  },
  'a binding of somebody else': { before: waiting, after: bound, want: true },
  'a binding of our own': {
    before: waiting,
    after: withCondition(bound, 'PodScheduled'),
    expected: true,
    want: false,
  },
  'a binding of our own, and that it is to go': {
    before: waiting,
    after: { ...bound, metadata: { ...bound.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } },
    expected: true,
    want: true,
  },
  'that it is to go': {
    before: bound,
    after: { ...bound, metadata: { ...bound.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } },
    want: true,
  },
  'its end': { before: bound, after: { ...bound, status: { phase: 'Succeeded' } }, want: true },
  'another label after its end': {
    before: { ...bound, status: { phase: 'Failed' } },
    after: { ...bound, metadata: { ...bound.metadata, labels: { a: 'b' } }, status: { phase: 'Failed' } },
    want: false,
  },
  'another queue': {
    before: waiting,
    after: { ...waiting, metadata: { ...waiting.metadata, labels: { 'athanor.dev/queue': 'a' } } },
    want: true,
  },
  'another pod of the same name': {
    before: waiting,
    after: { ...waiting, metadata: { ...waiting.metadata, uid: 'other' } },
    want: true,
  },
};

for (const [name, { before, after, expected = false, want }] of Object.entries(POD_CASES))
  test(`isPodChanged() of ${name}: ${want}`, () => {
    assert.equal(isPodChanged(before, after, { isExpected: () => expected }), want);
  });

test('isNodeChanged() overlooks a heartbeat, and sees what plans read', () => {
  const before = node('n', { cpu: '1' });
  const at = (lastHeartbeatTime: string) => ({ type: 'Ready', status: 'True' as const, lastHeartbeatTime });
  const beaten = { ...before, status: { ...before.status, conditions: [at('2026-01-01T00:00:00Z')] } };
  assert.equal(isNodeChanged(before, beaten), false);
  assert.equal(isNodeChanged(undefined, before), true);
  assert.equal(isNodeChanged(before, node('n', { cpu: '2' })), true);
  assert.equal(isNodeChanged(before, node('n', { cpu: '1' }, { labels: { rack: 'a' } })), true);
  assert.equal(isNodeChanged(before, { ...before, spec: { unschedulable: true } }), true);
});
