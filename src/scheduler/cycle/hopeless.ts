/** What need not be tried again in one cycle: workloads that are alike in all that matters fare alike. */
import type { Fitter } from './fit.ts';
import { checkGates, type Refusal } from './gates.ts';
import { isByService } from './service.ts';
import { livingMembers, type Workload } from './workload.ts';

/** Tells sorts of plain workloads: those of one sort find room under the same conditions. */
class Sorts {
  readonly #fitter: Fitter;

  constructor(fitter: Fitter) {
    this.#fitter = fitter;
  }

  /** Undefined for those whose room depends on more than their tasks. */
  of(workload: Workload): string | undefined {
    const { topology, subGroups = [], isExclusive = false, reservation, estimateMs, minMember } = workload;
    const isAlone = subGroups.length === 0 && !isExclusive && reservation === undefined;
    const isUsable = workload.problem === undefined && workload.pause === undefined;
    const isPlain = isAlone && topology === undefined && isUsable;
    if (!isPlain || this.#fitter.ledger.countHeld(workload) > 0) return undefined;
    const members = livingMembers(workload);
    const key = members[0]?.demand.key;
    if (key === undefined || members.length < minMember) return undefined;
    const isOneSort = members.every(({ demand }) => demand.key === key);
    return isOneSort ? `${key} ${workload.placement ?? ''} ${estimateMs ?? ''}` : undefined;
  }
}

/** Remembers which sorts of plain workloads found no room in this cycle: no like one will, since room only shrinks. */
export class Hopeless {
  readonly #fitter: Fitter;
  readonly #sorts: Sorts;
  readonly #fewest = new Map<string, { readonly count: number; readonly refusal: Refusal }>();
  /** What was answered of one that is alike, with the version of the ledger. */
  readonly #checked = new Map<string, { readonly version: number; readonly refusal: Refusal }>();

  constructor(fitter: Fitter) {
    this.#fitter = fitter;
    this.#sorts = new Sorts(fitter);
  }

  /** Why it need not be tried. */
  check(workload: Workload): Refusal | undefined {
    if (this.#fewest.size === 0) return undefined;
    const sort = this.#sorts.of(workload) ?? '';
    const known = this.#fewest.get(sort);
    if (known === undefined) return undefined;
    const needed = this.#fitter.needed(workload);
    if (needed.length < known.count) return undefined;
    const { queue, user = '', isPreemptible } = workload;
    const { version } = this.#fitter.ledger;
    const key = `${queue} ${user} ${isPreemptible} ${needed.length} ${sort}`;
    const checked = this.#checked.get(key);
    if (checked?.version === version) return checked.refusal;
    const tasks = needed.map((member) => this.#fitter.classOf(member));
    const refusal = checkGates(this.#fitter.ledger, workload, tasks) ?? known.refusal;
    this.#checked.set(key, { version, refusal });
    return refusal;
  }

  /** It was refused. */
  learn(workload: Workload, refusal: Refusal): void {
    if (refusal.reason !== 'NoRoom') return;
    const sort = this.#sorts.of(workload);
    if (sort === undefined) return;
    const count = this.#fitter.needed(workload).length;
    if (count >= (this.#fewest.get(sort)?.count ?? Number.POSITIVE_INFINITY)) return;
    this.#fewest.set(sort, { count, refusal });
    this.#checked.clear();
  }
}

/** Remembers for whom no room could be made, until room was made for somebody: nothing has changed since. */
export class Futile {
  readonly #fitter: Fitter;
  readonly #sorts: Sorts;
  readonly #keys = new Set<string>();

  constructor(fitter: Fitter) {
    this.#fitter = fitter;
    this.#sorts = new Sorts(fitter);
  }

  /** A name of all that making room depends on; undefined where it depends on the workload itself. */
  keyOf(workload: Workload, { reason }: Refusal): string | undefined {
    const sort = this.#sorts.of(workload);
    if (sort === undefined || isByService(this.#fitter.ledger.queueOf(workload))) return undefined;
    const { queue, user, priority, isPreemptible, minMember, members } = workload;
    const asks = [reason, queue, user, priority, isPreemptible, minMember, members.length];
    return `${asks.join(' ')} ${sort}`;
  }

  /** True when no room could be made for one like it. */
  has(key: string | undefined): boolean {
    return key !== undefined && this.#keys.has(key);
  }

  /** No room could be made. */
  add(key: string | undefined): void {
    if (key !== undefined) this.#keys.add(key);
  }

  /** Room was made: all must be tried again. */
  clear(): void {
    this.#keys.clear();
  }
}
