/**
 * Pickles as they lie in files: one or several behind each other, joblib's with arrays between the opcodes, PyTorch's
 * old ones with storages behind. Knows where each begins and ends.
 */
import { isStatusError, StatusError } from '../kube/status-error.ts';
import { ByteCursor } from './byte-cursor.ts';
import type { Bytes } from './bytes.ts';
import type { Tell } from './finding.ts';
import { PICKLES_MAX } from './limits.ts';
import { type MachineWorld, type Outcome, PickleMachine } from './pickle-machine.ts';
import { type Operation, readOperation } from './pickle-reader.ts';
import { isPythonModule } from './python-modules.ts';
import { countOf, importedName, itemsOf, textOf, type Value } from './pickle-value.ts';

/** Begins PyTorch's files from before 1.6 (torch/serialization.py). */
const TORCH_MAGIC = 0x1950a86a20f9469cfc6cn;
/** Behind the magic: protocol, machine, the object and the keys of its storages. */
const TORCH_PICKLES = 4;
const JOBLIB_ARRAY = 'joblib.numpy_pickle.NumpyArrayWrapper';
const ITEM_BYTES: Readonly<Record<string, number>> = {
  Byte: 1,
  Char: 1,
  Bool: 1,
  QInt8: 1,
  QUInt8: 1,
  Short: 2,
  Half: 2,
  BFloat16: 2,
  Int: 4,
  Float: 4,
  QInt32: 4,
  Long: 8,
  Double: 8,
  ComplexFloat: 8,
  ComplexDouble: 16,
};

/** What was seen on the way. */
export interface PickleSight {
  /** Python would load it to its end. */
  readonly isWhole: boolean;
  readonly hasImported: boolean;
  readonly hasCalled: boolean;
}

/** Looks through all pickles of these bytes, which are nothing but pickles. */
export async function scanPickles(bytes: Bytes, world: MachineWorld): Promise<PickleSight> {
  const walk = new Walk(bytes, world);
  try {
    const first = await walk.one(world);
    if (first.kind === 'number' && first.value === TORCH_MAGIC) await walk.torchRest();
    else await walk.rest();
  } catch (error) {
    if (!isStatusError(error, 'Invalid')) throw error;
    walk.isWhole = false;
    const rule = walk.ended === 0 ? 'pickle-broken' : 'pickle-trailing-bytes';
    world.tell(rule, error.message, `byte ${walk.cursor.position}`);
  } finally {
    await walk.cursor.close();
  }
  return { isWhole: walk.isWhole, hasImported: walk.hasImported, hasCalled: walk.hasCalled };
}

/** Tells of a storage's name in PyTorch's files; `onStorage` gets its key and size. */
export function torchStorages(tell: Tell, onStorage: (key: string, sizeBytes: number | undefined) => void) {
  return (id: Value): void => {
    const [what, type, key, , count] = itemsOf(id);
    const name = /^torch\.(\w+)Storage$/.exec(importedName(type) ?? '')?.[1];
    const isStorage = textOf(what) === 'storage' && (name !== undefined || importedName(type)?.startsWith('torch.'));
    const [place, items] = [textOf(key), countOf(count)];
    if (!isStorage || place === undefined) return tell('pickle-persistent-id', textOf(what) ?? id.kind);
    const itemBytes = ITEM_BYTES[name ?? ''];
    onStorage(place, itemBytes === undefined || items === undefined ? undefined : items * itemBytes);
  };
}

class Walk {
  readonly cursor: ByteCursor;
  readonly #bytes: Bytes;
  readonly #world: MachineWorld;
  isWhole = true;
  hasImported = false;
  hasCalled = false;
  /** Pickles that came to their end. */
  ended = 0;

  constructor(bytes: Bytes, world: MachineWorld) {
    this.#bytes = bytes;
    this.#world = world;
    this.cursor = new ByteCursor(bytes);
  }

  /** One pickle; what it is a pickle of. @throws Invalid where it breaks */
  async one(world: MachineWorld): Promise<Value> {
    const machine = new PickleMachine(world);
    try {
      for (;;) {
        const outcome = machine.run(await readOperation(this.cursor));
        if (outcome?.kind === 'built') await this.#passArray(machine, outcome);
        if (outcome?.kind !== 'stop') continue;
        this.ended++;
        return outcome.value;
      }
    } finally {
      this.hasImported ||= machine.hasImported;
      this.hasCalled ||= machine.hasCalled;
    }
  }

  /**
   * A pickle in a pickle: joblib begins anew, pickle.load goes on with the memo it has. Both are followed; the second
   * one recalls nonsense in every honest file, so that only what Python itself could import counts there.
   */
  async #inner(outer: PickleMachine): Promise<void> {
    const anew = new PickleMachine(this.#world);
    const tell: Tell = (rule, what) => {
      if (rule === 'pickle-import' && isPythonModule(what)) this.#world.tell(rule, what, 'for pickle.load');
    };
    let goingOn: PickleMachine | undefined = new PickleMachine({ tell }, outer);
    for (;;) {
      const operation = await readOperation(this.cursor);
      if (goingOn && !canRun(goingOn, operation)) goingOn = undefined;
      if (anew.run(operation)?.kind === 'stop') return;
    }
  }

  /** More pickles up to the end. */
  async rest(): Promise<void> {
    while (!(await this.cursor.isAtEnd())) {
      if (this.ended >= PICKLES_MAX) throw new StatusError('Invalid', `more than ${PICKLES_MAX} pickles`);
      await this.one(this.#world);
    }
  }

  /** Behind the storages' keys there are the storages, each behind its number of items, and nothing else. */
  async torchRest(): Promise<void> {
    const sizes = new Map<string, number | undefined>();
    const onPersistentId = torchStorages(this.#world.tell, (key, sizeBytes) => sizes.set(key, sizeBytes));
    for (let count = 0; count < TORCH_PICKLES; count++) await this.one({ ...this.#world, onPersistentId });
    const wanted = [...sizes.values()].reduce<number>((sum, size) => sum + 8 + (size ?? Number.NaN), 0);
    const left = this.#bytes.sizeBytes - this.cursor.position;
    if (left !== wanted) throw new StatusError('Invalid', `its storages have ${left} bytes, not ${wanted}`);
  }

  /** joblib writes an array right behind the opcode that describes it. */
  async #passArray(machine: PickleMachine, { object, state }: Extract<Outcome, { kind: 'built' }>): Promise<void> {
    if (object.by !== JOBLIB_ARRAY) return;
    if (state.kind !== 'dict') throw new StatusError('Invalid', 'an array of joblib is described by no dict');
    const dtype = state.entries.get('dtype');
    const type = dtype?.kind === 'made' && dtype.by === 'numpy.dtype' ? (textOf(dtype.args[0]) ?? '') : '';
    if (type === 'O8' || type === 'O') return this.#inner(machine);
    const counts = itemsOf(state.entries.get('shape')).map(countOf);
    const items = counts.reduce<number>((product, count) => product * (count ?? Number.NaN), 1);
    const sizeBytes = items * findItemBytes(type);
    if (!Number.isSafeInteger(sizeBytes)) throw new StatusError('Invalid', `an array of joblib of type '${type}'`);
    await this.#passPadding(countOf(state.entries.get('numpy_array_alignment_bytes')) ?? 0);
    await this.cursor.skip(sizeBytes);
  }

  /** The padding's length is no opcode: pickle.load goes no further, so that only joblib reads on. */
  async #passPadding(alignment: number): Promise<void> {
    await this.cursor.fill(1);
    const padding = this.cursor.take(1)[0] ?? 0;
    if (padding < 1 || padding > Math.min(alignment, 31)) {
      throw new StatusError('Invalid', 'an array without padding, as joblib before 1.1 wrote them');
    }
    await this.cursor.skip(padding);
  }
}

/** False where this reader breaks: it does no more then. */
function canRun(machine: PickleMachine, operation: Operation): boolean {
  try {
    machine.run(operation);
    return true;
  } catch (error) {
    if (isStatusError(error, 'Invalid')) return false;
    throw error;
  }
}

/** Of numpy's short names, as f8, V64 or U5. */
function findItemBytes(type: string): number {
  const [, letter, count] = /^[<>|=]?([a-zA-Z])(\d{1,9})$/.exec(type) ?? [];
  if (letter === undefined || letter === 'O') return Number.NaN;
  return Number(count) * (letter === 'U' ? 4 : 1);
}
