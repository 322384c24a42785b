/** The informer against real servers that restart, forget, and networks that cut: it misses nothing. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hostClock } from '../src/base/clock.ts';
import { createClient } from '../src/client/client.ts';
import { createInformer } from '../src/client/informer.ts';
import type { ApiClient, Informer } from '../src/client/types.ts';
import type { ConfigMap } from '../src/kube/pod.ts';
import { WELL_KNOWN } from '../src/kube/well-known.ts';
import { startCluster, type TestCluster } from './cluster.ts';
import { until } from './until.ts';

const ref = WELL_KNOWN.ConfigMap;
const clock = hostClock(globalThis);

function create(client: ApiClient, name: string): Promise<ConfigMap> {
  const metadata = { name, namespace: 'default' };
  return client.create<ConfigMap>(ref, { apiVersion: 'v1', kind: 'ConfigMap', metadata });
}

function watch(client: ApiClient): { readonly informer: Informer<ConfigMap>; readonly told: string[] } {
  const informer = createInformer<ConfigMap>({ client, ref, clock, namespace: 'default' });
  const told: string[] = [];
  informer.onChange(({ type, object }) => told.push(`${type} ${object.metadata.name}`));
  return { informer, told };
}

/** Ends one server and starts another at its port. */
async function restart(cluster: TestCluster, journal?: string): Promise<TestCluster> {
  const { port } = cluster;
  await cluster.close();
  return startCluster({ port, ...(journal !== undefined && { journal }) });
}

/** A client of the same server that outlives it. */
function outliving(cluster: TestCluster): ApiClient {
  const { caPem, ownerToken: token } = cluster.credentials;
  return createClient({ url: cluster.url, token, caPem, userAgent: 'informer' });
}

test('an informer goes on where it was when the server comes back', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'athanor-informer-'));
  const journal = join(folder, 'cluster.db');
  let cluster = await startCluster({ journal });
  const client = outliving(cluster);
  const { informer, told } = watch(client);
  try {
    await create(cluster.client, 'before');
    await until('the first change is told', () => told.includes('added before'));
    cluster = await restart(cluster, journal);
    await create(cluster.client, 'after');
    await until('the change after is told', () => told.includes('added after'));
    assert.deepEqual(
      told.filter((change) => change.endsWith('before')),
      ['added before'],
      'and nothing twice',
    );
  } finally {
    informer.close();
    await client.close();
    await cluster.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

test('an informer lists again when the server has forgotten, and tells of what is gone', async () => {
  let cluster = await startCluster();
  const client = outliving(cluster);
  const { informer, told } = watch(client);
  try {
    await create(cluster.client, 'lost');
    await until('the first change is told', () => told.includes('added lost'));
    cluster = await restart(cluster);
    await until('the loss is told', () => told.includes('deleted lost'));
    await create(cluster.client, 'new');
    await until('the new one is told', () => told.includes('added new'));
    assert.equal(informer.get('default/lost'), undefined);
  } finally {
    informer.close();
    await client.close();
    await cluster.close();
  }
});

/** A TCP proxy to the port whose connections can all be cut at once. */
async function startProxy(port: number) {
  const sockets = new Set<Socket>();
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => sockets.delete(socket));
    }
    near.pipe(far).pipe(near);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const close = async () => {
    cut();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url: `https://127.0.0.1:${address.port}`, cut, close };
}

test('an informer misses no change and repeats none, however often it is cut', async () => {
  const cluster = await startCluster();
  const proxy = await startProxy(cluster.port);
  const { informer, told } = watch(cluster.connect(cluster.credentials.ownerToken, proxy.url));
  try {
    await informer.synced;
    const want: string[] = [];
    for (let index = 0; index < 40; index++) {
      await create(cluster.client, `m${index}`);
      want.push(`added m${index}`);
      if (index % 3 === 0) {
        await cluster.client.delete(ref, `m${index}`, { namespace: 'default' });
        want.push(`deleted m${index}`);
      }
      if (index % 10 === 5) {
        await until('it has caught up', () => told.includes(`added m${index - 1}`));
        proxy.cut();
      }
    }
    await until('the last change is told', () => told.includes('deleted m39'));
    assert.deepEqual(
      told.filter((change) => / m\d+$/.test(change)),
      want,
    );
  } finally {
    informer.close();
    await proxy.close();
    await cluster.close();
  }
});
