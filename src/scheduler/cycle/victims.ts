/**
 * Makes room by stopping others, at the smallest loss: a queue below its fair share takes back what another holds
 * beyond its own (reclaim), and a larger priority goes before a smaller one of the same queue (preempt).
 *
 * Why two workloads never stop each other in turn: who reclaims holds no more than its fair share afterwards, at
 * every level below the common queue, and only what is beyond a fair share is ever reclaimed; shares follow from what
 * is asked for, which stopping does not change. Who preempts has strictly the larger priority, or, in a queue that
 * goes by service, has had strictly less (service.ts says why that comes to rest). And preempting takes no queue
 * further beyond its share than it was: a large workload in the place of a small one would be reclaimed, and what
 * reclaims it be preempted in turn.
 */
import type { Amounts } from '../amounts.ts';
import { lineOf, type QueueNode } from '../queues/queue-tree.ts';
import type { Fitter } from './fit.ts';
import { checkGates, sumQuota } from './gates.ts';
import type { Holding, Ledger } from './ledger.ts';
import { isByService, type Service } from './service.ts';
import { lineBelowCommon, type Shares } from './shares.ts';
import type { Workload } from './workload.ts';

/** What is stopped together: members that a gang can do without, or a whole gang. */
export interface Victim {
  readonly workload: Workload;
  readonly holdings: readonly Holding[];
  readonly kind: 'surplus' | 'whole';
  readonly cause: 'reclaim' | 'preempt' | 'consolidate' | 'stale' | 'unhealthy';
  /** For whom. */
  readonly by?: Workload | undefined;
}

/** What making room looks at. */
export interface Search {
  readonly fitter: Fitter;
  readonly shares: Shares;
  readonly nowMs: number;
  readonly service: Service;
  readonly running: readonly Workload[];
  /** The same by name of their queue. */
  readonly runningOf: ReadonlyMap<string, readonly Workload[]>;
}

/** Makes room for the workload and takes it. Undefined, and nothing changed, when stopping others would not do. */
export function makeRoom(search: Search, workload: Workload): readonly Victim[] | undefined {
  const { fitter, shares } = search;
  const growth = new Growth(fitter.ledger, shares, workload);
  const preempted = stopSome(search, workload, { candidates: listPreemptable(search, workload), growth });
  if (preempted !== undefined) return preempted;
  const tasks = fitter.needed(workload).map((member) => fitter.classOf(member));
  const wanted = sumQuota(fitter.ledger, tasks);
  return stopSome(search, workload, { candidates: listReclaimable(search, workload, wanted) });
}

/** Sums of shares are not exact. */
const DUST = 1e-6;

interface Candidate extends Victim {
  /** May it be stopped as things stand now? Asked right before. */
  readonly mayStop: () => boolean;
}

/** Others of the queue that it outranks, and what those of an equal priority can do without. */
function listPreemptable(search: Search, workload: Workload): readonly Candidate[] {
  const { runningOf, nowMs, service } = search;
  const { ledger } = search.fitter;
  const queue = ledger.queueOf(workload);
  if (queue === undefined) return [];
  const outranks = (other: Workload) =>
    other.priority < workload.priority || (isByService(queue) && service.mayStop(workload, other));
  const candidates = (runningOf.get(queue.name) ?? []).flatMap((other) => {
    const isOutranked = other.priority <= workload.priority && other.isPreemptible && other.key !== workload.key;
    const hasSurplus = ledger.countHeld(other) > other.minMember;
    if (!isOutranked || (!hasSurplus && !outranks(other))) return [];
    if (nowMs - (other.startedAtMs ?? nowMs) < queue.preemptMinRuntimeMs) return [];
    return candidatesOf(ledger, other, { cause: 'preempt', mayStop: () => true }).filter(
      ({ kind }) => kind === 'surplus' || outranks(other),
    );
  });
  return byLoss(candidates, search);
}

/** What queues hold beyond their fair share, while the workload's own stays within. */
function listReclaimable(search: Search, workload: Workload, wanted: Amounts): readonly Candidate[] {
  const { running, nowMs, shares } = search;
  const { ledger } = search.fitter;
  const queue = ledger.queueOf(workload);
  if (queue === undefined || !shares.allows(queue, wanted)) return [];
  // why: nothing is stopped while candidates are listed, so that one answer holds for all of a queue
  const answers = new Map<QueueNode, (() => boolean) | undefined>();
  const candidates: Candidate[] = [];
  for (const other of running) {
    const theirs = ledger.queueOf(other);
    if (theirs === undefined || theirs === queue || !other.isPreemptible) continue;
    if (nowMs - (other.startedAtMs ?? nowMs) < theirs.reclaimMinRuntimeMs) continue;
    if (!answers.has(theirs)) answers.set(theirs, findReclaim(shares, { queue, theirs, wanted }));
    const mayStop = answers.get(theirs);
    if (mayStop !== undefined) candidates.push(...candidatesOf(ledger, other, { cause: 'reclaim', mayStop }));
  }
  return byLoss(candidates, search);
}

/** Whether what `theirs` holds may be stopped for `queue` as things stand then; undefined when it may not be now. */
function findReclaim(
  shares: Shares,
  { queue, theirs, wanted }: { readonly queue: QueueNode; readonly theirs: QueueNode; readonly wanted: Amounts },
): (() => boolean) | undefined {
  const mine = lineBelowCommon(queue, theirs);
  const line = lineBelowCommon(theirs, queue);
  if (line.length === 0 || !mine.every((level) => shares.allows(level, wanted))) return undefined;
  const mayStop = () => line.every((level) => shares.isOver(level, wanted));
  return mayStop() ? mayStop : undefined;
}

/** Whether a queue, or one above it, has come to hold more than its fair share, and more than it held before. */
class Growth {
  readonly #before: ReadonlyMap<QueueNode, Amounts>;
  readonly #ledger: Ledger;
  readonly #shares: Shares;

  constructor(ledger: Ledger, shares: Shares, workload: Workload) {
    const queue = ledger.queueOf(workload);
    const line = queue === undefined ? [] : lineOf(queue);
    this.#before = new Map(line.map((level) => [level, { ...ledger.allocated.get(level.name) }]));
    this.#ledger = ledger;
    this.#shares = shares;
  }

  isUnfair(): boolean {
    return [...this.#before].some(([level, before]) => {
      const grown = Object.entries(this.#ledger.allocated.get(level.name) ?? {})
        .filter(([resource, amount]) => amount > (before[resource] ?? 0) + DUST)
        .map(([resource]) => [resource, 1] as const);
      return this.#shares.isOver(level, Object.fromEntries(grown));
    });
  }
}

/** Members beyond the minimum one by one, the last first, and then the rest together. */
function candidatesOf(
  ledger: Ledger,
  workload: Workload,
  { cause, mayStop }: Pick<Candidate, 'cause' | 'mayStop'>,
): readonly Candidate[] {
  const holdings = ledger.holdingsOf(workload);
  if (holdings.length === 1 && workload.minMember > 0) return [{ workload, holdings, kind: 'whole', cause, mayStop }];
  const surplus = splitSurplus(workload, holdings);
  const rest = holdings.filter((holding) => !surplus.includes(holding));
  const single = surplus.map((holding) => ({
    workload,
    holdings: [holding],
    kind: 'surplus' as const,
    cause,
    mayStop,
  }));
  return [
    ...single,
    ...(rest.length > 0 ? [{ workload, holdings: rest, kind: 'whole' as const, cause, mayStop }] : []),
  ];
}

/** Members that the gang can do without, the last ones first. */
export function splitSurplus(workload: Workload, holdings: readonly Holding[]): readonly Holding[] {
  const spare = holdings.length - workload.minMember;
  if (spare <= 0) return [];
  const left = new Map((workload.subGroups ?? []).map(({ name, minMember }) => [name, minMember]));
  const surplus: Holding[] = [];
  const counts = new Map<string | undefined, number>();
  for (const { member } of holdings) counts.set(member.subGroup, (counts.get(member.subGroup) ?? 0) + 1);
  for (const holding of holdings.toReversed()) {
    if (surplus.length === spare) break;
    const { subGroup } = holding.member;
    const count = counts.get(subGroup) ?? 0;
    if (count <= (subGroup === undefined ? 0 : (left.get(subGroup) ?? 0))) continue;
    counts.set(subGroup, count - 1);
    surplus.push(holding);
  }
  return surplus;
}

/**
 * The smaller priority first, surplus before whole gangs, in queues that go by service what has had most, then what
 * has run least for the room it holds.
 */
function byLoss(candidates: readonly Candidate[], { nowMs, service, fitter }: Search): readonly Candidate[] {
  const ranked = candidates.map((candidate) => {
    const { workload, holdings, kind } = candidate;
    const had = isByService(fitter.ledger.queueOf(workload)) ? service.of(workload) : 0;
    const loss = (nowMs - (workload.startedAtMs ?? nowMs)) * holdings.length;
    return { candidate, priority: workload.priority, isWhole: Number(kind === 'whole'), had, loss };
  });
  const startOf = ({ candidate }: (typeof ranked)[number]) => candidate.workload.startedAtMs ?? 0;
  return ranked
    .sort(
      (a, b) =>
        a.priority - b.priority || a.isWhole - b.isWhole || b.had - a.had || a.loss - b.loss || startOf(b) - startOf(a),
    )
    .map(({ candidate }) => candidate);
}

interface Choice {
  readonly candidates: readonly Candidate[];
  /** Set where nobody may come to hold more than his share by it. */
  readonly growth?: Growth | undefined;
}

/**
 * Stops the first candidates, the fewest with which the workload fits; then lets those go on that turn out not to be
 * in the way, the last first.
 */
function stopSome(
  { fitter }: Search,
  workload: Workload,
  { candidates, growth }: Choice,
): readonly Victim[] | undefined {
  if (candidates.length === 0) return undefined;
  fitter.isTelling = false;
  let stopped: readonly Candidate[] | undefined;
  for (const some of listChoices(candidates)) {
    stopped = stopFewest(fitter, workload, { candidates: some, growth });
    if (stopped !== undefined) break;
  }
  fitter.isTelling = true;
  return stopped === undefined ? undefined : letGoOn(fitter, workload, { stopped, growth });
}

function stopFewest(
  fitter: Fitter,
  workload: Workload,
  { candidates, growth }: Choice,
): readonly Candidate[] | undefined {
  return findFewest(fitter.ledger, candidates.length, (count) => {
    const some = stopFirst(fitter.ledger, candidates, count);
    return fitter.start(workload) === undefined && growth?.isUnfair() !== true ? some : undefined;
  });
}

/** Nodes, and candidates alone, that are tried at most. */
const MOST_TRIED = 64;

/**
 * All in their order; then those of one node at a time, and each alone: the first in the order may be all that their
 * queue can be asked for, where it helps nobody.
 */
function* listChoices(candidates: readonly Candidate[]): Generator<readonly Candidate[]> {
  yield candidates;
  yield* groupByNode(candidates);
  if (candidates.length > 1) for (const candidate of candidates.slice(0, MOST_TRIED)) yield [candidate];
}

/** By the node of the first holding, in the order of the first candidate of each. */
function groupByNode(candidates: readonly Candidate[]): readonly (readonly Candidate[])[] {
  const groups = new Map<number, Candidate[]>();
  for (const candidate of candidates) {
    const node = candidate.holdings[0]?.placement.node ?? -1;
    const group = groups.get(node) ?? [];
    groups.set(node, group);
    group.push(candidate);
  }
  return groups.size < 2 ? [] : [...groups.values()].slice(0, MOST_TRIED);
}

/** Stops those of the first `count` that may be, in turn. */
function stopFirst(ledger: Ledger, candidates: readonly Candidate[], count: number): readonly Candidate[] {
  const stopped: Candidate[] = [];
  for (const candidate of candidates.slice(0, count)) {
    // why: what a gang could have done without does not run on without the gang
    const holdings = candidate.kind === 'whole' ? ledger.holdingsOf(candidate.workload) : candidate.holdings;
    if (stopOne(ledger, candidate, holdings)) stopped.push({ ...candidate, holdings });
  }
  return stopped;
}

/**
 * False, and nothing changed, when it may not be stopped. A whole gang may be only when it still might once it had done
 * without all it can do without: otherwise two would take from each other in turn what they grow into.
 */
function stopOne(ledger: Ledger, { kind, workload, mayStop }: Candidate, holdings: readonly Holding[]): boolean {
  const mark = ledger.mark();
  const surplus = new Set(kind === 'whole' ? splitSurplus(workload, holdings) : []);
  for (const holding of surplus) ledger.release(holding);
  if (!mayStop()) {
    ledger.rollback(mark);
    return false;
  }
  for (const holding of holdings) if (!surplus.has(holding)) ledger.release(holding);
  return true;
}

function letGoOn(
  fitter: Fitter,
  workload: Workload,
  { stopped, growth }: { readonly stopped: readonly Candidate[]; readonly growth: Growth | undefined },
): readonly Victim[] {
  const victims: Victim[] = [];
  const gone = new Set<string>();
  for (const candidate of stopped.toReversed()) {
    const mark = fitter.ledger.mark();
    if (!gone.has(candidate.workload.key) && goBack(fitter, candidate.holdings)) {
      if (growth?.isUnfair() !== true) continue;
      fitter.ledger.rollback(mark);
    }
    if (candidate.kind === 'whole') gone.add(candidate.workload.key);
    const { kind, cause, holdings } = candidate;
    victims.push({ workload: candidate.workload, holdings, kind, cause, by: workload });
  }
  return victims.reverse();
}

/** All take the places again that they had, or none does: the room may be taken by now, or the queue be full. */
export function goBack(fitter: Fitter, holdings: readonly Holding[]): boolean {
  const mark = fitter.ledger.mark();
  for (const holding of holdings) {
    const gate = checkGates(fitter.ledger, holding.workload, [holding.placement.task]);
    if (gate !== undefined || !fitter.canReturn(holding)) {
      fitter.ledger.rollback(mark);
      return false;
    }
    fitter.ledger.take(holding);
  }
  return true;
}

/**
 * The fewest of `most` for which `attempt` succeeds, with what it gave: twice as many each time, then by halving. What
 * an attempt did is taken back before the next; the last one that succeeded stands.
 */
export function findFewest<T>(ledger: Ledger, most: number, attempt: (count: number) => T | undefined): T | undefined {
  const mark = ledger.mark();
  const tryAgain = (count: number) => {
    ledger.rollback(mark);
    return attempt(count);
  };
  let enough = 1;
  let found = tryAgain(enough);
  while (found === undefined && enough < most) {
    enough = Math.min(most, enough * 2);
    found = tryAgain(enough);
  }
  let tooFew = Math.floor(enough / 2);
  while (found !== undefined && enough - tooFew > 1) {
    const middle = Math.floor((tooFew + enough) / 2);
    const fewer = tryAgain(middle);
    if (fewer === undefined) tooFew = middle;
    else enough = middle;
    found = fewer ?? tryAgain(enough);
  }
  if (found === undefined) ledger.rollback(mark);
  return found;
}
