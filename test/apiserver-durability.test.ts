/** What was acknowledged is there, whatever happens: kill -9 at any moment, and a disk that refuses. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { ensureCredentials } from '../src/apiserver/credentials.ts';
import { type Journal, memoryJournal } from '../src/apiserver/journal.ts';
import { VirtualClock } from '../src/base/clock.ts';
import { createClient } from '../src/client/client.ts';
import type { ApiClient } from '../src/client/types.ts';
import { controllerRefOf, type KubeObject } from '../src/kube/object.ts';
import type { ConfigMap } from '../src/kube/pod.ts';
import { isStatusError, StatusError } from '../src/kube/status-error.ts';
import { WELL_KNOWN } from '../src/kube/well-known.ts';
import { startCluster } from './cluster.ts';
import { until } from './until.ts';

const MAPS = WELL_KNOWN.ConfigMap;
const CLIENTS = 8;
/** After this long the server tries again what the disk refused. */
const RETRY_MS = 5_000;
/** Acknowledged writes before each kill. */
const WRITES_MIN = 200;

function map(name: string): ConfigMap {
  const metadata = { name, namespace: 'default' };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { name, text: name.repeat(20) } };
}

interface Server {
  readonly child: ChildProcess;
  readonly client: ApiClient;
}

async function startChild(folder: string): Promise<Server> {
  const script = new URL('./api-child.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const { ownerToken: token, caPem } = await ensureCredentials(folder);
  return { child, client: createClient({ url, token, caPem, userAgent: 'durability' }) };
}

async function kill({ child, client }: Server): Promise<void> {
  const ended = once(child, 'exit');
  process.kill(child.pid ?? assert.fail('the child has no pid'), 'SIGKILL');
  await ended;
  await client.close();
}

/** Creates until the server dies; returns what it acknowledged. */
async function write(client: ApiClient, prefix: string, onWrite: () => void): Promise<readonly ConfigMap[]> {
  const acknowledged: ConfigMap[] = [];
  for (let index = 0; ; index++) {
    try {
      acknowledged.push(await client.create(MAPS, map(`${prefix}-${index}`)));
      onWrite();
    } catch (error) {
      assert.ok(isStatusError(error, 'ServiceUnavailable'), String(error));
      return acknowledged;
    }
  }
}

test('after kill -9 every acknowledged object is there, whole, and versions go on growing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'athanor-durability-'));
  const acknowledged = new Map<string, ConfigMap>();
  let highest = 0;
  try {
    for (let round = 0; round < 3; round++) {
      const server = await startChild(folder);
      const { items } = await server.client.list<ConfigMap>(MAPS, { namespace: 'default' });
      const found = new Map(items.map((item) => [item.metadata.name, item]));
      for (const [name, object] of acknowledged) assert.deepEqual(found.get(name)?.metadata, object.metadata, name);
      for (const { metadata, data } of items.filter(({ metadata: { name } }) => name.startsWith('r')))
        assert.deepEqual(data, map(metadata.name).data, 'no half object');
      let writes = 0;
      const { promise: enough, resolve } = Promise.withResolvers<void>();
      const count = () => {
        if (++writes === WRITES_MIN) resolve();
      };
      const writers = Array.from({ length: CLIENTS }, (_, index) => write(server.client, `r${round}-${index}`, count));
      await enough;
      await kill(server);
      const written = (await Promise.all(writers)).flat();
      const versions = written.map(({ metadata }) => Number(metadata.resourceVersion));
      assert.ok(Math.min(...versions) > highest, 'no version is given twice');
      highest = Math.max(highest, ...versions);
      for (const object of written) acknowledged.set(object.metadata.name, object);
    }
    assert.ok(acknowledged.size >= 3 * WRITES_MIN);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** A journal in memory whose next append can be made to fail. */
function failingJournal(): { readonly journal: Journal; failNext(): void } {
  let isBroken = false;
  const inner = memoryJournal();
  const append: Journal['append'] = async (batch) => {
    const fails = isBroken;
    isBroken = false;
    await new Promise((resolve) => setImmediate(resolve));
    if (fails) throw new StatusError('InsufficientStorage', 'cannot write cluster database: the disk is full');
    await inner.append(batch);
  };
  return {
    journal: { ...inner, append },
    failNext: () => {
      isBroken = true;
    },
  };
}

test('writes that the disk refuses are refused, leave no trace, and do not stop later ones', async () => {
  const { journal, failNext } = failingJournal();
  const cluster = await startCluster({ journal });
  const { client } = cluster;
  try {
    await client.create(MAPS, map('before'));
    const { resourceVersion } = await client.list(MAPS);
    const seen: string[] = [];
    const stop = new AbortController();
    const watching = (async () => {
      for await (const { type, object } of client.watch(MAPS, { resourceVersion }, stop.signal)) {
        seen.push(`${type} ${object.metadata.name}`);
        if (object.metadata.name === 'after') return;
      }
    })();
    failNext();
    const body = { data: { name: 'changed' } };
    const changing = client.patch(MAPS, { name: 'before', namespace: 'default', type: 'merge', body });
    await assert.rejects(
      changing,
      (error) => isStatusError(error, 'InsufficientStorage') && /disk is full/.test(error.message),
    );
    failNext();
    await assert.rejects(client.create(MAPS, map('lost')), (error) => isStatusError(error, 'InsufficientStorage'));
    await assert.rejects(client.get(MAPS, 'lost', 'default'), (error) => isStatusError(error, 'NotFound'));
    assert.deepEqual((await client.get<ConfigMap>(MAPS, 'before', 'default')).data, map('before').data);
    await client.create(MAPS, map('lost'));
    await client.create(MAPS, map('after'));
    await watching;
    assert.deepEqual(seen, ['ADDED lost', 'ADDED after']);
    stop.abort();
  } finally {
    await cluster.close();
  }
});

/** A journal in memory that refuses what has to do with some resource while `refused` names it. */
function refusingJournal(): { readonly journal: Journal; refused: string } {
  const inner = memoryJournal();
  const result = {
    refused: '',
    journal: {
      ...inner,
      append: async (batch: Parameters<Journal['append']>[0]) => {
        if (result.refused !== '' && batch.some(({ key }) => key.startsWith(result.refused)))
          throw new StatusError('InsufficientStorage', 'cannot write cluster database: the disk is full');
        await inner.append(batch);
      },
    },
  };
  return result;
}

test('what the server itself could not write on a full disk, it writes once there is room', async () => {
  const refusing = refusingJournal();
  const clock = new VirtualClock(Date.now());
  const cluster = await startCluster({ journal: refusing.journal, clock });
  const { client, reported } = cluster;
  const { Namespace, ServiceAccount } = WELL_KNOWN;
  try {
    refusing.refused = 'serviceaccounts/late';
    await client.create<KubeObject>(Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'late' } });
    await until('the account to be refused', () => reported.length === 1);
    refusing.refused = '';
    clock.advance(RETRY_MS);
    await until('the account', () => client.get(ServiceAccount, 'default', 'late').catch(() => undefined));
    const owner = await client.create(MAPS, map('owner'));
    await client.create(MAPS, withOwner(map('owned'), owner));
    refusing.refused = 'configmaps/default/owned';
    await client.delete(MAPS, 'owner', { namespace: 'default' });
    await until('the collection to be refused', () => reported.length === 2);
    refusing.refused = '';
    clock.advance(RETRY_MS);
    await until('the collection', async () => (await client.list(MAPS, { namespace: 'default' })).items.length === 1);
  } finally {
    await cluster.close();
  }
});

function withOwner(object: ConfigMap, owner: ConfigMap): ConfigMap {
  return { ...object, metadata: { ...object.metadata, ownerReferences: [controllerRefOf(owner)] } };
}
