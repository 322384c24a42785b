/** Tables of pods as seen, and what to do about them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod, PodSpec } from '../kube/pod.ts';
import type { ContainerEnd, ContainerRecord } from './container-record.ts';
import { type ContainerView, type PodView, planPod, type Waiting } from './plan-pod.ts';
import { computePodStatus } from './pod-status.ts';

const NOW_MS = 1_000_000;
const backoff = { firstMs: 10_000, maxMs: 300_000, resetMs: 600_000 };
const run = { id: 'r', pid: 1, startTicks: 1, startedAtMs: 0 };

function end(exitCode: number, finishedAtMs = NOW_MS): ContainerEnd {
  return { id: 'e', exitCode, reason: exitCode === 0 ? 'Completed' : 'Error', startedAtMs: 0, finishedAtMs };
}

function seen(record: Partial<ContainerRecord>, waiting?: Waiting): ContainerView {
  const isRunning = record.run !== undefined;
  const whole = { restartCount: 0, failures: 0, ...record };
  return { record: whole, isStarted: isRunning, isReady: isRunning, ...(waiting && { waiting }) };
}

interface Case {
  readonly spec?: Partial<PodSpec>;
  readonly seen?: Record<string, ContainerView>;
  readonly deleted?: boolean;
  readonly noVolumes?: boolean;
  readonly want: { start?: string[]; stop?: string[]; wakeAtMs?: number; phase: string; reasons: string[] };
}

const init = {
  initContainers: [
    { name: 'i1', image: 'x' },
    { name: 'i2', image: 'x' },
  ],
};
const never = { restartPolicy: 'Never' } as const;

const CASES: Record<string, Case> = {
  'a new pod starts its containers': {
    want: { start: ['a', 'b'], phase: 'Pending', reasons: ['ContainerCreating', 'ContainerCreating'] },
  },
  'nothing starts before the volumes are there': {
    noVolumes: true,
    want: { phase: 'Pending', reasons: ['ContainerCreating', 'ContainerCreating'] },
  },
  'the first init container comes first': {
    spec: init,
    want: {
      start: ['i1'],
      phase: 'Pending',
      reasons: ['ContainerCreating', 'PodInitializing', 'PodInitializing', 'PodInitializing'],
    },
  },
  'the second follows the success of the first': {
    spec: init,
    seen: { i1: seen({ end: end(0), failures: 1 }) },
    want: {
      start: ['i2'],
      phase: 'Pending',
      reasons: ['Completed', 'PodInitializing', 'PodInitializing', 'PodInitializing'],
    },
  },
  'a failed init container ends a pod that never restarts': {
    spec: { ...init, ...never },
    seen: { i1: seen({ end: end(1), failures: 1 }) },
    want: { phase: 'Failed', reasons: ['Error', 'PodInitializing', 'PodInitializing', 'PodInitializing'] },
  },
  'running containers are left alone': {
    seen: { a: seen({ run }), b: seen({ run }) },
    want: { phase: 'Running', reasons: ['running', 'running'] },
  },
  'the first crash is followed by a start at once': {
    seen: { a: seen({ end: end(1), failures: 1 }), b: seen({ run }) },
    want: { start: ['a'], phase: 'Running', reasons: ['Error', 'running'] },
  },
  'the second crash waits': {
    seen: { a: seen({ end: end(1), failures: 2, restartCount: 1 }), b: seen({ run }) },
    want: { wakeAtMs: NOW_MS + 10_000, phase: 'Running', reasons: ['CrashLoopBackOff', 'running'] },
  },
  'many crashes wait five minutes at most': {
    seen: { a: seen({ end: end(1), failures: 20, restartCount: 19 }), b: seen({ run }) },
    want: { wakeAtMs: NOW_MS + 300_000, phase: 'Running', reasons: ['CrashLoopBackOff', 'running'] },
  },
  'a wait that is over ends in a start': {
    seen: { a: seen({ end: end(1, NOW_MS - 10_000), failures: 2 }), b: seen({ run }) },
    want: { start: ['a'], phase: 'Running', reasons: ['Error', 'running'] },
  },
  'OnFailure leaves success alone': {
    spec: { restartPolicy: 'OnFailure' },
    seen: { a: seen({ end: end(0), failures: 1 }), b: seen({ end: end(2), failures: 1 }) },
    want: { start: ['b'], phase: 'Running', reasons: ['Completed', 'Error'] },
  },
  'all successes make a success': {
    spec: never,
    seen: { a: seen({ end: end(0) }), b: seen({ end: end(0) }) },
    want: { phase: 'Succeeded', reasons: ['Completed', 'Completed'] },
  },
  'one failure makes a failure, once all have ended': {
    spec: never,
    seen: { a: seen({ end: end(0) }), b: seen({ end: end(1) }) },
    want: { phase: 'Failed', reasons: ['Completed', 'Error'] },
  },
  'a container without configuration waits for its next try': {
    seen: { a: seen({}, { reason: 'CreateContainerConfigError', retryAtMs: NOW_MS + 5 }), b: seen({ run }) },
    want: { wakeAtMs: NOW_MS + 5, phase: 'Pending', reasons: ['CreateContainerConfigError', 'running'] },
  },
  'a deleted pod stops what runs and starts nothing': {
    deleted: true,
    seen: { a: seen({ run }), b: seen({ end: end(1) }) },
    want: { stop: ['a'], phase: 'Running', reasons: ['running', 'Error'] },
  },
  'a deleted pod that has stopped is over': {
    deleted: true,
    seen: { a: seen({ end: end(143) }), b: seen({ end: end(0) }) },
    want: { phase: 'Failed', reasons: ['Error', 'Completed'] },
  },
};

for (const [name, { spec = {}, seen = {}, deleted = false, noVolumes = false, want }] of Object.entries(CASES)) {
  test(`planPod(): ${name}`, () => {
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'd', uid: 'u', ...(deleted && { deletionTimestamp: '2026-01-01T00:00:00Z' }) },
      spec: {
        containers: [
          { name: 'a', image: 'x' },
          { name: 'b', image: 'x' },
        ],
        restartPolicy: 'Always',
        ...spec,
      },
    };
    const containers = new Map(Object.entries(seen));
    const view: PodView = { pod, nowMs: NOW_MS, containers, areVolumesReady: !noVolumes, backoff };
    const plan = planPod(view);
    const { start = [], stop = [], wakeAtMs, phase, reasons } = want;
    assert.deepEqual({ start: plan.start, stop: plan.stop, wakeAtMs: plan.wakeAtMs }, { start, stop, wakeAtMs });
    const status = computePodStatus({ view, plan, podIp: '127.64.0.1', hostIp: '127.0.0.1', startedAtMs: 0 });
    const states = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])].map(
      ({ state }) => state,
    );
    const told = states.map(({ waiting, terminated }) => waiting?.reason ?? terminated?.reason ?? 'running');
    assert.deepEqual({ phase: status.phase, reasons: told }, { phase, reasons });
  });
}
