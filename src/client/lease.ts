/**
 * Leader election by a Lease: one holder at a time, renewed while it lives, taken over when it does not. Source:
 * client-go leaderelection.
 */
import { type Clock, pause } from '../base/clock.ts';
import { formatMicroTime } from '../kube/condition.ts';
import type { ObjectOf } from '../kube/object.ts';
import { isStatusError } from '../kube/status-error.ts';
import { WELL_KNOWN } from '../kube/well-known.ts';
import type { ApiClient } from './types.ts';

export interface LeaseOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly name: string;
  readonly namespace: string;
  /** Who asks; different for each process. */
  readonly identity: string;
  readonly durationMs?: number;
  readonly report?: (error: unknown) => void;
}

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

type Lease = ObjectOf<LeaseSpec>;

const DURATION_DEFAULT_MS = 15_000;

/**
 * Calls `lead` each time the lease is won, with a signal that aborts when it is lost; returns when `signal` aborts.
 * A holder that cannot renew stops leading before another one may start.
 */
export async function holdLease(
  options: LeaseOptions,
  lead: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { clock, durationMs = DURATION_DEFAULT_MS, report = () => undefined } = options;
  const seen: Observation = { renewTime: undefined, atMs: clock.nowMs() };
  while (!signal.aborted) {
    if (await tryAcquire(options, seen).catch(reportFalse(report)))
      await leadWhileHeld({ options, lead, signal, seen });
    await pause(clock, durationMs / 5, signal);
  }
}

interface Observation {
  renewTime: string | undefined;
  atMs: number;
}

interface Term {
  readonly options: LeaseOptions;
  readonly lead: (signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  readonly seen: Observation;
}

async function leadWhileHeld({ options, lead, signal, seen }: Term): Promise<void> {
  const { clock, durationMs = DURATION_DEFAULT_MS, report = () => undefined } = options;
  if (signal.aborted) return release(options).catch(report); // why: told to stop while it was asking
  const term = new AbortController();
  const stop = () => term.abort();
  signal.addEventListener('abort', stop, { once: true });
  const work = lead(term.signal).catch(report).finally(stop);
  // A renewal that hangs must not keep the term alive: the deadline counts from when the last good one was sent.
  let cancelDeadline = clock.after((durationMs * 2) / 3, stop);
  while (!term.signal.aborted) {
    await pause(clock, durationMs / 5, term.signal);
    if (term.signal.aborted) break;
    const sentAtMs = clock.nowMs();
    if (!(await tryAcquire(options, seen).catch(reportFalse(report)))) continue;
    cancelDeadline();
    cancelDeadline = clock.after(sentAtMs + (durationMs * 2) / 3 - clock.nowMs(), stop);
  }
  cancelDeadline();
  signal.removeEventListener('abort', stop);
  await work;
  if (signal.aborted) await release(options).catch(report);
}

function reportFalse(report: (error: unknown) => void): (error: unknown) => false {
  return (error) => {
    if (!isStatusError(error, 'Conflict') && !isStatusError(error, 'AlreadyExists')) report(error);
    return false;
  };
}

async function tryAcquire(options: LeaseOptions, seen: Observation): Promise<boolean> {
  const { client, clock, name, namespace, identity, durationMs = DURATION_DEFAULT_MS } = options;
  const found = await findLease(options);
  const now = formatMicroTime(clock.nowMs());
  const fresh: LeaseSpec = {
    holderIdentity: identity,
    leaseDurationSeconds: Math.ceil(durationMs / 1000),
    acquireTime: now,
    renewTime: now,
  };
  if (found === undefined) {
    await client.create<Lease>(WELL_KNOWN.Lease, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name, namespace },
      spec: { ...fresh, leaseTransitions: 0 },
    });
    return true;
  }
  const { holderIdentity = '', renewTime, acquireTime, leaseTransitions = 0 } = found.spec;
  if (seen.renewTime !== renewTime) Object.assign(seen, { renewTime, atMs: clock.nowMs() });
  const isMine = holderIdentity === identity;
  if (!isMine && holderIdentity !== '' && clock.nowMs() - seen.atMs < durationMs) return false;
  const kept = isMine
    ? { ...fresh, acquireTime: acquireTime ?? now, leaseTransitions }
    : { ...fresh, leaseTransitions: leaseTransitions + 1 };
  await client.update<Lease>(WELL_KNOWN.Lease, { ...found, spec: kept });
  return true;
}

async function findLease({ client, name, namespace }: LeaseOptions): Promise<Lease | undefined> {
  try {
    return await client.get<Lease>(WELL_KNOWN.Lease, name, namespace);
  } catch (error) {
    if (isStatusError(error, 'NotFound')) return undefined;
    throw error;
  }
}

async function release(options: LeaseOptions): Promise<void> {
  const found = await findLease(options);
  if (found?.spec.holderIdentity !== options.identity) return;
  await options.client.update<Lease>(WELL_KNOWN.Lease, { ...found, spec: { ...found.spec, holderIdentity: '' } });
}
