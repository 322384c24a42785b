/** Reads a pickle's opcodes with their arguments. Knows how they are written; not what they do. */
import { StatusError } from '../kube/status-error.ts';
import type { ByteCursor } from './byte-cursor.ts';
import { LINE_BYTES_MAX, NAME_LENGTH_MAX } from './limits.ts';
import { type ArgumentShape, findOpcode } from './pickle-opcodes.ts';

/** One opcode. Texts and bytes are cut; `length` is the true one. */
export interface Operation {
  readonly name: string;
  readonly protocol: number;
  readonly number: number | bigint;
  readonly lines: readonly Buffer[];
  readonly content: Buffer;
  readonly length: number;
}

const NOTHING: Omit<Operation, 'name' | 'protocol'> = {
  number: 0,
  lines: [],
  content: Buffer.alloc(0),
  length: 0,
};
const WINDOW_BYTES = 8 * 1024;

/** The next one. @throws Invalid when there is none, or when the bytes end within it */
export async function readOperation(cursor: ByteCursor): Promise<Operation> {
  if (cursor.available < WINDOW_BYTES) await cursor.fill(WINDOW_BYTES);
  const at = cursor.position;
  const code = cursor.take(1)[0] ?? 0;
  const opcode = findOpcode(code);
  if (!opcode) throw new StatusError('Invalid', `it has no opcode at byte ${at} but 0x${code.toString(16)}`);
  const { name, protocol, argument } = opcode;
  if (argument.kind === 'none') return { name, protocol, ...NOTHING };
  return { name, protocol, ...NOTHING, ...(await readArgument(cursor, argument)) };
}

async function readArgument(
  cursor: ByteCursor,
  shape: Exclude<ArgumentShape, { kind: 'none' }>,
): Promise<Partial<Operation>> {
  if (shape.kind === 'number') return { number: readNumber(cursor.take(shape.bytes), shape.signed ?? false) };
  if (shape.kind === 'counted') return readCounted(cursor, shape.bytes);
  const lines: Buffer[] = [];
  let length = 0;
  for (let count = 0; count < shape.count; count++) {
    const line = await cursor.line(NAME_LENGTH_MAX + 1, LINE_BYTES_MAX);
    lines.push(line.text);
    length = Math.max(length, line.length);
  }
  return { lines, length };
}

function readNumber(bytes: Buffer, isSigned: boolean): number | bigint {
  if (bytes.length === 8) return bytes.readBigUInt64LE();
  return isSigned ? bytes.readIntLE(0, bytes.length) : bytes.readUIntLE(0, bytes.length);
}

async function readCounted(cursor: ByteCursor, lengthBytes: number): Promise<Partial<Operation>> {
  const length = Number(readNumber(cursor.take(lengthBytes), false));
  const kept = Math.min(length, NAME_LENGTH_MAX + 1);
  const content = Buffer.from(cursor.take(kept));
  await cursor.skip(length - kept);
  return { content, length };
}
