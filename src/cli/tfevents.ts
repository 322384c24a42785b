/** Scalars in TensorFlow's event files, as TensorBoard, PyTorch and Keras write them. Knows no runs. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { encodeRecord, readRecords } from './tfrecord.ts';

/** One point of one tag. */
export interface ScalarEvent {
  readonly tag: string;
  readonly step: number;
  readonly wallTimeMs: number;
  readonly value: number;
}

interface Tensor {
  readonly dtype?: number;
  readonly tensorShape?: { readonly dim?: readonly { readonly size?: number }[] };
  readonly tensorContent?: Uint8Array;
  readonly floatVal?: readonly number[];
  readonly doubleVal?: readonly number[];
  readonly intVal?: readonly number[];
  readonly int64Val?: readonly number[];
}

interface Event {
  readonly wallTime?: number;
  readonly step?: number;
  readonly summary?: { readonly value?: readonly { tag?: string; simpleValue?: number; tensor?: Tensor }[] };
}

/** Reads and writes event files. */
export interface EventFiles {
  /** @throws Invalid, with the place, when the file is damaged; what came before was given already. */
  read(path: string): Generator<ScalarEvent>;
  /** The bytes of a file with these scalars, as 32-bit numbers, which every reader knows. */
  encode(events: Iterable<ScalarEvent>): Generator<Buffer>;
}

/** Loads the description of the format. */
export async function loadEventFiles(): Promise<EventFiles> {
  const text = await readFile(join(import.meta.dirname, 'tfevents.proto'), 'utf8');
  const type = protobuf.parse(text).root.lookupType('tensorflow.Event');
  const encode = (event: object) => encodeRecord(type.encode(type.create(event)).finish());
  return {
    *read(path) {
      for (const record of readRecords(path)) {
        const event = type.toObject(type.decode(record), { longs: Number }) as Event; // why: the .proto's own shape
        yield* findScalars(event);
      }
    },
    *encode(events) {
      let isFirst = true;
      for (const { tag, step, wallTimeMs, value } of events) {
        const wallTime = wallTimeMs / 1000;
        if (isFirst) yield encode({ wallTime, fileVersion: 'brain.Event:2' });
        isFirst = false;
        const metadata = { pluginData: { pluginName: 'scalars' } };
        yield encode({ wallTime, step, summary: { value: [{ tag, simpleValue: value, metadata }] } });
      }
      if (isFirst) yield encode({ wallTime: 0, fileVersion: 'brain.Event:2' });
    },
  };
}

function* findScalars({ wallTime = 0, step = 0, summary }: Event): Generator<ScalarEvent> {
  for (const { tag = '', simpleValue, tensor } of summary?.value ?? []) {
    const value = simpleValue ?? (tensor && findScalar(tensor));
    if (value !== undefined) yield { tag, step, wallTimeMs: Math.round(wallTime * 1000), value };
  }
}

/** Bytes of a tensor's content, by its type's number. */
const READERS: Readonly<Record<number, { readonly bytes: number; read(view: DataView): number }>> = {
  1: { bytes: 4, read: (view) => view.getFloat32(0, true) },
  2: { bytes: 8, read: (view) => view.getFloat64(0, true) },
  3: { bytes: 4, read: (view) => view.getInt32(0, true) },
  9: { bytes: 8, read: (view) => Number(view.getBigInt64(0, true)) },
};

/** The number in a tensor of one; undefined of any other: images, texts and histograms are tensors too. */
function findScalar({ dtype = 0, tensorShape, tensorContent, ...lists }: Tensor): number | undefined {
  const size = (tensorShape?.dim ?? []).reduce((product, { size: length = 0 }) => product * length, 1);
  const reader = READERS[dtype];
  if (size !== 1 || reader === undefined) return undefined;
  if (tensorContent?.length === reader.bytes)
    return reader.read(new DataView(tensorContent.buffer, tensorContent.byteOffset, reader.bytes));
  const [value] = [lists.floatVal, lists.doubleVal, lists.intVal, lists.int64Val].find((list) => list?.length) ?? [];
  // Zero, as a default, is left out of the lists.
  return value ?? 0;
}
