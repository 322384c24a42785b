/** Status fields that several kinds share. */
import { z } from 'zod';
import type { Condition } from '../../kube/condition.ts';
import type { ContainerStatus, Pod } from '../../kube/pod.ts';

export const Conditions = z
  .array(
    z.object({
      type: z.string().describe('What is said to be true or not.'),
      status: z.enum(['True', 'False', 'Unknown']).describe('Whether it is.'),
      reason: z.string().exactOptional().describe('Why, in one word for machines.'),
      message: z.string().exactOptional().describe('Why, in a sentence for people.'),
      lastTransitionTime: z.string().exactOptional().describe('When the status last changed.'),
      observedGeneration: z.number().int().exactOptional().describe('Generation of the spec this was said of.'),
    }),
  )
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] })
  .describe('What is true of the object, since when and why.');

export type Conditions = readonly Condition[];

/** How a pod's work ended: its first container that failed, or the main one. */
export interface Ending {
  readonly container: string;
  readonly exitCode: number;
  readonly reason: string;
  readonly message: string;
}

/** The failure of a pod as its containers tell it; undefined while nothing has failed. */
export function findFailure({ status }: Pod): Ending | undefined {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const failed = all.find(({ state }) => state.terminated !== undefined && state.terminated.exitCode !== 0);
  if (failed !== undefined) return toEnding(failed);
  if (status?.phase !== 'Failed') return undefined;
  return { container: '', exitCode: 1, reason: status.reason ?? 'Failed', message: status.message ?? 'the pod failed' };
}

/** What keeps a pod from starting, when that will not pass by itself. */
export function findBlock({ status }: Pod): { readonly reason: string; readonly message: string } | undefined {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const blocked = all.find(({ state }) => BLOCKING.has(state.waiting?.reason ?? ''));
  if (blocked === undefined) return undefined;
  const { reason = '', message = '' } = blocked.state.waiting ?? {};
  return { reason, message: blocked.lastState?.terminated?.message?.trim() || message };
}

const BLOCKING = new Set([
  'ImageNeedsContainerRuntime',
  'CreateContainerConfigError',
  'ImagePullBackOff',
  'ErrImagePull',
  'InvalidImageName',
  'CrashLoopBackOff',
]);

/** The termination message of a container that ended well, as an object. */
export function readResult(pod: Pod, container: string): Readonly<Record<string, unknown>> | undefined {
  const ended = pod.status?.containerStatuses?.find(({ name }) => name === container)?.state.terminated;
  if (ended?.exitCode !== 0 || ended.message === undefined) return undefined;
  try {
    return JSON.parse(ended.message) as Readonly<Record<string, unknown>>; // why: written by the launcher
  } catch {
    return undefined; // why: user code may write what it likes there
  }
}

function toEnding({ name, state }: ContainerStatus): Ending {
  const { exitCode = 1, reason = 'Error', message = '' } = state.terminated ?? {};
  return { container: name, exitCode, reason, message };
}
