/** Debian's own kubectl (1.20) against the embedded API server: what people type first. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { installKinds } from '../src/cli/install.ts';
import { trainingJob } from '../src/kinds/training-job/kind.ts';
import type { KubeObject, StoredObject } from '../src/kube/object.ts';
import type { Pod } from '../src/kube/pod.ts';
import { WELL_KNOWN } from '../src/kube/well-known.ts';
import { startCluster, type TestCluster } from './cluster.ts';
import { ensureKubectl } from './kubectl-binary.ts';

const folder = mkdtempSync(join(tmpdir(), 'athanor-kubectl-'));
let cluster: TestCluster;
let program: string;

before(async () => {
  [cluster, program] = await Promise.all([startCluster(), ensureKubectl()]);
  await installKinds(cluster.client);
  writeFileSync(join(folder, 'config'), kubeconfig(cluster));
  await cluster.client.create<StoredObject>(trainingJob, {
    apiVersion: 'athanor.dev/v1alpha1',
    kind: 'TrainingJob',
    metadata: { name: 'digits', namespace: 'default', labels: { team: 'vision' } },
    spec: { command: ['python', 'train.py'], replicas: 2 },
  });
  await cluster.client.create<StoredObject>(WELL_KNOWN.ConfigMap, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'settings', namespace: 'default' },
    data: { color: 'blue', size: '7' },
  });
});
after(async () => {
  await cluster.close();
  rmSync(folder, { recursive: true, force: true });
});

function kubeconfig({ url, credentials }: TestCluster): string {
  const ca = Buffer.from(credentials.caPem).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority-data': ca } }],
    users: [{ name: 'owner', user: { token: credentials.ownerToken } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'owner' } }],
  };
  return JSON.stringify(config);
}

interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(...args: readonly string[]) {
  const flags = ['--kubeconfig', join(folder, 'config'), '--cache-dir', join(folder, 'cache'), '--request-timeout=20s'];
  const child = spawn(program, [...flags, ...args], { env: { HOME: folder }, stdio: ['ignore', 'pipe', 'pipe'] });
  const outputs = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (outputs.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (outputs.stderr += chunk.toString()));
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...outputs }));
  });
  return { child, finished, outputs };
}

async function kubectl(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await start(...args).finished;
  assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
}

const rows = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => line.split(/ {2,}/).map((cell) => cell.trim()));

test('get prints the columns of a kind', async () => {
  const [head, row] = rows(await kubectl('get', 'trainingjobs'));
  assert.deepEqual(head?.slice(0, 3), ['NAME', 'PHASE', 'REPLICAS']);
  assert.equal(row?.[0], 'digits');
  assert.match((await kubectl('get', 'tj', 'digits')).split('\n')[1] ?? '', /^digits\s+2\s+default\s+\S+\s*$/);
});

test('get prints an object as JSON, as YAML, by name and by path', async () => {
  const object = JSON.parse(await kubectl('get', 'tj/digits', '-o', 'json')) as StoredObject;
  assert.deepEqual((object['spec'] as { command: unknown }).command, ['python', 'train.py']);
  assert.match(await kubectl('get', 'tj/digits', '-o', 'yaml'), /^kind: TrainingJob$/m);
  assert.equal(await kubectl('get', 'tj', '-o', 'name'), 'trainingjob.athanor.dev/digits\n');
  assert.equal(await kubectl('get', 'cm', 'settings', '-o', 'jsonpath={.data.color}'), 'blue');
});

test('get looks everywhere, by label, and by category', async () => {
  const [head] = rows(await kubectl('get', 'cm', '--all-namespaces'));
  assert.deepEqual(head, ['NAMESPACE', 'NAME', 'DATA', 'AGE']);
  assert.equal(await kubectl('get', 'tj', '-l', 'team=vision', '-o', 'name'), 'trainingjob.athanor.dev/digits\n');
  assert.equal(await kubectl('get', 'tj', '-l', 'team=speech', '-o', 'name'), '');
  assert.match(await kubectl('get', 'athanor', '-o', 'name'), /trainingjob.athanor.dev\/digits/);
  assert.match(await kubectl('get', 'servingruntimes'), /^onnx\s+\["onnx"\]\s+athanor/m);
});

test('get -w tells of a change', async () => {
  const { child, finished, outputs } = start('get', 'cm', 'settings', '-w', '--output-watch-events');
  const seen = new Promise<void>((resolve) => {
    child.stdout.on('data', () => {
      // kubectl writes a row in pieces: only a whole line is an answer
      if (/MODIFIED.*\n/.test(outputs.stdout)) resolve();
      else if (!outputs.stdout.includes('MODIFIED')) void touch();
    });
  });
  let touched = 0;
  async function touch(): Promise<void> {
    const body = { data: { touched: String(++touched) } };
    await cluster.client.patch(WELL_KNOWN.ConfigMap, { name: 'settings', namespace: 'default', type: 'merge', body });
  }
  await seen;
  child.kill('SIGTERM');
  await finished;
  assert.match(outputs.stdout, /MODIFIED\s+settings\s+3/);
});

test('describe shows an object and its events', async () => {
  const { metadata } = await cluster.client.get<KubeObject>(trainingJob, 'digits', 'default');
  await cluster.client.create<StoredObject>(WELL_KNOWN.Event, {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'digits.1', namespace: 'default' },
    involvedObject: { kind: 'TrainingJob', name: 'digits', namespace: 'default', uid: metadata.uid },
    type: 'Normal',
    reason: 'Noticed',
    message: 'somebody looked',
    count: 1,
    firstTimestamp: metadata.creationTimestamp,
    lastTimestamp: metadata.creationTimestamp,
  });
  const text = await kubectl('describe', 'tj', 'digits');
  assert.match(text, /^Name:\s+digits$/m);
  assert.match(text, /Normal\s+Noticed\s+.*somebody looked/);
  assert.match(await kubectl('describe', 'cm', 'settings'), /color:\n----\nblue/);
});

test('describe and get know pods', async () => {
  await cluster.client.create<Pod>(WELL_KNOWN.Pod, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default' },
    spec: { containers: [{ name: 'main', image: 'sh' }] },
  });
  assert.deepEqual(rows(await kubectl('get', 'pods'))[0], ['NAME', 'READY', 'STATUS', 'RESTARTS', 'AGE']);
  assert.match(await kubectl('describe', 'pod', 'web'), /Image:\s+sh/);
  assert.match(await kubectl('get', 'pods', '-o', 'wide'), /NODE/);
});

test('wait returns when a condition has come true, and delete when an object has gone', async () => {
  const condition = { type: 'Complete', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' };
  const waiting = start('wait', '--for=condition=Complete', 'tj/digits', '--timeout=20s');
  await cluster.client.patch(trainingJob, {
    name: 'digits',
    namespace: 'default',
    type: 'merge',
    subresource: 'status',
    body: { status: { phase: 'Complete', conditions: [condition] } },
  });
  const { code, stdout } = await waiting.finished;
  assert.deepEqual([code, stdout], [0, 'trainingjob.athanor.dev/digits condition met\n']);
  assert.equal(await kubectl('delete', 'pod', 'web', '--wait'), 'pod "web" deleted\n');
});
test('api-resources and api-versions list our kinds', async () => {
  assert.match(await kubectl('api-resources'), /trainingjobs\s+tj\s+athanor.dev\/v1alpha1\s+true\s+TrainingJob/);
  assert.match(await kubectl('api-versions'), /^athanor.dev\/v1alpha1$/m);
  assert.match(await kubectl('version', '--short'), /Server Version: v1\.34/);
});

test('config maps are made, changed and removed', async () => {
  assert.match(await kubectl('create', 'configmap', 'made', '--from-literal=a=1'), /configmap\/made created/);
  assert.match(
    await kubectl('patch', 'cm', 'made', '--type=merge', '-p', '{"data":{"b":"2"}}'),
    /configmap\/made patched/,
  );
  assert.equal(await kubectl('get', 'cm', 'made', '-o', 'jsonpath={.data.b}'), '2');
  assert.match(await kubectl('label', 'cm', 'made', 'x=y'), /configmap\/made labeled/);
  assert.equal(await kubectl('delete', 'cm', 'made'), 'configmap "made" deleted\n');
});

test('delete removes our kinds, and says what is not there', async () => {
  assert.match(await kubectl('delete', 'tj', 'digits'), /trainingjob.athanor.dev "digits" deleted/);
  const { code, stderr } = await start('get', 'tj', 'digits').finished;
  assert.deepEqual([code, stderr], [1, 'Error from server (NotFound): trainingjobs.athanor.dev "digits" not found\n']);
});
