/**
 * The opcodes of pickle protocols 0 to 5 and the shape of their arguments (CPython, Lib/pickletools.py). Knows no
 * meaning.
 */

/** How an opcode's argument is written: nothing, a number of so many bytes, lines, or bytes behind their length. */
export type ArgumentShape =
  | { readonly kind: 'none' }
  | { readonly kind: 'number'; readonly bytes: 1 | 2 | 4 | 8; readonly signed?: true }
  | { readonly kind: 'lines'; readonly count: 1 | 2 }
  | { readonly kind: 'counted'; readonly bytes: 1 | 4 | 8 };

export interface Opcode {
  readonly name: string;
  readonly argument: ArgumentShape;
  /** The first protocol that has it. */
  readonly protocol: number;
}

const NONE = { kind: 'none' } as const;
const LINE = { kind: 'lines', count: 1 } as const;
const LINES = { kind: 'lines', count: 2 } as const;
const number = (bytes: 1 | 2 | 4 | 8): ArgumentShape => ({ kind: 'number', bytes });
const counted = (bytes: 1 | 4 | 8): ArgumentShape => ({ kind: 'counted', bytes });
const SIGNED: ArgumentShape = { kind: 'number', bytes: 4, signed: true };

/** Letter, name, argument, protocol. */
const TABLE: readonly (readonly [code: string, name: string, argument: ArgumentShape, protocol: number])[] = [
  ['I', 'INT', LINE, 0],
  ['L', 'LONG', LINE, 0],
  ['S', 'STRING', LINE, 0],
  ['N', 'NONE', NONE, 0],
  ['V', 'UNICODE', LINE, 0],
  ['F', 'FLOAT', LINE, 0],
  ['a', 'APPEND', NONE, 0],
  ['l', 'LIST', NONE, 0],
  ['t', 'TUPLE', NONE, 0],
  ['d', 'DICT', NONE, 0],
  ['s', 'SETITEM', NONE, 0],
  ['0', 'POP', NONE, 0],
  ['2', 'DUP', NONE, 0],
  ['(', 'MARK', NONE, 0],
  ['g', 'GET', LINE, 0],
  ['p', 'PUT', LINE, 0],
  ['c', 'GLOBAL', LINES, 0],
  ['R', 'REDUCE', NONE, 0],
  ['b', 'BUILD', NONE, 0],
  ['i', 'INST', LINES, 0],
  ['.', 'STOP', NONE, 0],
  ['P', 'PERSID', LINE, 0],
  ['J', 'BININT', SIGNED, 1],
  ['K', 'BININT1', number(1), 1],
  ['M', 'BININT2', number(2), 1],
  ['T', 'BINSTRING', counted(4), 1],
  ['U', 'SHORT_BINSTRING', counted(1), 1],
  ['X', 'BINUNICODE', counted(4), 1],
  ['G', 'BINFLOAT', number(8), 1],
  [']', 'EMPTY_LIST', NONE, 1],
  ['e', 'APPENDS', NONE, 1],
  [')', 'EMPTY_TUPLE', NONE, 1],
  ['}', 'EMPTY_DICT', NONE, 1],
  ['u', 'SETITEMS', NONE, 1],
  ['1', 'POP_MARK', NONE, 1],
  ['h', 'BINGET', number(1), 1],
  ['j', 'LONG_BINGET', number(4), 1],
  ['q', 'BINPUT', number(1), 1],
  ['r', 'LONG_BINPUT', number(4), 1],
  ['o', 'OBJ', NONE, 1],
  ['Q', 'BINPERSID', NONE, 1],
  ['\x80', 'PROTO', number(1), 2],
  ['\x81', 'NEWOBJ', NONE, 2],
  ['\x82', 'EXT1', number(1), 2],
  ['\x83', 'EXT2', number(2), 2],
  ['\x84', 'EXT4', number(4), 2],
  ['\x85', 'TUPLE1', NONE, 2],
  ['\x86', 'TUPLE2', NONE, 2],
  ['\x87', 'TUPLE3', NONE, 2],
  ['\x88', 'NEWTRUE', NONE, 2],
  ['\x89', 'NEWFALSE', NONE, 2],
  ['\x8a', 'LONG1', counted(1), 2],
  ['\x8b', 'LONG4', counted(4), 2],
  ['B', 'BINBYTES', counted(4), 3],
  ['C', 'SHORT_BINBYTES', counted(1), 3],
  ['\x8c', 'SHORT_BINUNICODE', counted(1), 4],
  ['\x8d', 'BINUNICODE8', counted(8), 4],
  ['\x8e', 'BINBYTES8', counted(8), 4],
  ['\x8f', 'EMPTY_SET', NONE, 4],
  ['\x90', 'ADDITEMS', NONE, 4],
  ['\x91', 'FROZENSET', NONE, 4],
  ['\x92', 'NEWOBJ_EX', NONE, 4],
  ['\x93', 'STACK_GLOBAL', NONE, 4],
  ['\x94', 'MEMOIZE', NONE, 4],
  ['\x95', 'FRAME', number(8), 4],
  ['\x96', 'BYTEARRAY8', counted(8), 5],
  ['\x97', 'NEXT_BUFFER', NONE, 5],
  ['\x98', 'READONLY_BUFFER', NONE, 5],
];

const BY_CODE: ReadonlyMap<number, Opcode> = new Map(
  TABLE.map(([code, name, argument, protocol]) => [code.charCodeAt(0), { name, argument, protocol }]),
);

/** The opcode of a byte; undefined where there is none. */
export function findOpcode(code: number): Opcode | undefined {
  return BY_CODE.get(code);
}
