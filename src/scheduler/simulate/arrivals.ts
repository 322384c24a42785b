/**
 * The published experiment on placement: a trace's pods arrive in random order, more are drawn until the demand for
 * devices reaches a multiple of the capacity, and each is placed or dropped for good (Weng et al., ATC 2023, section
 * 6). The policies and the pool are the scheduler's own.
 */
import { type Random, seededRandom } from '../../base/random.ts';
import { findTypicalTasks } from '../placement/fgd.ts';
import { Placer } from '../placement/placer.ts';
import { POLICIES, type PolicyName } from '../placement/policies.ts';
import { Pool, type PoolNode, WHOLE_MILLI } from '../pool/pool.ts';
import type { TracePod } from './openb.ts';

/** What to try. */
export interface ArrivalOptions {
  readonly nodes: readonly PoolNode[];
  readonly pods: readonly TracePod[];
  readonly policy: PolicyName;
  readonly seed: number;
  /** Demand for devices against the capacity, above 0; undefined: each pod of the trace arrives once. */
  readonly inflate?: number | undefined;
}

/** How it went. */
export interface ArrivalResult {
  readonly policy: PolicyName;
  readonly seed: number;
  readonly nodes: number;
  readonly devices: number;
  readonly pods: number;
  readonly placed: number;
  readonly dropped: number;
  /** Devices that the pods that arrived asked for, against all there are. */
  readonly arrivedRatio: number;
  /** Devices that are held in the end, against all there are, 0..1. */
  readonly allocationRatio: number;
  /** The same for CPU. */
  readonly cpuAllocationRatio: number;
  /** Allocation once demand for 10 %, 20 %, ... of the devices has arrived. */
  readonly allocationByArrived: readonly { readonly arrived: number; readonly allocationRatio: number }[];
}

/** O(pods x nodes). The same options give the same result on every machine. */
export function simulateArrivals(options: ArrivalOptions): ArrivalResult {
  const { nodes, policy, seed, inflate } = options;
  const random = seededRandom(seed);
  const pool = new Pool(nodes);
  const capacity = pool.devices.length * WHOLE_MILLI;
  const arriving = drawArrivals(options.pods, inflate === undefined ? undefined : inflate * capacity, random);
  const typical = findTypicalTasks(options.pods.map(({ demand }) => pool.classOf(demand)));
  const placer = new Placer(pool, POLICIES[policy].prefer({ pool, typical, random }));
  const cpuBefore = cpuOf(pool);
  const byArrived: { arrived: number; allocationRatio: number }[] = [];
  let arrived = 0;
  let held = 0;
  let placed = 0;
  for (const pod of arriving) {
    if (placer.place(pool.classOf(pod.demand)) !== undefined) {
      placed += 1;
      held += pod.deviceMilli;
    }
    arrived += pod.deviceMilli;
    const tenths = capacity === 0 ? 0 : Math.floor((10 * arrived) / capacity);
    while (byArrived.length < tenths)
      byArrived.push({ arrived: (byArrived.length + 1) / 10, allocationRatio: held / capacity });
  }
  return {
    policy,
    seed,
    nodes: pool.nodes.length,
    devices: pool.devices.length,
    pods: arriving.length,
    placed,
    dropped: arriving.length - placed,
    arrivedRatio: ratio(arrived, capacity),
    allocationRatio: ratio(held, capacity),
    cpuAllocationRatio: ratio(cpuBefore - cpuOf(pool), cpuBefore),
    allocationByArrived: byArrived,
  };
}

/** The pods in random order; with a target, then pods drawn at random until the next would lead beyond it. */
export function drawArrivals(
  pods: readonly TracePod[],
  targetMilli: number | undefined,
  random: Random,
): readonly TracePod[] {
  const byName = pods.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const arriving = shuffle(byName, random);
  if (targetMilli === undefined || pods.every(({ deviceMilli }) => deviceMilli === 0)) return arriving;
  let demand = arriving.reduce((sum, { deviceMilli }) => sum + deviceMilli, 0);
  if (demand >= targetMilli) return cutAt(arriving, targetMilli);
  for (;;) {
    // why: the index is within the list
    const next = byName[Math.floor(random() * byName.length)] as TracePod;
    // why: the published experiment looks at the next pod's share of one device, not of all it asks for
    if (demand + Math.min(WHOLE_MILLI, next.deviceMilli) > targetMilli) return arriving;
    arriving.push(next);
    demand += next.deviceMilli;
  }
}

function cutAt(pods: readonly TracePod[], targetMilli: number): TracePod[] {
  const kept: TracePod[] = [];
  let demand = 0;
  for (const pod of pods) {
    if (demand + pod.deviceMilli > targetMilli) break;
    demand += pod.deviceMilli;
    kept.push(pod);
  }
  return kept;
}

/** Fisher and Yates' shuffle (Knuth, TAOCP 2, algorithm P), of a copy. */
function shuffle<T>(items: readonly T[], random: Random): T[] {
  const shuffled = [...items];
  for (let last = shuffled.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    const held = shuffled[last] as T; // why: both indexes are within the list
    shuffled[last] = shuffled[other] as T; // why: as above
    shuffled[other] = held;
  }
  return shuffled;
}

function cpuOf(pool: Pool): number {
  return pool.nodes.reduce((sum, _, node) => sum + pool.cpuLeft(node), 0);
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
