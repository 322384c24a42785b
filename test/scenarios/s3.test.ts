/** BLOBS_URL on a real S3-compatible server: data in, a job over it, outputs out, artifacts; no password in sight. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { TestAthanor } from '../athanor.ts';
import { startS3, type TestS3 } from '../s3-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'athanor-s3-scenario-'));
let s3: TestS3;
let athanor: TestAthanor;
before(async () => {
  s3 = await startS3();
  athanor = new TestAthanor(undefined, { ...s3.env, BLOBS_URL: s3.url('platform') });
  await athanor.up();
});
after(async () => {
  await athanor?.close();
  await s3?.close();
  rmSync(folder, { recursive: true, force: true });
});

function write(name: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const SUM = `
import os
from pathlib import Path
total = sum(int(line) for file in Path("/data/numbers").rglob("*.txt") for line in file.read_text().split())
Path("/outputs/total.txt").write_text(str(total))
print("inherited", sorted(name for name in os.environ if "SECRET" in name or "ACCESS_KEY" in name))
`;

test('a folder becomes a data set, a job in a new namespace reads it, and its outputs come back', async () => {
  write('numbers/a.txt', '1\n2\n');
  write('numbers/deep/ü.txt', '3\n');
  const namespace = 'apiVersion: v1\nkind: Namespace\nmetadata: { name: team }\n';
  const source = `{ folder: { path: ${join(folder, 'numbers')} } }`;
  const dataset = `apiVersion: athanor.dev/v1alpha1\nkind: Dataset\nmetadata: { name: numbers, namespace: team }\nspec: { source: ${source} }\n`;
  const applied = await athanor.runWithInput(`${namespace}---\n${dataset}`, 'apply', '-f', '-');
  assert.equal(applied.code, 0, applied.stderr);
  const waited = await athanor.run('wait', '-n', 'team', 'ds/numbers');
  assert.equal(waited.code, 0, waited.stderr);
  const flags = ['-n', 'team', '--name', 'sum', '--dataset', 'numbers', '--outputs', '/outputs'];
  const { code, stdout, stderr } = await athanor.run('run', ...flags, write('sum.py', SUM));
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /^inherited \[\]$/m);
  const { status } = await athanor.ask<{ status: { outputs: { digest: string } } }>('get', '-n', 'team', 'tj', 'sum');
  const pulled = await athanor.run('pull', status.outputs.digest, join(folder, 'out'));
  assert.equal(pulled.code, 0, pulled.stderr);
  assert.equal(readFileSync(join(folder, 'out', 'total.txt'), 'utf8'), '6');
});

test('artifacts go there too, and nothing is kept in the home', async () => {
  const { tracking } = await athanor.endpoints();
  const place = `${tracking}/api/2.0/mlflow-artifacts/artifacts/0/r/artifacts/a.txt`;
  assert.equal((await fetch(place, { method: 'PUT', body: 'kept' })).status, 200);
  assert.equal(await (await fetch(place)).text(), 'kept');
  assert.ok(!readdirSync(athanor.home).includes('blobs'));
});

test('no object but the Secret, and no log, holds the password', async () => {
  for (const kind of ['pods', 'tj', 'ds', 'events', 'cm']) {
    const { stdout, code, stderr } = await athanor.run('get', '-n', 'team', kind, '-o', 'json');
    assert.equal(code, 0, stderr);
    assert.ok(!stdout.includes(s3.access.secretAccessKey), kind);
  }
  assert.ok(!athanor.log().includes(s3.access.secretAccessKey));
});

test('a bucket that is not there stops the start, and says so', async () => {
  const url = s3.url().replace('s3://athanor/', 's3://nowhere/');
  const other = new TestAthanor(undefined, { ...s3.env, BLOBS_URL: url });
  const { code, stderr } = await other.run('up');
  assert.equal(code, 3);
  assert.match(stderr, /cannot open the bucket nowhere: the bucket does not exist, create it/);
  await other.close();
});
