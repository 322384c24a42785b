/** Bad input gets a clear error and loses nothing. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, TestAthanor } from '../athanor.ts';
import { ELEMENT, identityModel } from '../onnx-file.ts';

const athanor = new TestAthanor();
const folder = mkdtempSync(join(tmpdir(), 'athanor-bad-'));
before(() => athanor.up());
after(async () => {
  await athanor.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Case {
  readonly manifest: string;
  readonly wantStderr: RegExp;
}

const HEAD = 'apiVersion: athanor.dev/v1alpha1\n';
const refused: Record<string, Case> = {
  'a wrong type names the field': {
    manifest: `${HEAD}kind: TrainingJob\nmetadata: { name: bad }\nspec: { command: [python, x.py], replicas: two }\n`,
    wantStderr:
      /TrainingJob\.athanor\.dev "bad" is invalid: spec\.replicas: Invalid value: "string": spec\.replicas in body must be of type integer/,
  },
  'a missing field is required': {
    manifest: `${HEAD}kind: TrainingJob\nmetadata: { name: bad }\nspec: { replicas: 1 }\n`,
    wantStderr: /spec\.command: Required value/,
  },
  'an unknown field is named': {
    manifest: `${HEAD}kind: TrainingJob\nmetadata: { name: bad }\nspec: { command: [python], replica: 2 }\n`,
    wantStderr: /strict decoding error: unknown field "spec\.replica"/,
  },
  'two sources are one too many': {
    manifest: `${HEAD}kind: Dataset\nmetadata: { name: bad }\nspec: { source: { folder: { path: /a }, url: { url: 'http://x/y' } } }\n`,
    wantStderr: /must validate one and only one schema \(oneOf\): exactly one of folder, url, pod is wanted/,
  },
  'a bad name is no DNS name': {
    manifest: `${HEAD}kind: PodGroup\nmetadata: { name: Bad_Name }\nspec: { minMember: 1 }\n`,
    wantStderr: /metadata\.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain/,
  },
  'an unknown kind is told': {
    manifest: `${HEAD}kind: Nothing\nmetadata: { name: x }\n`,
    wantStderr: /the server does not know athanor\.dev\/v1alpha1, Kind=Nothing/,
  },
  'YAML that does not parse is told': { manifest: 'a: [1,\n', wantStderr: /cannot apply -: / },
};

for (const [sentence, { manifest, wantStderr }] of Object.entries(refused)) {
  test(`apply: ${sentence}, and nothing is created`, async () => {
    const { code, stderr } = await athanor.runWithInput(manifest, 'apply', '-f', '-');
    assert.notEqual(code, 0);
    assert.match(stderr, wantStderr);
    const { stdout } = await athanor.run('get', 'tj', '-o', 'name');
    assert.doesNotMatch(stdout, /\/bad$/m);
  });
}

const usage: Record<
  string,
  { readonly args: readonly string[]; readonly wantCode: number; readonly wantStderr: RegExp }
> = {
  'an unknown resource lists what there is': {
    args: ['get', 'nonsense'],
    wantCode: 3,
    wantStderr: /the server has none of that name, try .*trainingjobs/,
  },
  'a missing object is not found': {
    args: ['get', 'tj', 'nobody'],
    wantCode: 3,
    wantStderr: /trainingjobs\.athanor\.dev "nobody" not found/,
  },
  'a missing script is not found': {
    args: ['run', '/nowhere/x.py'],
    wantCode: 3,
    wantStderr: /there is no such file or folder/,
  },
  'a wrong format names the right ones': {
    args: ['get', 'tj', '-o', 'xml'],
    wantCode: 2,
    wantStderr: /want json, yaml, name, wide or table/,
  },
  'logs of nothing say so': { args: ['logs', 'nobody'], wantCode: 3, wantStderr: /there is no pod of that name/ },
};

for (const [sentence, { args, wantCode, wantStderr }] of Object.entries(usage)) {
  test(`${args[0]}: ${sentence}`, async () => {
    const { code, stderr } = await athanor.run(...args);
    assert.equal(code, wantCode, stderr);
    assert.match(stderr, wantStderr);
  });
}

test('a data set whose server breaks off half way fails with the reason and stores nothing', async () => {
  const server = createServer((request, response) => {
    const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': 1_000_000 - from });
    response.write(Buffer.alloc(1000), () => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    await athanor.runWithInput(
      `${HEAD}kind: Dataset\nmetadata: { name: cut }\nspec: { source: { url: { url: 'http://127.0.0.1:${port}/data.bin' } } }\n`,
      'apply',
      '-f',
      '-',
    );
    const { code, stderr } = await athanor.run('wait', 'ds/cut');
    assert.equal(code, 1);
    assert.match(
      stderr,
      /cannot import http:\/\/127\.0\.0\.1:\d+\/data\.bin: .*after \d+ bytes and 4 tries\); nothing was stored/,
    );
    const { status } = await athanor.ask<{ status: { digest?: string; phase: string } }>('get', 'ds', 'cut');
    assert.deepEqual({ digest: status.digest, phase: status.phase }, { digest: undefined, phase: 'Failed' });
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test("a package that does not exist ends the job with pip's last lines", async () => {
  const script = join(folder, 'hello.py');
  writeFileSync(script, 'print("never")\n');
  const { code, stderr, stdout } = await athanor.run(
    'run',
    '--name',
    'no-package',
    '-p',
    'athanor-no-such-package-at-all',
    script,
  );
  assert.notEqual(code, 0);
  assert.doesNotMatch(stdout, /^never$/m);
  assert.match(stderr, /No matching distribution found for athanor-no-such-package-at-all/);
  const { status } = await athanor.ask<{ status: { message: string } }>('get', 'tj', 'no-package');
  assert.match(status.message, /in environment, exit code 1: .*No matching distribution found/s);
});

test('a script that throws ends the job with its exit code and last lines', async () => {
  const script = join(folder, 'throw.py');
  writeFileSync(script, 'raise ValueError("the sky fell")\n');
  const { code } = await athanor.run('run', '--name', 'throws', script);
  assert.equal(code, 1);
  const { status } = await athanor.ask<{ status: { exitCode: number; message: string; phase: string } }>(
    'get',
    'tj',
    'throws',
  );
  assert.equal(status.phase, 'Failed');
  assert.equal(status.exitCode, 1);
  assert.match(status.message, /ValueError: the sky fell/);
});

test('an image that needs a container runtime says what to do', async () => {
  await athanor.runWithInput(
    `${HEAD}kind: TrainingJob\nmetadata: { name: image }\nspec: { image: 'registry.example/pytorch:2', command: [python] }\n`,
    'apply',
    '-f',
    '-',
  );
  const message = await eventually('the reason', async () => {
    const { status } = await athanor.ask<{ status?: { message?: string } }>('get', 'tj', 'image');
    return status?.message?.includes('registry.example') ? status.message : undefined;
  });
  assert.match(message, /cannot run image 'registry\.example\/pytorch:2': .*run this pod on a Kubernetes cluster/);
});

async function serve(name: string, file: Uint8Array): Promise<void> {
  mkdirSync(join(folder, name));
  writeFileSync(join(folder, name, 'model.onnx'), file);
  const { digest } = await athanor.ask<{ digest: string }>('push', join(folder, name));
  const { code, stderr } = await athanor.runWithInput(
    `${HEAD}kind: InferenceService\nmetadata: { name: ${name} }\nspec: { model: { uri: 'blobs:/${digest}' } }\n`,
    'apply',
    '-f',
    '-',
  );
  assert.equal(code, 0, stderr);
}

test('a model that is not ONNX fails its service with the reason, and the gateway says so', async () => {
  await serve('not-onnx', Buffer.from('this is no model'));
  const { code, stderr } = await athanor.run('wait', 'isvc/not-onnx', '--timeout', '60');
  assert.equal(code, 1, stderr);
  assert.match(stderr, /it is not a model that onnxruntime reads/);
  const asked = await athanor.run('predict', 'not-onnx', '-i', '[[1]]');
  assert.notEqual(asked.code, 0);
  assert.match(asked.stderr, /cannot reach service default\/not-onnx/);
});

test('a wrong tensor shape is refused by name, and the service goes on', async () => {
  await serve('identity', identityModel(ELEMENT.float));
  const waited = await athanor.run('wait', 'isvc/identity', '--timeout', '60');
  assert.equal(waited.code, 0, waited.stderr);
  const wrong = await athanor.run('predict', 'identity', '-i', '[[1, 2, 3]]');
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /input 'x' has shape \[1, 3\], the model takes \[-1, 2\]/);
  const right = await athanor.run('predict', 'identity', '-i', '[[1, 2]]');
  assert.equal(right.code, 0, right.stderr);
  assert.match(right.stdout, /y \[1, 2\]: \[1,2\]/);
});
