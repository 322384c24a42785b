/** The scanner on bytes: what is told and where, and that no bytes at all make it crash, hang or read outside. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import * as fc from 'fast-check';
import { type Bytes, memoryBytes, readBytes, sliceBytes } from './bytes.ts';
import type { FileReport } from './finding.ts';
import { findImportReason } from './allowed-imports.ts';
import { scanFile, scanModel } from './scan.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

/** Fails when a reader leaves the bytes, and gives them in small pieces, as a slow store might. */
function strictBytes(content: Buffer, pieceBytes = 7): Bytes {
  return {
    sizeBytes: content.length,
    stream: async function* (start, end) {
      assert.ok(start >= 0 && end <= content.length && start <= end, `${start}-${end} of ${content.length}`);
      for (let at = start; at < end; at += pieceBytes) yield content.subarray(at, Math.min(end, at + pieceBytes));
    },
  };
}

const scan = (path: string, content: Buffer): Promise<FileReport> => scanFile({ path, bytes: strictBytes(content) });

const SYSTEM = "cposix\nsystem\n(S'echo'\ntR.";

const told: Record<string, { readonly path: string; readonly content: string; readonly want: readonly string[] }> = {
  'an import, and where': {
    path: 'm.pkl',
    content: SYSTEM,
    want: ['unsafe', 'pickle', 'pickle-import posix.system'],
  },
  'an import by the memo, out of order': {
    path: 'm.pkl',
    content: '\x80\x04\x8c\x06system\x94\x8c\x02os\x94h\x01h\x00\x93.',
    want: ['unsafe', 'pickle', 'pickle-import os.system'],
  },
  'a computed name': {
    path: 'm.pkl',
    content: '\x80\x04N\x8c\x06system\x93.',
    want: ['unsafe', 'pickle', 'pickle-computed-import ?.system'],
  },
  'what breaks': {
    path: 'm.pkl',
    content: '\x80\x04N',
    want: ['unsafe', 'pickle', 'pickle-broken it ends at byte 3, in the middle'],
  },
  'a second pickle that breaks': {
    path: 'm.pkl',
    content: 'N.N',
    want: ['unsafe', 'pickle', 'pickle-trailing-bytes it ends at byte 3, in the middle'],
  },
  'a harmless pickle': { path: 'm.pkl', content: '\x80\x02ccollections\nOrderedDict\n)R.', want: ['safe', 'pickle'] },
  'a pickle that calls itself a text': {
    path: 'notes.txt',
    content: SYSTEM,
    want: ['unsafe', 'pickle', 'pickle-import posix.system'],
  },
  'a text that begins like a pickle': { path: 'vocab.txt', content: 'cat\ndog\n', want: ['safe', 'text'] },
  'bytes of nobody': { path: 'weights.bin', content: '\x00\x01\x02\x03', want: ['unknown', 'unknown'] },
  'a program': {
    path: 'code/model.py',
    content: 'import os\n',
    want: ['unknown', 'source', 'source-code code/model.py'],
  },
  nothing: { path: 'empty', content: '', want: ['safe', 'empty'] },
  'control characters in names': {
    path: 'm.pkl',
    content: '\x80\x02cos\x1b[2J\nsystem\n.',
    want: ['unsafe', 'pickle', 'pickle-import os\\u001b[2J.system'],
  },
};

for (const [sentence, { path, content, want }] of Object.entries(told)) {
  test(`scanFile() tells ${sentence}`, async () => {
    const { verdict, format, findings } = await scan(path, latin1(content));
    assert.deepEqual([verdict, format, ...findings.map(({ rule, what }) => `${rule} ${what}`)], want);
  });
}

test('scanModel() is as bad as its worst file', async () => {
  const file = (path: string, content: string) => ({ path, bytes: memoryBytes(latin1(content)) });
  const verdictOf = async (...files: ReturnType<typeof file>[]) => (await scanModel(files)).verdict;
  assert.equal(await verdictOf(file('a', 'text')), 'safe');
  assert.equal(await verdictOf(file('a', 'text'), file('b', '\x00\x00')), 'unknown');
  assert.equal(await verdictOf(file('a', SYSTEM), file('b', '\x00\x00')), 'unsafe');
  assert.equal(await verdictOf(...Array.from({ length: 10_001 }, () => file('a', ''))), 'unsafe');
});

test('findImportReason() allows no name that reaches others', () => {
  const reaching = [
    ['builtins', 'getattr'],
    ['builtins', 'eval'],
    ['builtins', 'type'],
    ['builtins', 'map'],
    ['functools', 'partial'],
    ['operator', 'attrgetter'],
    ['numpy', 'load'],
    ['numpy', 'memmap'],
    ['joblib', 'load'],
    ['torch', 'load'],
    ['torch.storage', '_load_from_bytes'],
    ['sklearn.pipeline', 'os'],
    ['collections', 'OrderedDict.fromkeys'],
    ['collections OrderedDict', ''],
    ['', 'collections OrderedDict'],
  ] as const;
  for (const [module, name] of reaching) assert.equal(findImportReason(module, name), undefined, `${module}.${name}`);
  assert.match(findImportReason('numpy', 'dtype') ?? '', /array/);
});

test('readBytes() stays within a slice', async () => {
  const slice = sliceBytes(strictBytes(latin1('0123456789')), 2, 6);
  assert.equal((await readBytes(slice, 1, 100)).toString(), '345');
  assert.equal((await readBytes(slice, 4, 1)).length, 0);
  assert.equal((await readBytes(slice, -1, 1)).length, 0);
});

/** A zip of one deflated entry. */
function zipOf(name: string, content: Buffer): Buffer {
  const packed = deflateRawSync(content);
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(8, 8);
  local.writeUInt32LE(packed.length, 18);
  local.writeUInt32LE(content.length, 22);
  local.writeUInt16LE(name.length, 26);
  const listed = Buffer.alloc(46);
  listed.writeUInt32LE(0x02014b50, 0);
  listed.writeUInt16LE(8, 10);
  listed.writeUInt32LE(packed.length, 20);
  listed.writeUInt32LE(content.length, 24);
  listed.writeUInt16LE(name.length, 28);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(listed.length + name.length, 12);
  end.writeUInt32LE(local.length + name.length + packed.length, 16);
  return Buffer.concat([local, latin1(name), packed, listed, latin1(name), end]);
}

const tensor = '{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
const SEEDS: readonly Buffer[] = [
  latin1(SYSTEM),
  latin1(
    '\x80\x04\x95\x1e\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04echo\x94\x85\x94R\x94.',
  ),
  latin1('\x80\x02]q\x00(K\x01M\x01\x02\x8a\x02\xff\xfe}q\x01X\x01\x00\x00\x00as\x87e0.'),
  zipOf('archive/data.pkl', latin1(SYSTEM)),
  latin1(`${String.fromCharCode(tensor.length)}${'\0'.repeat(7)}${tensor}\0\0\0\0`),
  latin1(`GGUF\x03\0\0\0${'\0'.repeat(8)}\x01${'\0'.repeat(7)}\x01${'\0'.repeat(7)}a\x08\0\0\0\x01${'\0'.repeat(7)}b`),
  latin1('\x08\x08\x12\x01a\x3a\x10\x0a\x05\x22\x03Add\x2a\x07\x6a\x05\x0a\x03a/b'),
  latin1("\x93NUMPY\x01\x00\x3e\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }      \n\x80\x03]q\x00N."),
];

const mutated = fc
  .record({
    seed: fc.constantFrom(...SEEDS),
    changes: fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 12 }),
    cut: fc.nat(400),
    more: fc.uint8Array({ maxLength: 40 }),
  })
  .map(({ seed, changes, cut, more }) => {
    const content = Buffer.from(seed);
    for (const [at, byte] of changes) if (at < content.length) content[at] = byte;
    return Buffer.concat([content.subarray(0, Math.max(1, content.length - (cut > 200 ? 0 : cut % 20))), more]);
  });

const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 2_000 }).map((bytes) => Buffer.from(bytes)),
  mutated,
);
const anyName = fc.constantFrom('m.pkl', 'a.bin', 'x.onnx', 'saved_model.pb', 'c.json', 'm.zip', 'README', 'm.pt');

test('scanFile() ends with a verdict on any bytes', async () => {
  const property = fc.asyncProperty(anyName, anyBytes, async (path, content) => {
    const { verdict, findings } = await scan(path, content);
    assert.ok(['safe', 'unsafe', 'unknown'].includes(verdict));
    assert.ok(verdict !== 'unsafe' || findings.length > 0);
  });
  await fc.assert(property, { numRuns: 1_500 });
});

test('scanFile() tells the same however the bytes are cut', async () => {
  const property = fc.asyncProperty(
    anyName,
    anyBytes,
    fc.integer({ min: 1, max: 50 }),
    async (path, content, piece) => {
      const [whole, pieces] = await Promise.all([
        scanFile({ path, bytes: memoryBytes(content) }),
        scanFile({ path, bytes: strictBytes(content, piece) }),
      ]);
      assert.deepEqual(pieces, whole);
    },
  );
  await fc.assert(property, { numRuns: 300 });
});
