/** Conditions: what is true of an object, since when, and why. */

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
  readonly observedGeneration?: number;
}

/** What a reconcile says of one condition; the time is added by `mergeConditions`. */
export type ConditionNow = Omit<Condition, 'lastTransitionTime'>;

/** The new list: each condition keeps its transition time while its status stays the same. Types not named are kept. */
export function mergeConditions(
  before: readonly Condition[] | undefined,
  now: readonly ConditionNow[],
  nowMs: number,
): readonly Condition[] {
  const kept = (before ?? []).filter(({ type }) => !now.some((condition) => condition.type === type));
  const merged = now.map((condition) => {
    const old = before?.find(({ type }) => type === condition.type);
    const changed = old?.status !== condition.status || old.lastTransitionTime === undefined;
    return { ...condition, lastTransitionTime: changed ? formatTime(nowMs) : old.lastTransitionTime };
  });
  return [...kept, ...merged];
}

/** True when the condition of that type has status True. */
export function isConditionTrue(conditions: readonly Condition[] | undefined, type: string): boolean {
  return conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false;
}

/** The condition of that type, if it was ever set. */
export function findCondition<C extends Condition>(conditions: readonly C[] | undefined, type: string): C | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/** Kubernetes' time: RFC 3339, whole seconds, UTC. */
export function formatTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** Kubernetes' MicroTime: six digits of a second, as leases use. */
export function formatMicroTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}
