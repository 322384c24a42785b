/** What queues used before, forgotten by half: U = sum over time of 0.5^(age / half-life) x what was held. */
import type { Amounts } from '../amounts.ts';

/** Use of queues at one moment; amounts are averages over the remembered past, in the unit of what was held. */
export interface Usage {
  readonly atMs: number;
  readonly byQueue: ReadonlyMap<string, Amounts>;
}

/** Nothing was used. */
export function emptyUsage(nowMs: number): Usage {
  return { atMs: nowMs, byQueue: new Map() };
}

/** Use once `held` has been held since the last time. A moment before it changes nothing. */
export function recordUsage(
  before: Usage,
  held: ReadonlyMap<string, Amounts>,
  { nowMs, halfLifeMs }: { readonly nowMs: number; readonly halfLifeMs: number },
): Usage {
  const elapsedMs = nowMs - before.atMs;
  if (elapsedMs <= 0) return before;
  const kept = 0.5 ** (elapsedMs / halfLifeMs);
  const byQueue = new Map<string, Amounts>();
  for (const queue of new Set([...before.byQueue.keys(), ...held.keys()])) {
    const old = before.byQueue.get(queue) ?? {};
    const now = held.get(queue) ?? {};
    const resources = new Set([...Object.keys(old), ...Object.keys(now)]);
    const mixed = [...resources].map((resource) => {
      return [resource, kept * (old[resource] ?? 0) + (1 - kept) * (now[resource] ?? 0)] as const;
    });
    byQueue.set(queue, Object.fromEntries(mixed));
  }
  return { atMs: nowMs, byQueue };
}
