/** What the gateway passes on and what it keeps: bodies, streams, headers, and who may come in. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { hostClock } from '../src/base/clock.ts';
import { startGateway } from '../src/gateway/server.ts';
import { StatusError } from '../src/kube/status-error.ts';
import { ask, GatewayWorld, open, startBackend, type TestBackend } from './gateway-world.ts';
import { until } from './until.ts';

let world: GatewayWorld;
let backend: TestBackend;
let listener: RequestListener = () => undefined;
const PATH = '/default/echo/v2/models/m/infer';

before(async () => {
  world = await GatewayWorld.start();
  backend = await startBackend((request, response) => listener(request, response));
  await world.addService('echo');
  await world.addPod('echo', 'echo-0', backend);
  await until('the pod is known', async () => (await world.countBackends('echo')) === 1);
});
after(async () => {
  await backend.close();
  await world.close();
});

test('a streamed answer arrives piece by piece, its headers first', async () => {
  const events: ((text: string | undefined) => void)[] = [];
  listener = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    events.push((text) => (text === undefined ? response.end() : response.write(text)));
  };
  const response = await open(world.gateway.url, { path: PATH });
  assert.equal(response.headers['content-type'], 'text/event-stream');
  const pieces = response[Symbol.asyncIterator]();
  for (const text of ['data: 1\n\n', 'data: 2\n\n']) {
    events[0]?.(text);
    assert.equal(String((await pieces.next()).value), text);
  }
  events[0]?.(undefined);
  assert.equal((await pieces.next()).done, true);
});

test('a client that leaves while it waits for the answer aborts the request to the pod', async () => {
  const left = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  listener = (_request, response) => {
    response.on('close', () => left.resolve());
    begun.resolve();
  };
  const request = httpRequest(world.gateway.url + PATH, { method: 'POST', agent: false });
  request.on('error', () => undefined).end('{}');
  await begun.promise;
  request.destroy();
  await left.promise;
  await until('it is counted', async () => /service="default\/echo",code="499"\} 1/.test(await world.metrics()));
});

test('a client that leaves in the middle of a stream ends the stream of the pod', async () => {
  const left = Promise.withResolvers<void>();
  listener = (_request, response) => {
    response.on('close', () => left.resolve());
    response.write('first');
  };
  const response = await open(world.gateway.url, { path: PATH, agent: false });
  await once(response, 'data');
  response.destroy();
  await left.promise;
});

test('an answer that breaks off breaks off for the client too', async () => {
  listener = (_request, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half', () => response.destroy());
  };
  await assert.rejects(ask(world.gateway.url, { path: PATH }), { code: 'ECONNRESET' });
});

test('a body over the limit is refused with 413, whether its length is told or not', async () => {
  let asked = 0;
  listener = (_request, response) => {
    asked++;
    response.end();
  };
  const over = 64 * 1024 * 1024 + 1;
  for (const head of [`content-length: ${over}`, 'transfer-encoding: chunked']) {
    const answer = await sendUntilAnswered(`POST ${PATH} HTTP/1.1\r\nhost: localhost\r\n${head}\r\n\r\n`, over);
    assert.match(answer, /^HTTP\/1\.1 413 /, head);
    assert.match(answer, /connection: close/i);
    assert.match(answer, /\{"error":"cannot pass the request on: its body is larger than 67108864 bytes, .+"\}$/);
  }
  assert.equal(asked, 0);
});

/** Sends a body until the other side has had enough, and gives what it said then. */
async function sendUntilAnswered(head: string, bytes: number): Promise<string> {
  const socket = connect(Number(new URL(world.gateway.url).port), '127.0.0.1');
  const said: string[] = [];
  socket.on('data', (data) => said.push(String(data))).on('error', () => undefined);
  const isChunked = head.includes('chunked');
  const piece = Buffer.alloc(1024 * 1024, ' ');
  socket.write(head);
  for (let sent = 0; sent < bytes && said.length === 0; sent += piece.length) {
    if (isChunked) socket.write(`${piece.length.toString(16)}\r\n`);
    const isRoom = socket.write(isChunked ? Buffer.concat([piece, Buffer.from('\r\n')]) : piece);
    if (!isRoom) await anyOf(socket, 'drain', 'data', 'close');
  }
  await until('an answer', () => said.join('').endsWith('}'));
  socket.destroy();
  return said.join('');
}

async function anyOf(socket: Socket, ...events: readonly string[]): Promise<void> {
  const others = new AbortController();
  const { signal } = others;
  await Promise.race(events.map((event) => once(socket, event, { signal }))).catch(() => undefined);
  others.abort();
}

test('a large body arrives whole', async () => {
  listener = (request, response) => {
    let bytes = 0;
    request.on('data', (chunk: Buffer) => (bytes += chunk.length));
    request.on('end', () => response.end(`${bytes} ${request.headers['content-length']}`));
  };
  const bytes = 8 * 1024 * 1024;
  const answer = await world.ask({ path: PATH, method: 'POST', body: Buffer.alloc(bytes) });
  assert.equal(answer.text, `${bytes} ${bytes}`);
});

test('headers of one connection and the token stay, all others pass', async () => {
  let seen: IncomingHttpHeaders = {};
  listener = (request, response) => {
    seen = request.headers;
    response.writeHead(201, {
      connection: 'x-hop',
      'x-hop': 'h',
      'keep-alive': 'timeout=77',
      'x-model': 'm',
      'set-cookie': ['a=1', 'b=2'],
    });
    response.end('{}');
  };
  const token = world.cluster.credentials.ownerToken;
  const answer = await world.ask({
    path: PATH,
    agent: false,
    headers: {
      authorization: `Bearer ${token}`,
      connection: 'close, X-Private',
      'x-private': 'p',
      te: 'trailers',
      'proxy-authorization': 'Basic x',
      'x-request-id': '7',
      accept: 'application/json',
    },
  });
  assert.equal(answer.code, 201);
  assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2']);
  assert.equal(answer.headers['x-model'], 'm');
  assert.equal(answer.headers['x-hop'], undefined);
  assert.notEqual(answer.headers['keep-alive'], 'timeout=77');
  const { host, connection, ...rest } = seen;
  assert.equal(host, `127.0.0.1:${backend.port}`);
  assert.notEqual(connection, 'close, X-Private');
  assert.deepEqual(rest, { 'x-request-id': '7', accept: 'application/json' });
});

test("the pod's own errors pass unchanged", async () => {
  listener = (_request, response) => response.writeHead(404, { 'content-type': 'text/plain' }).end('not mine');
  const answer = await world.ask({ path: PATH });
  assert.deepEqual([answer.code, answer.text, answer.headers['content-type']], [404, 'not mine', 'text/plain']);
});

test('HEAD and 204 have no body, and the connection goes on', async () => {
  listener = (request, response) =>
    request.method === 'HEAD'
      ? response.writeHead(200, { 'content-length': '9' }).end()
      : response.writeHead(204).end();
  const head = await world.ask({ path: PATH, method: 'HEAD' });
  assert.deepEqual([head.code, head.headers['content-length'], head.text], [200, '9', '']);
  assert.equal((await world.ask({ path: PATH, method: 'DELETE' })).code, 204);
});

interface Knock {
  readonly headers: Readonly<Record<string, string>>;
  readonly code: number;
}

const KNOCKS: Record<string, Knock> = {
  'the owner by address': { headers: {}, code: 200 },
  'the owner by name': { headers: { host: 'localhost:1' }, code: 200 },
  'a page of this gateway': { headers: { host: 'localhost:1', origin: 'http://localhost:1' }, code: 200 },
  'a page of another site': { headers: { origin: 'https://evil.example' }, code: 401 },
  'a page of no site': { headers: { origin: 'null' }, code: 401 },
  'a name that was bound to this machine': { headers: { host: 'evil.example' }, code: 401 },
  'a token that nobody has': { headers: { authorization: 'Bearer nonsense' }, code: 401 },
};

for (const [sentence, { headers, code }] of Object.entries(KNOCKS)) {
  test(`the door answers ${code} to ${sentence}`, async () => {
    listener = (_request, response) => response.end('in');
    const answer = await world.ask({ path: PATH, headers });
    assert.equal(answer.code, code, answer.text);
    if (code !== 401) return;
    assert.match((JSON.parse(answer.text) as { error: string }).error, /^cannot let you in: /);
    assert.equal(answer.headers['www-authenticate'], 'Bearer');
  });
}

test('a known token comes in under any name and from any site', async () => {
  listener = (_request, response) => response.end('in');
  const authorization = `Bearer ${world.cluster.credentials.ownerToken}`;
  const headers = { authorization, host: 'gateway.example', origin: 'https://app.example' };
  assert.equal((await world.ask({ path: PATH, headers })).text, 'in');
});

test('health and metrics need no token, and no other path goes without', async () => {
  const headers = { host: 'evil.example' };
  assert.equal((await world.ask({ path: '/healthz', headers })).text, 'ok');
  assert.match(
    (await world.ask({ path: '/metrics', headers })).headers['content-type'] ?? '',
    /^text\/plain; version=/,
  );
  assert.equal((await world.ask({ path: '/metricsx', headers })).code, 401);
});

test('what the token check refuses or cannot tell is answered with its own reason', async () => {
  const reported: unknown[] = [];
  let thrown: unknown;
  const gateway = await startGateway({
    client: world.cluster.client,
    clock: hostClock(globalThis),
    host: '127.0.0.1',
    port: 0,
    authenticate: () => Promise.reject(thrown),
    report: (error) => reported.push(error),
  });
  const knock = () => ask(gateway.url, { path: PATH, headers: { authorization: 'Bearer t' } });
  thrown = new StatusError('Forbidden', 'cannot let you in: no');
  assert.deepEqual(await knock().then(({ code, text }) => [code, text]), [403, '{"error":"cannot let you in: no"}']);
  thrown = new StatusError('ServiceUnavailable', 'cannot ask: down');
  assert.equal((await knock()).code, 503);
  assert.deepEqual(reported, []);
  thrown = new TypeError('surprise');
  assert.equal((await knock()).code, 500);
  assert.deepEqual(reported, [thrown]);
  await gateway.close();
});

test('startGateway() rejects when its port is taken', async () => {
  const taken = startGateway({
    client: world.cluster.client,
    clock: hostClock(globalThis),
    host: '127.0.0.1',
    port: backend.port,
    authenticate: () => Promise.resolve(),
    report: () => undefined,
  });
  await assert.rejects(taken, { code: 'EADDRINUSE' });
});
