/** The gateway finds a pod for each request: routes, waits, balances, tries again, and lets requests end. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { VirtualClock } from '../src/base/clock.ts';
import { inferenceService } from '../src/kinds/inference-service/kind.ts';
import { type Answer, ask, GatewayWorld, startBackend, type TestBackend } from './gateway-world.ts';
import { until } from './until.ts';

const clock = new VirtualClock(Date.now());
let world: GatewayWorld;
const backends: TestBackend[] = [];

before(async () => {
  world = await GatewayWorld.start({ clock });
});
after(async () => {
  await world.close();
  await Promise.all(backends.map((backend) => backend.close()));
});

/** Answers with its name and what it was asked for. */
async function startNamed(name: string): Promise<TestBackend> {
  const backend = await startBackend((request, response) => response.end(`${name} ${request.method} ${request.url}`));
  backends.push(backend);
  return backend;
}

/** A service with one ready pod per backend, once the gateway knows them all. */
async function serve(service: string, all: Readonly<Record<string, Pick<TestBackend, 'host' | 'port'>>>) {
  await world.addService(service, Object.keys(all).length);
  for (const [name, backend] of Object.entries(all)) await world.addPod(service, name, backend);
  await knows(service, Object.keys(all).length);
}

const knows = (service: string, count: number) =>
  until(`${service} has ${count} backends`, async () => (await world.countBackends(service)) === count);

/** Moves the clock on until the answer is there. */
async function answerInTime(pending: Promise<Answer>, stepMs: number): Promise<Answer> {
  let answer: Answer | undefined;
  void pending.then((given) => (answer = given));
  return until('an answer', () => {
    clock.advance(stepMs);
    return answer;
  });
}

/** A port that nobody listens on. */
async function findDeadPort(): Promise<number> {
  const backend = await startBackend(() => undefined);
  await backend.close();
  return backend.port;
}

const errorOf = ({ text }: Answer): string => (JSON.parse(text) as { error: string }).error;

test('the gateway routes by path and by host, with the query', async () => {
  await serve('routed', { 'routed-0': await startNamed('r') });
  const byPath = await world.ask({ path: '/default/routed/v2/models/m?x=1', method: 'POST', body: '{}' });
  assert.deepEqual([byPath.code, byPath.text], [200, 'r POST /v2/models/m?x=1']);
  const headers = { host: 'routed.default.localhost:7080' };
  const byHost = await world.ask({ path: '/v1/chat?y', headers });
  assert.deepEqual([byHost.code, byHost.text], [200, 'r GET /v1/chat?y']);
});

const UNREACHABLE: Record<string, { readonly path: string; readonly code: number; readonly says: RegExp }> = {
  'a path that names no service': { path: '/nonsense', code: 404, says: /^cannot route \/nonsense: want \// },
  'a service that does not exist': {
    path: '/default/nobody/v2',
    code: 404,
    says: /^cannot find service default\/nobody: there is no InferenceService of that name/,
  },
  'a service without copies': {
    path: '/default/stopped/v2',
    code: 503,
    says: /it has no copies \(spec.replicas is 0\)/,
  },
  'a service that failed': {
    path: '/default/failed/v2',
    code: 503,
    says: /^cannot reach service default\/failed: bad/,
  },
};

test('the gateway says at once why nothing can answer', async (context) => {
  await world.addService('stopped', 0);
  await world.addService('failed');
  const condition = { type: 'Ready', status: 'False' as const, reason: 'Error', message: 'bad model' };
  await world.setServiceStatus('failed', {
    phase: 'Failed',
    conditions: [{ ...condition, lastTransitionTime: '2026-01-01T00:00:00Z' }],
  });
  await until('the gateway knows', async () =>
    /"cannot reach/.test((await answerInTime(world.ask({ path: '/default/failed/v2' }), 1_000)).text),
  );
  for (const [sentence, { path, code, says }] of Object.entries(UNREACHABLE)) {
    await context.test(sentence, async () => {
      const answer = await world.ask({ path });
      assert.equal(answer.code, code);
      assert.match(errorOf(answer), says);
      assert.equal(answer.headers['content-type'], 'application/json');
      assert.equal(answer.headers['retry-after'], code === 503 ? '1' : undefined);
    });
  }
});

test('a request waits for the first ready pod of its service', async () => {
  await world.addService('late');
  await knows('late', 0);
  const pending = world.ask({ path: '/default/late/v2/x', method: 'POST', body: 'b' });
  await world.addPod('late', 'late-0', await startNamed('late'));
  assert.equal((await pending).text, 'late POST /v2/x');
});

test('a request waits for the first ready pod no longer than the bound', async () => {
  await world.addService('never');
  await knows('never', 0);
  const startMs = clock.nowMs();
  const answer = await answerInTime(world.ask({ path: '/default/never/v2' }), 1_000);
  assert.equal(answer.code, 503);
  assert.match(errorOf(answer), /^cannot reach service default\/never: no copy became ready within 60 s, .+/);
  assert.ok(clock.nowMs() - startMs >= 60_000);
});

test('a request that waits learns that its service was deleted', async () => {
  await world.addService('deleted');
  await knows('deleted', 0);
  const pending = world.ask({ path: '/default/deleted/v2' });
  await world.cluster.client.delete(inferenceService, 'deleted', { namespace: 'default' });
  assert.equal((await answerInTime(pending, 1_000)).code, 404);
});

test('sequential requests take turns over idle pods', async () => {
  await serve('turns', {
    'turns-0': await startNamed('a'),
    'turns-1': await startNamed('b'),
    'turns-2': await startNamed('c'),
  });
  const names: string[] = [];
  for (let i = 0; i < 6; i++) names.push((await world.ask({ path: '/default/turns/v2' })).text.slice(0, 1));
  assert.deepEqual(names.toSorted(), ['a', 'a', 'b', 'b', 'c', 'c']);
});

test('the idlest pod is chosen', async () => {
  const held: (() => void)[] = [];
  const slow = await startBackend((_request, response) => void held.push(() => response.end('slow')));
  backends.push(slow);
  await serve('busy', { 'busy-0': slow });
  const first = world.ask({ path: '/default/busy/v2' });
  await until('the slow pod is busy', () => held.length === 1);
  await world.addPod('busy', 'busy-1', await startNamed('quick'));
  await knows('busy', 2);
  for (let i = 0; i < 3; i++) assert.match((await world.ask({ path: '/default/busy/v2' })).text, /^quick/);
  held[0]?.();
  assert.equal((await first).text, 'slow');
});

test('requests that waited together are spread over the pods that came together', async () => {
  const held: (() => void)[] = [];
  const hold = (name: string) => startBackend((_request, response) => void held.push(() => response.end(name)));
  const pair = [await hold('a'), await hold('b')] as const;
  backends.push(...pair);
  await serve('together', { 'together-0': pair[0] });
  await world.setReady('together-0', false);
  await knows('together', 0);
  const pending = Array.from({ length: 4 }, () => world.ask({ path: '/default/together/v2' }));
  await world.setReady('together-0', true);
  await until('one pod has them', () => held.length === 4);
  await world.addPod('together', 'together-1', pair[1]);
  await knows('together', 2);
  const more = Array.from({ length: 4 }, () => world.ask({ path: '/default/together/v2' }));
  await until('all are there', () => held.length === 8);
  for (const end of held) end();
  assert.deepEqual(
    (await Promise.all(pending)).map(({ text }) => text),
    ['a', 'a', 'a', 'a'],
  );
  assert.deepEqual(
    (await Promise.all(more)).map(({ text }) => text),
    ['b', 'b', 'b', 'b'],
  );
});

test('a refused connection is tried on another pod, body and all', async () => {
  const echo = await startBackend((request, response) => request.pipe(response));
  backends.push(echo);
  const dead = { host: '127.0.0.1', port: await findDeadPort() };
  await serve('refusing', { 'refusing-0': dead, 'refusing-1': echo });
  for (const body of ['one', 'two', 'three'])
    assert.equal((await world.ask({ path: '/default/refusing/v2', method: 'POST', body })).text, body);
});

test('when all ready pods refuse, the answer comes after a short bound and says so', async () => {
  const dead = { host: '127.0.0.1', port: await findDeadPort() };
  await serve('dead', { 'dead-0': dead });
  const startMs = clock.nowMs();
  const answer = await answerInTime(world.ask({ path: '/default/dead/v2' }), 100);
  assert.equal(answer.code, 503);
  assert.match(errorOf(answer), /^cannot reach service default\/dead: its ready pod dead-0 refuses connections, .+/);
  assert.ok(clock.nowMs() - startMs < 60_000);
});

test('a request whose only pod refused goes to the pod that comes within the bound', async () => {
  const dead = { host: '127.0.0.1', port: await findDeadPort() };
  await serve('healed', { 'healed-0': dead });
  const pending = world.ask({ path: '/default/healed/v2' });
  await world.addPod('healed', 'healed-1', await startNamed('new'));
  assert.match((await pending).text, /^new/);
});

test('a request waits for a pod that refused, became unready, and restarts', async () => {
  const port = await findDeadPort();
  await serve('restarted', { 'restarted-0': { host: '127.0.0.1', port } });
  const pending = world.ask({ path: '/default/restarted/v2' });
  await world.setReady('restarted-0', false);
  await knows('restarted', 0);
  clock.advance(10_000);
  backends.push(await startBackend((_request, response) => response.end('again'), port));
  await world.setReady('restarted-0', true);
  assert.equal((await pending).text, 'again');
});

test('a request in flight ends when its pod goes away, and no new one goes there', async () => {
  let release: (() => void) | undefined;
  const old = await startBackend((_request, response) => {
    response.write('begun ');
    release = () => response.end('ended');
  });
  backends.push(old);
  await serve('drained', { 'drained-0': old });
  const pending = world.ask({ path: '/default/drained/v2' });
  await until('it is under way', () => release !== undefined);
  await world.addPod('drained', 'drained-1', await startNamed('next'));
  await world.removePod('drained-0');
  await knows('drained', 1);
  for (let i = 0; i < 3; i++) assert.match((await world.ask({ path: '/default/drained/v2' })).text, /^next/);
  release?.();
  assert.equal((await pending).text, 'begun ended');
});

test('a pod that breaks off before it answers gives 503, and is not asked twice', async () => {
  let asked = 0;
  const broken = await startBackend((request) => {
    asked++;
    request.socket.destroy();
  });
  backends.push(broken);
  await serve('broken', { 'broken-0': broken });
  const answer = await world.ask({ path: '/default/broken/v2', method: 'POST', body: 'b' });
  assert.equal(answer.code, 503);
  assert.match(errorOf(answer), /^cannot reach service default\/broken: pod broken-0 broke off \(.+\), .+/);
  assert.equal(asked, 1);
});

test('metrics count requests by service and code, pods by service, and forget deleted services', async () => {
  await serve('counted', { 'counted-0': await startNamed('c') });
  await world.ask({ path: '/default/counted/v2' });
  await world.ask({ path: '/default/uncounted/v2' });
  const text = await world.metrics();
  assert.match(text, /^athanor_gateway_requests_total\{service="default\/counted",code="200"\} 1$/m);
  assert.match(text, /^athanor_gateway_request_seconds_count\{service="default\/counted"\} 1$/m);
  assert.match(text, /^athanor_gateway_ready_backends\{service="default\/counted"\} 1$/m);
  assert.doesNotMatch(text, /uncounted/);
  await world.cluster.client.delete(inferenceService, 'counted', { namespace: 'default' });
  await world.removePod('counted-0');
  await until('it is forgotten', async () => (await world.countBackends('counted')) === undefined);
});

test('close() lets a request under way end, and ends its connection', async () => {
  const own = await GatewayWorld.start({ clock: new VirtualClock(Date.now()) });
  let release: (() => void) | undefined;
  const slow = await startBackend((_request, response) => {
    release = () => response.end('whole');
  });
  await own.addService('s');
  await own.addPod('s', 's-0', slow);
  await until('it is known', async () => (await own.countBackends('s')) === 1);
  const pending = own.ask({ path: '/default/s/v2' });
  await until('it is under way', () => release !== undefined);
  const closed = own.gateway.close();
  await assert.rejects(ask(own.gateway.url, { path: '/healthz', agent: false }), { code: 'ECONNREFUSED' });
  release?.();
  assert.equal((await pending).text, 'whole');
  await closed;
  await own.cluster.close();
  await slow.close();
});
