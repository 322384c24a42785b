/**
 * Runs a pickle without doing what it says: a stack and a memo of values as far as they matter (CPython,
 * Lib/pickle.py, class _Unpickler). Tells every import, call and trick; opens nothing, imports nothing.
 */
import { StatusError } from '../kube/status-error.ts';
import { findImportReason } from './allowed-imports.ts';
import type { Tell } from './finding.ts';
import { KEPT_TEXT_BYTES_MAX, MEMO_MAX, NAME_LENGTH_MAX, STACK_MAX } from './limits.ts';
import type { Operation } from './pickle-reader.ts';
import {
  importedName,
  itemsOf,
  KEPT_ITEMS,
  type Made,
  MARK,
  OPAQUE,
  textOf,
  tupleOf,
  type Value,
} from './pickle-value.ts';

/** What its user wants to know while it runs. */
export interface MachineWorld {
  readonly tell: Tell;
  /** Names that this kind of file has for values it does not hold; undefined where it may have none. */
  readonly onPersistentId?: (id: Value) => void;
  /** An import that is good in this kind of file only. */
  readonly isAllowedHere?: (module: string, name: string) => boolean;
}

/** What an opcode left to the reader: the pickle has ended, or an object was given its state. */
export type Outcome =
  | { readonly kind: 'stop'; readonly value: Value }
  | { readonly kind: 'built'; readonly object: Made; readonly state: Value };

/** One pickle, from its first opcode to STOP. Every method throws Invalid where Python would. */
export class PickleMachine {
  readonly #world: MachineWorld;
  readonly #stack: Value[] = [];
  readonly #memo = new Map<number, Value>();
  /** The memo of the pickle that this one interrupts, for a reader that does not notice. */
  readonly #below: ReadonlyMap<number, Value> | undefined;
  /** Places of both memos. */
  #places: number;
  #keptBytes = 0;
  /** Whether anything was called, as opposed to named. */
  hasCalled = false;
  hasImported = false;

  constructor(world: MachineWorld, below?: PickleMachine) {
    this.#world = world;
    this.#below = below && below.#memo;
    this.#places = below ? below.#places : 0;
  }

  /** Does one opcode. @throws Invalid when the pickle is broken there */
  run(operation: Operation): Outcome | undefined {
    const act = ACTS[operation.name];
    if (!act) throw broken(`nobody knows ${operation.name}`);
    return act(this, operation) ?? undefined;
  }

  push(value: Value): void {
    if (this.#stack.length >= STACK_MAX) {
      this.#world.tell('pickle-too-large', `more than ${STACK_MAX} values on the stack`);
      throw broken('its stack is too deep');
    }
    this.#stack.push(value);
  }

  pop(): Value {
    const value = this.#stack.pop();
    if (value === undefined) throw broken('it takes from an empty stack');
    return value;
  }

  top(): Value {
    const value = this.#stack.at(-1);
    if (value === undefined || value.kind === 'mark') throw broken('it looks at an empty stack');
    return value;
  }

  /** What was pushed since the last mark, which goes too. */
  popToMark(): readonly Value[] {
    const at = this.#stack.lastIndexOf(MARK);
    if (at < 0) throw broken('it looks for a mark that is not there');
    const items = this.#stack.splice(at);
    return items.slice(1);
  }

  remember(place: number | bigint): void {
    if (this.#memo.size >= MEMO_MAX) {
      this.#world.tell('pickle-too-large', `more than ${MEMO_MAX} values in the memo`);
      throw broken('its memo is too large');
    }
    const key = Number(place);
    if (!this.#memo.has(key) && !this.#below?.has(key)) this.#places++;
    this.#memo.set(key, this.top());
  }

  memoize(): void {
    this.remember(this.#places);
  }

  recall(place: number | bigint): void {
    const value = this.#memo.get(Number(place)) ?? this.#below?.get(Number(place));
    if (value === undefined) throw broken(`it recalls ${place}, which it never kept`);
    this.push(value);
  }

  pushText(content: Buffer, length: number): void {
    this.#keptBytes += content.length;
    const isKept = length <= NAME_LENGTH_MAX && this.#keptBytes <= KEPT_TEXT_BYTES_MAX;
    this.push(isKept ? { kind: 'text', text: content.toString() } : OPAQUE);
  }

  import(module: string, name: string): Value {
    this.hasImported = true;
    const isAllowed = findImportReason(module, name) ?? this.#world.isAllowedHere?.(module, name);
    if (!isAllowed) this.#world.tell('pickle-import', `${module}.${name}`);
    return { kind: 'import', module, name };
  }

  importFromStack(): Value {
    const name = textOf(this.pop());
    const module = textOf(this.pop());
    if (module !== undefined && name !== undefined) return this.import(module, name);
    this.hasImported = true;
    this.#world.tell('pickle-computed-import', `${module ?? '?'}.${name ?? '?'}`);
    return OPAQUE;
  }

  call(callee: Value, args: readonly Value[]): void {
    this.hasCalled = true;
    const name = importedName(callee);
    if (name === undefined) this.#world.tell('pickle-computed-call', callee.kind);
    this.push({ kind: 'made', by: name ?? '?', args: args.slice(0, KEPT_ITEMS) });
  }

  build(): Outcome | undefined {
    const state = this.pop();
    const object = this.top();
    if (object.kind === 'made') return { kind: 'built', object, state };
    this.#world.tell('pickle-changed-import', importedName(object) ?? object.kind);
    return undefined;
  }

  extension(code: number | bigint): void {
    this.#world.tell('pickle-extension-code', String(code));
    this.push(OPAQUE);
  }

  persistent(id: Value): void {
    if (this.#world.onPersistentId) this.#world.onPersistentId(id);
    else this.#world.tell('pickle-persistent-id', textOf(id) ?? id.kind);
    this.push({ kind: 'made', by: 'persistent', args: [id] });
  }

  /** Pairs of key and value into what is below the mark. */
  setItems(items: readonly Value[]): void {
    const target = this.top();
    if (items.length % 2 !== 0) throw broken('it sets a key without a value');
    if (target.kind === 'import') this.#world.tell('pickle-changed-import', importedName(target) ?? '');
    if (target.kind === 'dict') setEntries(target.entries, items);
  }

  append(): void {
    const target = this.top();
    if (target.kind === 'import') this.#world.tell('pickle-changed-import', importedName(target) ?? '');
  }
}

function setEntries(entries: Map<string, Value>, items: readonly Value[]): void {
  for (let index = 0; index < items.length && entries.size < KEPT_ITEMS; index += 2) {
    const key = textOf(items[index]);
    if (key !== undefined) entries.set(key, items[index + 1] ?? OPAQUE);
  }
}

function newDict(items: readonly Value[]): Value {
  const entries = new Map<string, Value>();
  setEntries(entries, items);
  return { kind: 'dict', entries };
}

function broken(why: string): StatusError {
  return new StatusError('Invalid', why);
}

type Act = (machine: PickleMachine, operation: Operation) => Outcome | undefined | void;

const pushOpaque: Act = (machine) => machine.push(OPAQUE);
const pushNumber: Act = (machine, { number }) => machine.push({ kind: 'number', value: number });
const pushText: Act = (machine, { content, length }) => machine.pushText(content, length);
const nothing: Act = () => undefined;

const LITERALS: Readonly<Record<string, Act>> = {
  NONE: pushOpaque,
  NEWTRUE: pushOpaque,
  NEWFALSE: pushOpaque,
  FLOAT: pushOpaque,
  BINFLOAT: pushOpaque,
  BINBYTES: pushOpaque,
  SHORT_BINBYTES: pushOpaque,
  BINBYTES8: pushOpaque,
  BYTEARRAY8: pushOpaque,
  EMPTY_LIST: pushOpaque,
  EMPTY_SET: pushOpaque,
  BININT: pushNumber,
  BININT1: pushNumber,
  BININT2: pushNumber,
  INT: (machine, { lines: [line] }) => machine.push(parseNumber(line)),
  LONG: (machine, { lines: [line] }) => machine.push(parseNumber(line)),
  LONG1: (machine, { content, length }) => machine.push(readLong(content, length)),
  LONG4: (machine, { content, length }) => machine.push(readLong(content, length)),
  STRING: (machine, { lines: [line], length }) => pushPlain(machine, unquote(line), length),
  UNICODE: (machine, { lines: [line = Buffer.alloc(0)], length }) => pushPlain(machine, line, length),
  BINSTRING: pushText,
  SHORT_BINSTRING: pushText,
  BINUNICODE: pushText,
  SHORT_BINUNICODE: pushText,
  BINUNICODE8: pushText,
  EMPTY_DICT: (machine) => machine.push(newDict([])),
  EMPTY_TUPLE: (machine) => machine.push(tupleOf([])),
};

const popTuple =
  (count: number): Act =>
  (machine) => {
    const items = Array.from({ length: count }, () => machine.pop());
    machine.push(tupleOf(items.reverse()));
  };

const COLLECTIONS: Readonly<Record<string, Act>> = {
  MARK: (machine) => machine.push(MARK),
  POP: (machine) => void machine.pop(),
  POP_MARK: (machine) => void machine.popToMark(),
  DUP: (machine) => machine.push(machine.top()),
  TUPLE: (machine) => machine.push(tupleOf(machine.popToMark())),
  TUPLE1: popTuple(1),
  TUPLE2: popTuple(2),
  TUPLE3: popTuple(3),
  DICT: (machine) => machine.push(newDict(machine.popToMark())),
  LIST: (machine) => {
    machine.popToMark();
    machine.push(OPAQUE);
  },
  FROZENSET: (machine) => {
    machine.popToMark();
    machine.push(OPAQUE);
  },
  APPEND: (machine) => {
    machine.pop();
    machine.append();
  },
  APPENDS: (machine) => {
    machine.popToMark();
    machine.append();
  },
  ADDITEMS: (machine) => {
    machine.popToMark();
    machine.append();
  },
  SETITEM: (machine) => {
    const value = machine.pop();
    machine.setItems([machine.pop(), value]);
  },
  SETITEMS: (machine) => machine.setItems(machine.popToMark()),
};

const MEMO: Readonly<Record<string, Act>> = {
  GET: (machine, { lines: [line] }) => machine.recall(placeOf(line)),
  BINGET: (machine, { number }) => machine.recall(number),
  LONG_BINGET: (machine, { number }) => machine.recall(number),
  PUT: (machine, { lines: [line] }) => machine.remember(placeOf(line)),
  BINPUT: (machine, { number }) => machine.remember(number),
  LONG_BINPUT: (machine, { number }) => machine.remember(number),
  MEMOIZE: (machine) => machine.memoize(),
};

const CALLS: Readonly<Record<string, Act>> = {
  GLOBAL: (machine, { lines: [module, name] }) => machine.push(machine.import(String(module), String(name))),
  STACK_GLOBAL: (machine) => machine.push(machine.importFromStack()),
  REDUCE: (machine) => {
    const args = machine.pop();
    machine.call(machine.pop(), itemsOf(args));
  },
  NEWOBJ: (machine) => {
    const args = machine.pop();
    machine.call(machine.pop(), itemsOf(args));
  },
  NEWOBJ_EX: (machine) => {
    machine.pop();
    const args = machine.pop();
    machine.call(machine.pop(), itemsOf(args));
  },
  OBJ: (machine) => {
    const [callee, ...args] = machine.popToMark();
    if (callee === undefined) throw broken('it makes an object of no class');
    machine.call(callee, args);
  },
  INST: (machine, { lines: [module, name] }) => {
    const args = machine.popToMark();
    machine.call(machine.import(String(module), String(name)), args);
  },
  BUILD: (machine) => machine.build(),
  EXT1: (machine, { number }) => machine.extension(number),
  EXT2: (machine, { number }) => machine.extension(number),
  EXT4: (machine, { number }) => machine.extension(number),
  PERSID: (machine, { lines: [line] }) => machine.persistent({ kind: 'text', text: String(line) }),
  BINPERSID: (machine) => machine.persistent(machine.pop()),
  STOP: (machine) => ({ kind: 'stop', value: machine.pop() }),
  PROTO: (_machine, { number }) => {
    if (number > 5) throw broken(`nobody knows protocol ${number}`);
  },
  FRAME: nothing,
};

/** NEXT_BUFFER and READONLY_BUFFER are not here: a file has no buffers beside it. */
const ACTS: Readonly<Record<string, Act>> = { ...LITERALS, ...COLLECTIONS, ...MEMO, ...CALLS };

function parseNumber(line: Buffer | undefined): Value {
  const text = String(line).trim().replace(/L$/, '');
  if (!/^[+-]?\d+$/.test(text)) return OPAQUE;
  return { kind: 'number', value: BigInt(text) };
}

/** Little-endian two's complement. */
function readLong(content: Buffer, length: number): Value {
  if (length > content.length || length > 16) return OPAQUE;
  const hex = Buffer.from(content).reverse().toString('hex');
  return { kind: 'number', value: hex === '' ? 0n : BigInt.asIntN(length * 8, BigInt(`0x${hex}`)) };
}

/** Escapes would spell names in other letters: such a text is no name. */
function pushPlain(machine: PickleMachine, text: Buffer, length: number): void {
  if (text.includes('\\')) machine.push(OPAQUE);
  else machine.pushText(text, length);
}

/** @throws Invalid without quotes */
function unquote(line: Buffer = Buffer.alloc(0)): Buffer {
  const [first, last] = [line[0], line.at(-1)];
  const isCut = line.length > NAME_LENGTH_MAX;
  if ((first !== 0x27 && first !== 0x22) || (last !== first && !isCut)) throw broken('it has a text without quotes');
  return line.subarray(1, -1);
}

function placeOf(line: Buffer | undefined): number {
  const text = String(line);
  if (!/^\d{1,12}$/.test(text)) throw broken(`it has no place in the memo called ${text.slice(0, 20)}`);
  return Number(text);
}
