/**
 * Fragmentation Gradient Descent: put a task where it makes the least idle share of devices useless to the tasks that
 * usually come. Weng et al., "Beware of Fragmentation" (USENIX ATC 2023), in the form of its published simulator
 * (hkust-adsl/kubernetes-scheduler-simulator, pkg/utils/frag.go and plugin/fgd_score.go).
 */
import { at, type Pool, type TaskClass, WHOLE_MILLI } from '../pool/pool.ts';
import { fullestDevices, type Preference, type TieBreak } from './policy.ts';

/** A kind of task that usually comes. */
export interface TypicalTask {
  readonly task: TaskClass;
  /** How often, against all others; need not add up to one. */
  readonly popularity: number;
}

/** Kinds are kept, most frequent first, until they cover this share of all tasks. */
const COVERED = 0.95;

/** The kinds that most tasks are of, most frequent first. */
export function findTypicalTasks(tasks: readonly TaskClass[]): readonly TypicalTask[] {
  const counts = new Map<TaskClass, number>();
  for (const task of tasks) counts.set(task, (counts.get(task) ?? 0) + 1);
  const typical: TypicalTask[] = [];
  let covered = 0;
  for (const [task, popularity] of [...counts].sort(([, a], [, b]) => b - a)) {
    if (covered >= COVERED * tasks.length) break;
    typical.push({ task, popularity });
    covered += popularity;
  }
  return typical;
}

/** Scores are whole numbers from 0 to 100, as published; the exact gradient does worse. */
export function preferLeastFragmentation(
  pool: Pool,
  typical: readonly TypicalTask[],
  tie: TieBreak = 'first-name',
): Preference {
  const fragments = new Fragments(pool, typical);
  return {
    tie,
    score: (task, node) => fragments.bestDevice(task, node).score,
    chooseDevices: (task, node) => {
      const { device } = fragments.bestDevice(task, node);
      return device < 0 ? fullestDevices(pool, task, node) : [device];
    },
  };
}

/** Idle thousandths of devices, over all nodes, that the typical tasks can make nothing of. O(nodes x kinds). */
export function measureFragmentation(pool: Pool, typical: readonly TypicalTask[]): number {
  return new Fragments(pool, typical).sum();
}

/** 0..100 for a drop (or, negative, a growth) of the idle thousandths that are of no use. */
function toScore(gain: number): number {
  return Math.floor(100 / (1 + Math.exp(-gain / WHOLE_MILLI)));
}

/** What the typical tasks can make of each node, kept per state of the node. */
class Fragments {
  readonly #pool: Pool;
  readonly #size: number;
  readonly #share: Float64Array;
  readonly #milli: Int32Array;
  readonly #count: Int32Array;
  readonly #cpu: Float64Array;
  /** 1 where the node has a device that the kind admits, [nodes, kinds]. */
  readonly #admitted: Uint8Array;
  readonly #seen: Int32Array;
  /** Idle devices that are enough for the kind, [nodes, kinds]. */
  readonly #enough: Int16Array;
  /** Idle thousandths on devices that are not, [nodes, kinds]. */
  readonly #rest: Int32Array;
  readonly #idle: Int32Array;
  readonly #now: Float64Array;
  /** The answer of bestDevice: reused, since it is asked for a million times. */
  readonly #answer = { score: 0, device: -1 };

  constructor(pool: Pool, typical: readonly TypicalTask[]) {
    this.#pool = pool;
    this.#size = typical.length;
    const total = typical.reduce((sum, { popularity }) => sum + popularity, 0);
    this.#share = Float64Array.from(typical, ({ popularity }) => popularity / Math.max(1e-9, total));
    this.#milli = Int32Array.from(typical, ({ task }) => neededOf(task));
    this.#count = Int32Array.from(typical, ({ task }) => task.count);
    this.#cpu = Float64Array.from(typical, ({ task }) => task.demand.amounts['cpu'] ?? 0);
    const cells = pool.nodes.length * typical.length;
    this.#admitted = new Uint8Array(cells);
    this.#enough = new Int16Array(cells);
    this.#rest = new Int32Array(cells);
    this.#seen = new Int32Array(pool.nodes.length);
    this.#idle = new Int32Array(pool.nodes.length);
    this.#now = new Float64Array(pool.nodes.length);
    for (let node = 0; node < pool.nodes.length; node += 1)
      for (const [kind, { task }] of typical.entries())
        this.#admitted[node * this.#size + kind] = Number(admitsNode(pool, task, node));
  }

  /** Over all nodes, as they stand. */
  sum(): number {
    return this.#pool.nodes.reduce((total, _, node) => {
      this.#refresh(node);
      return total + at(this.#now, node);
    }, 0);
  }

  /** The score of the task on the node, and its device when it wants a share of one (-1 otherwise). */
  bestDevice(task: TaskClass, node: number): { readonly score: number; readonly device: number } {
    this.#refresh(node);
    const now = at(this.#now, node);
    const cpu = this.#pool.cpuLeft(node) - (task.demand.amounts['cpu'] ?? 0);
    const milli = neededOf(task);
    const answer = this.#answer;
    answer.device = -1;
    if (task.count !== 1 || milli >= WHOLE_MILLI) {
      answer.score = toScore(now - this.#after(node, cpu, { count: task.count, from: WHOLE_MILLI, milli }));
      return answer;
    }
    answer.score = -1;
    const end = at(this.#pool.firstDevice, node + 1);
    let tried = 0;
    for (let device = at(this.#pool.firstDevice, node); device < end; device += 1) {
      const from = at(this.#pool.idle, device);
      // why: a device as idle as one before it would score the same, and the first wins
      const isKnown = from === WHOLE_MILLI && (tried & 1) === 1;
      if (isKnown || !this.#pool.deviceFits(task, device)) continue;
      if (from === WHOLE_MILLI) tried |= 1;
      const score = toScore(now - this.#after(node, cpu, { count: 1, from, milli }));
      if (score <= answer.score) continue;
      answer.score = score;
      answer.device = device;
    }
    return answer;
  }

  /** Useless idle thousandths of the node once `count` devices that have `from` left have given `milli`. */
  #after(node: number, cpu: number, given: { count: number; from: number; milli: number }): number {
    const { count, from, milli } = given;
    const left = from - milli;
    const row = node * this.#size;
    let useless = 0;
    let sum = 0;
    for (let kind = 0; kind < this.#size; kind += 1) {
      const wanted = this.#milli[kind] ?? 0;
      const devices = this.#count[kind] ?? 0;
      const enough = (this.#enough[row + kind] ?? 0) - (from >= wanted && left < wanted ? count : 0);
      const share = this.#share[kind] ?? 0;
      if (devices === 0 || this.#admitted[row + kind] !== 1 || enough < devices || cpu < (this.#cpu[kind] ?? 0)) {
        useless += share;
        continue;
      }
      const moved = from < wanted ? -milli : left < wanted ? left : 0;
      sum += share * ((this.#rest[row + kind] ?? 0) + count * moved);
    }
    return sum + useless * (at(this.#idle, node) - count * milli);
  }

  #refresh(node: number): void {
    const version = at(this.#pool.version, node);
    if (this.#seen[node] === version) return;
    this.#seen[node] = version;
    const first = at(this.#pool.firstDevice, node);
    const end = at(this.#pool.firstDevice, node + 1);
    const row = node * this.#size;
    let idle = 0;
    for (let device = first; device < end; device += 1) idle += at(this.#pool.idle, device);
    this.#idle[node] = idle;
    for (let kind = 0; kind < this.#size; kind += 1) {
      let enough = 0;
      let rest = 0;
      for (let device = first; device < end; device += 1) {
        const left = this.#pool.idle[device] ?? 0;
        if (left >= (this.#milli[kind] ?? 0)) enough += 1;
        else rest += left;
      }
      this.#enough[row + kind] = enough;
      this.#rest[row + kind] = rest;
    }
    this.#now[node] = this.#after(node, this.#pool.cpuLeft(node), { count: 0, from: 0, milli: 0 });
  }
}

/** Thousandths of a device that the task keeps from others: of its cores, or of its memory when that is more. */
function neededOf({ milli, memoryMilli }: TaskClass): number {
  return Math.max(milli, memoryMilli);
}

function admitsNode(pool: Pool, task: TaskClass, node: number): boolean {
  if (task.admitted[node] !== 1) return false;
  const end = at(pool.firstDevice, node + 1);
  for (let device = at(pool.firstDevice, node); device < end; device += 1) if (task.eligible[device] === 1) return true;
  return false;
}
