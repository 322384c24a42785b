/**
 * Tensors between the Open Inference Protocol's JSON and onnxruntime's typed arrays. Source: KServe, Predict Protocol
 * v2, tensor data types.
 */
import { StatusError } from '../kube/status-error.ts';

/** Bits of a tensor as onnxruntime takes and gives them. */
export type TensorBits =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | readonly string[];

interface Datatype {
  /** The protocol's name. */
  readonly name: string;
  readonly toBits: (values: readonly unknown[], fail: (value: unknown) => never) => TensorBits;
}

const isNumber = (value: unknown): value is number => typeof value === 'number';

function integers(low: number, high: number, make: (values: number[]) => TensorBits): Datatype['toBits'] {
  return (values, fail) =>
    make(
      values.map((value) =>
        isNumber(value) && Number.isInteger(value) && value >= low && value <= high ? value : fail(value),
      ),
    );
}

function floats(make: (values: number[]) => TensorBits): Datatype['toBits'] {
  return (values, fail) => make(values.map((value) => (isNumber(value) ? value : fail(value))));
}

/** `low` and `end` are powers of two, which numbers hold exactly; `end` itself is too large. */
function bigIntegers(low: number, end: number, make: (values: bigint[]) => TensorBits): Datatype['toBits'] {
  const fits = (value: unknown): value is number =>
    isNumber(value) && Number.isInteger(value) && value >= low && value < end;
  return (values, fail) => make(values.map((value) => (fits(value) ? BigInt(value) : fail(value))));
}

/** By onnxruntime's name. */
const DATATYPES: Readonly<Record<string, Datatype>> = {
  float32: { name: 'FP32', toBits: floats((values) => Float32Array.from(values)) },
  float64: { name: 'FP64', toBits: floats((values) => Float64Array.from(values)) },
  int8: { name: 'INT8', toBits: integers(-128, 127, (values) => Int8Array.from(values)) },
  int16: { name: 'INT16', toBits: integers(-32_768, 32_767, (values) => Int16Array.from(values)) },
  int32: { name: 'INT32', toBits: integers(-(2 ** 31), 2 ** 31 - 1, (values) => Int32Array.from(values)) },
  int64: { name: 'INT64', toBits: bigIntegers(-(2 ** 63), 2 ** 63, (values) => BigInt64Array.from(values)) },
  uint8: { name: 'UINT8', toBits: integers(0, 255, (values) => Uint8Array.from(values)) },
  uint16: { name: 'UINT16', toBits: integers(0, 65_535, (values) => Uint16Array.from(values)) },
  uint32: { name: 'UINT32', toBits: integers(0, 2 ** 32 - 1, (values) => Uint32Array.from(values)) },
  uint64: { name: 'UINT64', toBits: bigIntegers(0, 2 ** 64, (values) => BigUint64Array.from(values)) },
  bool: {
    name: 'BOOL',
    toBits: (values, fail) =>
      Uint8Array.from(
        values.map((value) =>
          typeof value === 'boolean' ? Number(value) : value === 0 || value === 1 ? value : fail(value),
        ),
      ),
  },
  string: {
    name: 'BYTES',
    toBits: (values, fail) => values.map((value) => (typeof value === 'string' ? value : fail(value))),
  },
};

/** The protocol's name of an onnxruntime type. @throws Invalid for one it cannot say in JSON. */
export function datatypeOf(type: string, name: string): string {
  const found = DATATYPES[type];
  if (found === undefined)
    throw new StatusError('Invalid', `cannot serve tensor '${name}': type ${type} cannot be sent as JSON`);
  return found.name;
}

/** JSON values of a tensor as bits. @throws Invalid that names the first value of another type. */
export function toBits(type: string, name: string, values: readonly unknown[]): TensorBits {
  const datatype = DATATYPES[type];
  if (datatype === undefined)
    throw new StatusError('Invalid', `cannot read tensor '${name}': type ${type} cannot be sent as JSON`);
  return datatype.toBits(values, (value) => {
    throw new StatusError('Invalid', `cannot read tensor '${name}': ${JSON.stringify(value)} is no ${datatype.name}`);
  });
}

/** Bits as JSON text: `[1,2,3]`. NaN and infinities, which JSON lacks, become null. */
export function bitsToJson(type: string, bits: ArrayLike<unknown>): string {
  if (type === 'bool') return JSON.stringify(Array.from(bits, Boolean));
  if (type === 'int64' || type === 'uint64') return `[${Array.from(bits, String).join(',')}]`;
  return JSON.stringify(Array.from(bits));
}
