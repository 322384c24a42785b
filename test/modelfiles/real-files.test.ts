/**
 * Model files that real libraries write, and dangerous ones by every technique we know: make-model-files.py writes them.
 * All dangerous ones are caught, all harmless ones pass, and no rule is there that nothing shows.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { RULES } from '../../src/modelfiles/finding.ts';
import { listFolderFiles } from '../../src/modelfiles/model-files.ts';
import { describeDanger, type ModelReport, scanModel } from '../../src/modelfiles/scan.ts';
import { ensureVenv } from '../python.ts';

const PACKAGES = 'numpy scikit-learn pandas joblib cloudpickle safetensors onnx gguf h5py xgboost-cpu'.split(' ');
const MALICIOUS_MIN = 190;
const PICKLES_MIN = 100;
const BENIGN_MIN = 55;
const home = mkdtempSync(join(tmpdir(), 'athanor-model-files-'));
const reports = new Map<string, ModelReport>();

before(async () => {
  const { python } = await ensureVenv(PACKAGES);
  execFileSync(python, ['-W', 'ignore', join(import.meta.dirname, 'make-model-files.py'), home]);
  for (const kind of ['malicious', 'benign'])
    reports.set(kind, await scanModel(await listFolderFiles(join(home, kind))));
});
after(() => rmSync(home, { recursive: true, force: true }));

const filesOf = (kind: string) => reports.get(kind)?.files ?? [];

test('scanModel() finds every dangerous file unsafe, and says what to do', () => {
  const files = filesOf('malicious');
  assert.ok(files.length >= MALICIOUS_MIN, String(files.length));
  const missed = files.filter(({ verdict }) => verdict !== 'unsafe').map(({ path }) => path);
  assert.deepEqual(missed, []);
  const silent = files.filter(({ findings }) => !findings.some(({ rule }) => RULES[rule].verdict === 'unsafe'));
  assert.deepEqual(silent, []);
  assert.match(describeDanger(reports.get('malicious') ?? { verdict: 'safe', files: [] }) ?? '', /: [a-z-]+: .*, /);
  const pickles = files.filter(({ findings }) => findings.some(({ rule }) => rule.startsWith('pickle-')));
  assert.ok(pickles.length >= PICKLES_MIN, String(pickles.length));
});

test('scanModel() finds what libraries write safe', () => {
  const files = filesOf('benign');
  assert.ok(files.length >= BENIGN_MIN, String(files.length));
  const wrong = files.filter(({ verdict }) => verdict !== 'safe').map(({ path, findings }) => ({ path, findings }));
  assert.deepEqual(wrong, []);
});

test('scanModel() follows what pickle.load would do with a file of joblib', () => {
  const found = filesOf('malicious').find(({ path }) => path === 'two-memos.joblib');
  const told = found?.findings.map(({ rule, what, where }) => [rule, what, where]);
  assert.deepEqual(told, [['pickle-import', 'posix.system', 'for pickle.load']]);
});

test('scanModel() knows formats by content', () => {
  const formats = new Set(filesOf('benign').map(({ format }) => format));
  const known =
    'gguf gzip hdf5 jinja json keras npy npz onnx pickle pytorch safetensors saved-model tar text ubjson yaml';
  for (const format of known.split(' ').filter((name) => name !== 'tar')) assert.ok(formats.has(format), format);
});
