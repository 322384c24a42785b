/** The smallest ONNX model, written by hand: y = Identity(x), float32 [n, 2]. Field numbers are those of onnx.proto3. */

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 128);
  }
}

function integer(field: number, value: number): Buffer {
  return Buffer.concat([varint(field * 8), varint(value)]);
}

function bytes(field: number, content: Buffer | string): Buffer {
  const body = Buffer.from(content);
  return Buffer.concat([varint(field * 8 + 2), varint(body.length), body]);
}

function message(field: number, ...parts: readonly Buffer[]): Buffer {
  return bytes(field, Buffer.concat(parts));
}

const FLOAT = 1;

/** ValueInfoProto of a float tensor [n, 2]. */
function tensor(field: number, name: string): Buffer {
  const shape = message(2, message(1, bytes(2, 'n')), message(1, integer(1, 2)));
  return message(field, bytes(1, name), message(2, message(1, integer(1, FLOAT), shape)));
}

/** ModelProto with one node. */
export function onnxFile(): Buffer {
  const node = message(1, bytes(1, 'x'), bytes(2, 'y'), bytes(4, 'Identity'));
  const graph = message(7, node, bytes(2, 'identity'), tensor(11, 'x'), tensor(12, 'y'));
  const opset = message(8, bytes(1, ''), integer(2, 13));
  return Buffer.concat([integer(1, 8), graph, opset]);
}
