/** Real pods through a real API server: what the agent does, seen as any client of the API sees it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { type Agent, startAgent } from '../src/agent/agent.ts';
import type { AgentOptions } from '../src/agent/options.ts';
import { ensureCredentials } from '../src/apiserver/credentials.ts';
import { memoryJournal } from '../src/apiserver/journal.ts';
import { type ApiServer, startApiServer } from '../src/apiserver/server.ts';
import { hostClock } from '../src/base/clock.ts';
import { createClient } from '../src/client/client.ts';
import type { ApiClient } from '../src/client/types.ts';
import type { ConfigMap, Event, Node, Pod, PodSpec } from '../src/kube/pod.ts';
import { WELL_KNOWN } from '../src/kube/well-known.ts';

const home = mkdtempSync(`${tmpdir()}/athanor-agent-`);
const clock = hostClock(globalThis);
const silent = { info() {}, warn() {}, error() {} };
const nodeToken = 'node-token';
let server: ApiServer;
let client: ApiClient;
let agent: Agent;
let options: AgentOptions;

before(async () => {
  const credentials = await ensureCredentials(`${home}/credentials`);
  const report = (error: unknown) => console.error(error);
  const journal = memoryJournal();
  server = await startApiServer({
    host: '127.0.0.1',
    port: 0,
    journal,
    credentials,
    nodeToken,
    clock,
    random: Math.random,
    report,
  });
  client = createClient({
    url: server.url,
    token: credentials.ownerToken,
    caPem: credentials.caPem,
    userAgent: 'agent-test',
  });
  options = {
    client,
    clock,
    log: silent,
    nodeName: 'laptop',
    root: `${home}/agent`,
    images: { sh: { command: ['sh'] }, athanor: { command: [process.execPath], folders: [dirname(process.execPath)] } },
    capacity: { cpuMillis: 2000, memoryBytes: 2 ** 30 },
    authToken: nodeToken,
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', LANG: 'C.UTF-8' },
    hiddenPaths: [home],
    limits: 'watch',
    backoff: { firstMs: 50 },
  };
  agent = await startAgent(options);
});

after(async () => {
  await agent.close();
  await client.close();
  await server.close();
  rmSync(home, { recursive: true, force: true });
});

async function createPod(name: string, script: string, more: Partial<PodSpec> = {}): Promise<void> {
  const spec: PodSpec = {
    nodeName: 'laptop',
    restartPolicy: 'Never',
    containers: [{ name: 'main', image: 'sh:1', args: ['-c', script] }],
    ...more,
  };
  await client.create<Pod>(WELL_KNOWN.Pod, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec,
  });
}

const getPod = (name: string) => client.get<Pod>(WELL_KNOWN.Pod, name, 'default');

const kill = (name: string) => client.delete(WELL_KNOWN.Pod, name, { namespace: 'default', gracePeriodSeconds: 0 });

/** The pod once it is as wanted; fails with the last one seen. */
async function awaitPod(name: string, isWanted: (pod: Pod) => boolean): Promise<Pod> {
  let pod = await getPod(name);
  for (let tries = 0; tries < 400; tries++) {
    if (isWanted(pod)) return pod;
    await new Promise((resolve) => setTimeout(resolve, 50));
    pod = await getPod(name);
  }
  assert.fail(`pod ${name} did not become so: ${JSON.stringify(pod.status, null, 1)}`);
}

const isDone = ({ status }: Pod) => status?.phase === 'Succeeded' || status?.phase === 'Failed';
const isReady = ({ status }: Pod) =>
  status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') ?? false;

async function readLogs(name: string, query = ''): Promise<string> {
  let text = '';
  const path = `/api/v1/namespaces/default/pods/${name}/log?${query}`;
  for await (const part of client.stream(path, AbortSignal.timeout(20_000))) text += part;
  return text;
}

test('the agent registers its node', async () => {
  const node = await client.get<Node>(WELL_KNOWN.Node, 'laptop');
  assert.equal(node.status?.capacity?.cpu, '2');
  assert.equal(node.status?.daemonEndpoints?.kubeletEndpoint.Port, agent.port);
  assert.ok(node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'));
  assert.equal((await client.get(WELL_KNOWN.Lease, 'laptop', 'kube-node-lease')).metadata.name, 'laptop');
});

test('a pod runs to completion, and its log is there', async () => {
  await createPod('completes', 'echo hello $POD; ls /var/run/secrets/kubernetes.io/serviceaccount; ls -A "$HOME"', {
    containers: [
      {
        name: 'main',
        image: 'sh',
        args: ['-c', 'echo hello $POD; ls /var/run/secrets/kubernetes.io/serviceaccount'],
        env: [{ name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
      },
    ],
  });
  const { status } = await awaitPod('completes', isDone);
  assert.equal(status?.phase, 'Succeeded');
  assert.equal(status?.containerStatuses?.[0]?.state.terminated?.reason, 'Completed');
  assert.match(status?.podIP ?? '', /^127\./);
  assert.equal(await readLogs('completes'), 'hello completes\nca.crt\nnamespace\ntoken\n');
  assert.equal(await readLogs('completes', 'tailLines=1'), 'token\n');
});

test('a pod that fails says how', async () => {
  await createPod('fails', 'echo lost > /dev/termination-log; exit 3');
  const { status } = await awaitPod('fails', isDone);
  const { exitCode, reason, message } = status?.containerStatuses?.[0]?.state.terminated ?? {};
  assert.deepEqual([status?.phase, exitCode, reason, message], ['Failed', 3, 'Error', 'lost\n']);
});

test('a container that crashes again and again is held back', async () => {
  await createPod('crashes', 'exit 1', { restartPolicy: 'Always' });
  const pod = await awaitPod('crashes', ({ status }) => {
    const [main] = status?.containerStatuses ?? [];
    return main?.state.waiting?.reason === 'CrashLoopBackOff' && main.restartCount >= 2;
  });
  assert.equal(pod.status?.phase, 'Running');
  assert.equal(pod.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode, 1);
  await kill('crashes');
});

test('init containers run first, one by one, and share volumes with the others', async () => {
  const volumeMounts = [{ name: 'work', mountPath: '/workspace/shared' }];
  const step = (name: string, script: string) => ({ name, image: 'sh', args: ['-c', script], volumeMounts });
  await createPod('ordered', '', {
    initContainers: [
      step('one', 'echo one >> /workspace/shared/log'),
      step('two', 'echo two >> /workspace/shared/log'),
    ],
    containers: [step('main', 'cat /workspace/shared/log')],
    volumes: [{ name: 'work', emptyDir: {} }],
  });
  const { status } = await awaitPod('ordered', isDone);
  assert.equal(status?.phase, 'Succeeded');
  assert.equal(await readLogs('ordered', 'container=main'), 'one\ntwo\n');
});

test('config maps come as environment and as files; a missing one is waited for', async () => {
  const containers = [
    {
      name: 'main',
      image: 'sh',
      args: ['-c', 'echo $(COLOR) $SIZE; cat /etc/settings/SIZE'],
      env: [{ name: 'COLOR', value: 'blue' }],
      envFrom: [{ configMapRef: { name: 'settings' } }],
      volumeMounts: [{ name: 'settings', mountPath: '/etc/settings' }],
    },
  ];
  await createPod('configured', '', {
    containers,
    volumes: [{ name: 'settings', configMap: { name: 'settings', optional: true } }],
  });
  const waits = ({ status }: Pod) =>
    status?.containerStatuses?.[0]?.state.waiting?.reason === 'CreateContainerConfigError';
  const waiting = await awaitPod('configured', waits);
  assert.match(waiting.status?.containerStatuses?.[0]?.state.waiting?.message ?? '', /configmap "settings" not found/);
  const metadata = { name: 'settings', namespace: 'default' };
  await client.create<ConfigMap>(WELL_KNOWN.ConfigMap, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata,
    data: { SIZE: '7' },
  });
  await createPod('configured-later', '', {
    containers,
    volumes: [{ name: 'settings', configMap: { name: 'settings' } }],
  });
  await awaitPod('configured-later', isDone);
  assert.equal(await readLogs('configured-later'), 'blue 7\n7');
  await awaitPod('configured', isDone);
  assert.match(await readLogs('configured'), /^blue 7\n/);
});

test('a pod is ready when its probe says so', async () => {
  const readinessProbe = { exec: { command: ['test', '-e', '/tmp/ready'] }, periodSeconds: 1 };
  const args = ['-c', 'echo up; while [ ! -e /tmp/go ]; do sleep 0.1; done; touch /tmp/ready; sleep 600'];
  await createPod('probed', '', { containers: [{ name: 'main', image: 'sh', args, readinessProbe }] });
  const running = await awaitPod('probed', ({ status }) => status?.phase === 'Running');
  assert.equal(isReady(running), false);
  assert.deepEqual(await exec('probed', ['sh', '-c', 'touch /tmp/go; echo done; exit 4']), {
    stdout: 'done\n',
    exitCode: '4',
  });
  assert.equal(isReady(await awaitPod('probed', isReady)), true);
  await kill('probed');
});

test('an HTTP probe asks the pod at its own address, by the name of the port', async () => {
  const serve = "require('http').createServer((q, r) => r.end()).listen(8080, process.env.IP)";
  const env = [{ name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }];
  const readinessProbe = { httpGet: { path: '/live', port: 'web' }, periodSeconds: 1 };
  const ports = [{ name: 'web', containerPort: 8080 }];
  const container = { name: 'main', image: 'athanor', args: ['-e', serve], env, ports, readinessProbe };
  for (const name of ['web-a', 'web-b']) await createPod(name, '', { containers: [container] });
  for (const name of ['web-a', 'web-b']) await awaitPod(name, isReady);
  for (const name of ['web-a', 'web-b']) await kill(name);
});

test('a container whose liveness probe fails is started again', async () => {
  const livenessProbe = { exec: { command: ['false'] }, periodSeconds: 1, failureThreshold: 1 };
  const container = { name: 'main', image: 'sh', args: ['-c', 'sleep 600'], livenessProbe };
  await createPod('ill', '', { containers: [container], restartPolicy: 'Always', terminationGracePeriodSeconds: 1 });
  await awaitPod('ill', ({ status }) => (status?.containerStatuses?.[0]?.restartCount ?? 0) >= 1);
  await kill('ill');
});

test('exec with a terminal has one', async () => {
  await createPod('terminal', 'sleep 600');
  await awaitPod('terminal', isReady);
  const { stdout, exitCode } = await exec('terminal', ['sh', '-c', 'tty; exit 5'], 'tty=true');
  assert.match(stdout, /^\/dev\/pts\/\d+\r\n$/);
  assert.equal(exitCode, '5');
  await kill('terminal');
});

test('a deleted pod gets its grace and is gone then; its log can be followed to the end', async () => {
  await createPod('graceful', 'trap "echo bye; exit 0" TERM; echo ready; while :; do sleep 0.1; done');
  await awaitPod('graceful', isReady);
  const followed = readLogs('graceful', 'follow=true');
  await client.delete(WELL_KNOWN.Pod, 'graceful', { namespace: 'default' });
  assert.equal(await followed, 'ready\nbye\n');
  await until(async () =>
    (await client.list(WELL_KNOWN.Pod)).items.every(({ metadata }) => metadata.name !== 'graceful'),
  );
});

test('an image without bundle waits and says what to do', async () => {
  await createPod('foreign', '', { containers: [{ name: 'main', image: 'docker.io/library/redis:7' }] });
  const hasReason = ({ status }: Pod) =>
    status?.containerStatuses?.[0]?.state.waiting?.reason === 'ImageNeedsContainerRuntime';
  const { status } = await awaitPod('foreign', hasReason);
  assert.match(
    status?.containerStatuses?.[0]?.state.waiting?.message ?? '',
    /knows only the bundles athanor, sh; map the image/,
  );
});

test('members of a gang find each other by name', async () => {
  const member = (hostname: string, script: string) => createPod(hostname, script, { hostname, subdomain: 'gang' });
  await member('gang-0', 'while ! getent hosts gang-1.gang.default.svc; do sleep 0.1; done');
  await member('gang-1', 'while ! getent hosts gang-0.gang; do sleep 0.1; done');
  for (const name of ['gang-0', 'gang-1']) assert.equal((await awaitPod(name, isDone)).status?.phase, 'Succeeded');
});

test('a memory limit is kept, and its breach is told as OOMKilled', async () => {
  const args = ['-c', 'x=$(head -c 90000000 /dev/zero | tr "\\0" x); while :; do sleep 0.1; done'];
  const resources = { limits: { memory: '40Mi' } };
  await createPod('greedy', '', { containers: [{ name: 'main', image: 'sh', args, resources }] });
  const { status } = await awaitPod('greedy', isDone);
  const { exitCode, reason } = status?.containerStatuses?.[0]?.state.terminated ?? {};
  assert.deepEqual([exitCode, reason], [137, 'OOMKilled']);
});

test('after a restart of the agent a finished pod stays finished and a running one is started again', async () => {
  await createPod('survivor', 'echo started; sleep 600', { restartPolicy: 'Always' });
  await awaitPod('survivor', isReady);
  const before = await getPod('completes');
  await agent.close();
  agent = await startAgent(options);
  const again = await awaitPod(
    'survivor',
    (pod) => isReady(pod) && pod.status?.containerStatuses?.[0]?.restartCount === 1,
  );
  assert.equal(again.status?.podIP !== undefined, true);
  assert.deepEqual((await getPod('completes')).status, before.status);
  assert.equal(await readLogs('completes', 'tailLines=1'), 'token\n');
});

test('events tell what happened', async () => {
  const { items } = await client.list<Event>(WELL_KNOWN.Event, { namespace: 'default' });
  const reasons = new Set(items.map(({ reason }) => reason));
  for (const reason of ['Created', 'Started', 'BackOff', 'Killing', 'Failed']) assert.ok(reasons.has(reason), reason);
});

test('the agent answers nobody but the API server', async () => {
  const answer = await fetch(`${agent.url}/pods`, { headers: { authorization: 'Bearer guess' } });
  assert.equal(answer.status, 401);
  assert.equal((await fetch(`${agent.url}/healthz`)).status, 200);
});

interface Executed {
  readonly stdout: string;
  readonly exitCode: string | undefined;
}

/** Exec as a client library does it, at the agent's own door. */
async function exec(pod: string, command: readonly string[], more = ''): Promise<Executed> {
  const words = command.map((word) => `command=${encodeURIComponent(word)}`);
  const query = [...words, 'stdout=true', 'stderr=true', more].join('&');
  const url = `${agent.url.replace('http', 'ws')}/exec/default/${pod}/main?${query}`;
  const socket = new WebSocket(url, 'v5.channel.k8s.io', { headers: { authorization: `Bearer ${nodeToken}` } });
  const outputs = ['', '', '', ''];
  socket.on('message', (message: Buffer) => {
    outputs[message[0] ?? 0] += message.subarray(1).toString();
  });
  await new Promise((resolve, reject) => socket.once('close', resolve).once('error', reject));
  type Ended = { readonly details?: { readonly causes?: readonly { readonly message: string }[] } };
  const status = JSON.parse(outputs[3] ?? '') as Ended; // why: channel 3 carries a Status
  return { stdout: outputs[1] ?? '', exitCode: status.details?.causes?.[0]?.message };
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (await isTrue()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail('it did not become true within 20 seconds');
}
