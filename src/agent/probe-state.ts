/** The state machine of one probe: thresholds and verdicts, as a kubelet counts them. Pure; probes nothing. */
import type { Probe } from '../kube/pod.ts';

export interface ProbeState {
  readonly successes: number;
  readonly failures: number;
  /** The verdict: unknown until a threshold is reached. */
  readonly verdict: 'unknown' | 'success' | 'failure';
}

/** A probe that has not been tried. */
export const NEW_PROBE: ProbeState = { successes: 0, failures: 0, verdict: 'unknown' };

/** The state after one more result. */
export function countProbe(state: ProbeState, isSuccess: boolean, probe: Probe): ProbeState {
  const successes = isSuccess ? state.successes + 1 : 0;
  const failures = isSuccess ? 0 : state.failures + 1;
  const { successThreshold = 1, failureThreshold = 3 } = probe;
  if (successes >= successThreshold) return { successes, failures, verdict: 'success' };
  if (failures >= failureThreshold) return { successes, failures, verdict: 'failure' };
  return { successes, failures, verdict: state.verdict };
}

/** Delay from the container's start to the first probe. */
export function firstProbeDelayMs({ initialDelaySeconds = 0 }: Probe): number {
  return initialDelaySeconds * 1000;
}

/** Delay between probes. */
export function probePeriodMs({ periodSeconds = 10 }: Probe): number {
  return Math.max(1, periodSeconds) * 1000;
}

/** How long one probe may take. */
export function probeTimeoutMs({ timeoutSeconds = 1 }: Probe): number {
  return Math.max(1, timeoutSeconds) * 1000;
}
