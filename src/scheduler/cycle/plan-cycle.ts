/**
 * One decision about everything: who starts where, who is stopped for whom, and why the rest waits. A pure function of
 * a snapshot; equal snapshots make equal plans. The order of the passes is KAI-Scheduler's: start, grow, move, take
 * back (docs/developer/action-framework.md).
 */
import { seededRandom } from '../../base/random.ts';
import type { PolicyName } from '../placement/policies.ts';
import type { Pool, PoolNode } from '../pool/pool.ts';
import type { QueueTree } from '../queues/queue-tree.ts';
import type { Usage } from '../queues/usage.ts';
import { type NodePromise, promiseNodes } from './backfill.ts';
import { consolidate } from './consolidate.ts';
import { bothMasks, Fitter, type Mask } from './fit.ts';
import { checkGates, type Refusal } from './gates.ts';
import { Futile, Hopeless } from './hopeless.ts';
import { type Holding, Ledger } from './ledger.ts';
import { honourNominations, type Nomination, nominate } from './nominations.ts';
import { type Before, compareWorkloads, WaitingLine } from './order.ts';
import { isReservation, listActive, listUpcoming, type Reserved, startReserved } from './reservations.ts';
import { Service } from './service.ts';
import { Shares } from './shares.ts';
import { listStale, listUnwell } from './stops.ts';
import { makeRoom, type Search, type Victim } from './victims.ts';
import { livingMembers, type Workload } from './workload.ts';

/** Everything a plan depends on. */
export interface Scene {
  readonly nowMs: number;
  readonly nodes: readonly PoolNode[];
  readonly tree: QueueTree;
  readonly workloads: readonly Workload[];
  readonly policy: PolicyName;
  readonly usage?: Usage | undefined;
  readonly usageStrength?: number | undefined;
  /** Room promised before, while those who must leave it do so. */
  readonly nominations?: readonly Nomination[];
  /** Nodes whose members are stopped, so that they go elsewhere. */
  readonly drained?: ReadonlySet<string>;
  /** Nodes of which what stands on devices that are not well is stopped. */
  readonly drainedDevices?: ReadonlySet<string>;
  readonly reservations?: readonly Reserved[] | undefined;
  /** Who has waited so long for room is promised nodes; undefined: nobody is. */
  readonly promiseAfterMs?: number | undefined;
  /** Which of two waiting workloads of a queue goes first; default: priority, then age. */
  readonly before?: Before | undefined;
  /** False: others are never moved, or stopped. */
  readonly mayMove?: boolean;
  readonly mayStop?: boolean;
}

/** A workload that waits, and why. */
export interface Waiting {
  readonly workload: Workload;
  readonly refusal: Refusal;
  /** How many of its queue were tried before it. */
  readonly position: number;
}

/** The answer. */
export interface CyclePlan {
  /** Members that get their room now, a gang's together. */
  readonly starts: readonly { readonly workload: Workload; readonly holdings: readonly Holding[] }[];
  readonly victims: readonly Victim[];
  /** Room kept for members until those that were stopped for them have left. */
  readonly nominations: readonly Nomination[];
  readonly waiting: readonly Waiting[];
  /** Nodes kept for those who wait long, and for reservations that begin soon. */
  readonly promises: readonly NodePromise[];
  readonly shares: Shares;
  /** As it will be once all of it has happened. */
  readonly ledger: Ledger;
}

/** O(waiting x nodes), and more where room has to be made. */
export function planCycle(scene: Scene): CyclePlan {
  const ledger = new Ledger(scene.nodes, scene.tree);
  const workloads = seat(ledger, [...scene.workloads, ...listActive(scene)]);
  const shares = new Shares(ledger, { workloads, usage: scene.usage, usageStrength: scene.usageStrength });
  const fitter = new Fitter(ledger, { policy: scene.policy, random: seededRandom(1), workloads });
  const cycle = new Cycle(scene, { fitter, shares, workloads });
  cycle.stopStale();
  cycle.honour();
  cycle.start();
  cycle.grow();
  cycle.makeRoom();
  return cycle.finish();
}

/** Lets everybody who has room take it. Who stands on a node that is gone has none. Returns them in order of key. */
function seat(ledger: Ledger, unordered: readonly Workload[]): readonly Workload[] {
  const { pool } = ledger;
  const workloads = unordered.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  for (const workload of workloads)
    for (const member of workload.members) {
      if (member.on === undefined) continue;
      const node = pool.indexOf(member.on.node);
      if (node < 0) continue;
      const task = pool.classOf(member.demand);
      const first = pool.firstDevice[node] ?? 0;
      const devices = member.on.devices?.map((index) => first + index) ?? guessDevices(pool, task.count, node);
      ledger.take({ workload, member, placement: { task, node, devices } });
    }
  return workloads;
}

/** Whoever bound a pod without a word on devices: the idlest ones, so that none is given twice. */
function guessDevices(pool: Pool, count: number, node: number): readonly number[] {
  const first = pool.firstDevice[node] ?? 0;
  const all = Array.from({ length: (pool.firstDevice[node + 1] ?? first) - first }, (_, index) => first + index);
  return all.sort((a, b) => (pool.idle[b] ?? 0) - (pool.idle[a] ?? 0) || a - b).slice(0, count);
}

interface Parts {
  readonly fitter: Fitter;
  readonly shares: Shares;
  readonly workloads: readonly Workload[];
}

class Cycle {
  readonly #scene: Scene;
  readonly #parts: Parts;
  readonly #starts: { workload: Workload; holdings: readonly Holding[] }[] = [];
  readonly #started = new Set<Workload>();
  readonly #victims: Victim[] = [];
  readonly #nominations: Nomination[] = [];
  readonly #nominated = new Set<string>();
  /** In the order in which they were tried. */
  readonly #waiting = new Map<Workload, Waiting>();
  readonly #stopped = new Set<string>();
  readonly #before: Before;
  readonly #service: Service;
  readonly #promises: NodePromise[] = [];
  #hasPromised = false;

  constructor(scene: Scene, parts: Parts) {
    this.#scene = scene;
    this.#parts = parts;
    this.#service = new Service(scene.nowMs);
    this.#before = scene.before ?? compareWorkloads(parts.fitter.ledger, this.#service);
  }

  /** Gangs that were cut for too long, and members on nodes that are to be emptied. */
  stopStale(): void {
    const { nowMs, drained = new Set<string>(), drainedDevices = new Set<string>() } = this.#scene;
    const { fitter, workloads } = this.#parts;
    const unwell = { nodes: drained, deviceNodes: drainedDevices };
    const victims = [...listStale(fitter.ledger, workloads, nowMs), ...listUnwell(fitter.ledger, workloads, unwell)];
    for (const victim of victims) for (const holding of victim.holdings) fitter.ledger.release(holding);
    this.#stop(victims);
  }

  /** Who was promised room before anybody else of this cycle. */
  honour(): void {
    const { nominations = [], nowMs } = this.#scene;
    const { fitter, workloads } = this.#parts;
    const { starts, kept } = honourNominations(fitter, { nominations, workloads, nowMs });
    this.#starts.push(...starts);
    for (const { workload } of starts) this.#started.add(workload);
    this.#nominate(kept);
    const byKey = new Map(kept.length === 0 ? [] : workloads.map((one) => [one.key, one]));
    for (const { key } of kept) {
      const workload = byKey.get(key);
      const refusal = {
        reason: 'Nominated',
        message: 'waits for others to leave the room that is kept for it',
      } as const;
      if (workload !== undefined) this.#waiting.set(workload, { workload, refusal, position: 0 });
    }
  }

  /** Everybody who waits, in order, into the room there is. */
  start(): void {
    const { fitter, shares, workloads } = this.#parts;
    for (const { workload, startMs } of listUpcoming(this.#scene)) this.#keepNodes(workload, startMs);
    const waiting = workloads.filter((one) => !this.#isBusy(one) && this.#isUnstarted(one));
    const line = new WaitingLine(fitter.ledger, shares, { waiting, before: this.#before });
    // why: what is reserved goes before everybody's minimum
    for (const one of workloads) if (isReservation(one) && !this.#isUnstarted(one)) this.#growOne(one);
    const positions = new Map<string, number>();
    const hopeless = new Hopeless(fitter);
    for (let workload = line.next(); workload !== undefined; workload = line.next()) {
      const position = positions.get(workload.queue) ?? 0;
      const known = hopeless.check(workload);
      const refusal = known ?? this.#tryStart(workload);
      if (refusal === undefined) continue;
      positions.set(workload.queue, position + 1);
      this.#waiting.set(workload, { workload, refusal, position });
      if (known === undefined) hopeless.learn(workload, refusal);
      this.#promiseTo(workload, refusal);
    }
    for (const workload of waiting) {
      if (fitter.ledger.queueOf(workload) !== undefined) continue;
      const refusal = checkGates(fitter.ledger, workload, []);
      if (refusal !== undefined) this.#waiting.set(workload, { workload, refusal, position: 0 });
    }
  }

  /** Members beyond the minimum, into what is left. */
  grow(): void {
    const { fitter, shares, workloads } = this.#parts;
    const growing = workloads.filter(
      (one) => !isReservation(one) && !this.#isBusy(one) && !this.#isUnstarted(one) && fitter.missing(one).length > 0,
    );
    const line = new WaitingLine(fitter.ledger, shares, { waiting: growing, before: this.#before });
    for (let workload = line.next(); workload !== undefined; workload = line.next()) this.#growOne(workload);
  }

  #growOne(workload: Workload): void {
    const { fitter } = this.#parts;
    for (const member of fitter.missing(workload)) {
      const refusal = fitter.place(workload, [member], this.#maskFor(workload));
      if (refusal !== undefined) {
        this.#waiting.set(workload, { workload, refusal, position: 0 });
        return;
      }
      this.#addStart(workload, [member.key]);
    }
  }

  /** For those that still wait: move others, or take back what others have too much of. */
  makeRoom(): void {
    const { mayMove = true, mayStop = true, nowMs } = this.#scene;
    const { fitter, shares, workloads } = this.#parts;
    if (!mayMove && !mayStop) return;
    let running: Pick<Search, 'running' | 'runningOf'> | undefined;
    const futile = new Futile(fitter);
    for (const { workload, refusal } of [...this.#waiting.values()]) {
      // why: whoever names a reservation uses its room, not that of others
      if (!this.#isUnstarted(workload) || !CURABLE.has(refusal.reason) || workload.reservation !== undefined) continue;
      const key = futile.keyOf(workload, refusal);
      if (futile.has(key)) continue;
      running ??= this.#listRunning(workloads);
      const search: Search = { fitter, shares, nowMs, service: this.#service, ...running };
      const isCramped = refusal.reason === 'NoRoom' || refusal.reason === 'Topology';
      const moved = mayMove && isCramped ? consolidate(search, workload) : undefined;
      const victims = moved ?? (mayStop ? makeRoom(search, workload) : undefined);
      if (victims === undefined) {
        futile.add(key);
        continue;
      }
      this.#keepRoom(workload, victims);
      futile.clear();
      // why: who was stopped or moved is busy now, and nobody has begun to run
      running = this.#listRunning(running.running);
    }
  }

  finish(): CyclePlan {
    const { shares, fitter } = this.#parts;
    return {
      starts: this.#starts,
      victims: this.#victims,
      nominations: this.#nominations,
      waiting: [...this.#waiting.values()],
      promises: this.#promises,
      shares,
      ledger: fitter.ledger,
    };
  }

  #tryStart(workload: Workload): Refusal | undefined {
    const { fitter } = this.#parts;
    const keys = fitter.needed(workload).map(({ key }) => key);
    const mask = this.#maskFor(workload);
    const refusal =
      workload.reservation === undefined
        ? fitter.start(workload, mask)
        : startReserved(fitter, workload, this.#scene.reservations ?? []);
    if (refusal === undefined) this.#addStart(workload, keys);
    if (refusal?.reason !== 'NoRoom' || mask === undefined) return refusal;
    const mark = fitter.ledger.mark();
    if (fitter.start(workload) !== undefined) return refusal;
    fitter.ledger.rollback(mark);
    const keepers = this.#promises.map((promise) => promise.workload.key).join(', ');
    return { reason: 'Reserved', message: `the nodes that have room are kept for ${keepers}` };
  }

  /** Who may use all nodes: who has been promised some, and who will have ended by then. */
  #maskFor({ key, estimateMs }: Workload): Mask {
    const { nowMs } = this.#scene;
    let mask: Mask;
    for (const promise of this.#promises) {
      const endsBefore = estimateMs !== undefined && nowMs + estimateMs <= promise.startMs;
      if (promise.workload.key !== key && !endsBefore) mask = bothMasks(mask, promise.others);
    }
    return mask;
  }

  /** The first who has waited long enough for room. */
  #promiseTo(workload: Workload, { reason }: Refusal): void {
    const { promiseAfterMs, nowMs } = this.#scene;
    const isCramped = reason === 'NoRoom' || reason === 'Topology';
    if (promiseAfterMs === undefined || this.#hasPromised || !isCramped) return;
    if (nowMs - workload.createdAtMs < promiseAfterMs) return;
    this.#hasPromised = true;
    this.#keepNodes(workload);
  }

  #keepNodes(workload: Workload, startMs?: number): void {
    const { fitter, workloads } = this.#parts;
    const running = workloads.filter((one) => fitter.ledger.countHeld(one) > 0 && one !== workload);
    const promise = promiseNodes(fitter, workload, { running, nowMs: this.#scene.nowMs });
    if (promise !== undefined) this.#promises.push({ ...promise, startMs: startMs ?? promise.startMs });
  }

  /** The workload's room is taken in the ledger; those who must leave hold theirs until they have. */
  #keepRoom(workload: Workload, victims: readonly Victim[]): void {
    const { ledger } = this.#parts.fitter;
    const moved = victims.filter(({ cause }) => cause === 'consolidate').map((victim) => victim.workload);
    const { nowMs } = this.#scene;
    this.#nominate([workload, ...moved].map((one) => nominate(ledger, one, nowMs)));
    const refusal = { reason: 'Nominated', message: describeVictims(victims) } as const;
    const position = this.#waiting.get(workload)?.position ?? 0;
    this.#waiting.set(workload, { workload, refusal, position });
    this.#stopped.add(workload.key);
    this.#stop(victims);
  }

  #stop(victims: readonly Victim[]): void {
    const { ledger } = this.#parts.fitter;
    for (const victim of victims) {
      this.#victims.push(victim);
      if (victim.kind === 'whole') this.#stopped.add(victim.workload.key);
      for (const holding of victim.holdings)
        ledger.take({ ...holding, member: { ...holding.member, isLeaving: true } });
    }
  }

  #addStart(workload: Workload, keys: readonly string[]): void {
    const { ledger } = this.#parts.fitter;
    const holdings = ledger.holdingsOf(workload).filter(({ member }) => keys.includes(member.key));
    this.#starts.push({ workload, holdings });
    this.#started.add(workload);
  }

  #listRunning(workloads: readonly Workload[]): Pick<Search, 'running' | 'runningOf'> {
    const { ledger } = this.#parts.fitter;
    const running = workloads.filter((one) => this.#isRunning(one));
    return { running, runningOf: Map.groupBy(running, (one) => ledger.queueOf(one)?.name ?? '') };
  }

  #nominate(nominations: readonly Nomination[]): void {
    for (const nomination of nominations) {
      this.#nominations.push(nomination);
      this.#nominated.add(nomination.key);
    }
  }

  /** Since before this cycle, and nothing is decided about it yet. */
  #isRunning(workload: Workload): boolean {
    return !this.#isUnstarted(workload) && !this.#isBusy(workload) && !this.#started.has(workload);
  }

  #isUnstarted(workload: Workload): boolean {
    const isWaiting = livingMembers(workload).length > 0 || workload.members.length === 0;
    return isWaiting && this.#parts.fitter.needed(workload).length > 0;
  }

  /** Stopped or promised in this very cycle: nothing more is decided about it. */
  #isBusy({ key }: Workload): boolean {
    return this.#stopped.has(key) || this.#nominated.has(key);
  }
}

/** What stopping others may help against. */
const CURABLE: ReadonlySet<Refusal['reason']> = new Set(['NoRoom', 'Topology', 'QueueLimit', 'UserLimit', 'Reserved']);

function describeVictims(victims: readonly Victim[]): string {
  const names = victims.slice(0, 3).map(({ workload }) => workload.key);
  const more = victims.length > 3 ? ` and ${victims.length - 3} more` : '';
  const verb = victims.some(({ cause }) => cause === 'consolidate') ? 'move' : 'end';
  return `waits for ${names.join(', ')}${more} to ${verb}`;
}
