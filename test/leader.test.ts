/** Controllers and scheduler assembled twice on one API server: one pair acts at a time, and the other takes over. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Clock, VirtualClock } from '../src/base/clock.ts';
import { installKinds } from '../src/cli/install.ts';
import { type Leader, leadLoops } from '../src/cli/lead.ts';
import type { ApiClient } from '../src/client/types.ts';
import { startControllers } from '../src/control/controllers.ts';
import { KINDS } from '../src/kinds/list.ts';
import { trainingJob } from '../src/kinds/training-job/kind.ts';
import type { KubeObject } from '../src/kube/object.ts';
import type { Node, Pod } from '../src/kube/pod.ts';
import { StatusError } from '../src/kube/status-error.ts';
import { WELL_KNOWN } from '../src/kube/well-known.ts';
import { startScheduler } from '../src/scheduler/scheduler.ts';
import { startCluster, type TestCluster } from './cluster.ts';
import { until } from './until.ts';

const SETTINGS = { trackingUrl: 'http://127.0.0.1', blobsUrl: 'file:///', nodeCachePath: '/' };

let cluster: TestCluster;
before(async () => {
  cluster = await startCluster();
  await installKinds(cluster.client);
  const status = { conditions: [{ type: 'Ready', status: 'True' }], allocatable: { cpu: '64', memory: '64Gi' } };
  await cluster.client.create(WELL_KNOWN.Node, {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n' },
    status,
  } as unknown as Node); // why: what plans need
});
after(() => cluster.close());

/** What the loops of all processes do; one that acts while another does is noted, since loops swallow what they meet. */
class Stage {
  /** Who began to lead, in order. */
  readonly led: string[] = [];
  readonly writers = new Set<string>();
  readonly violations: string[] = [];
  #acting: string | undefined;

  enter(who: string): void {
    if (this.#acting !== undefined) this.violations.push(`${who} begins while ${this.#acting} acts`);
    this.#acting = who;
    this.led.push(who);
  }

  leave(who: string): void {
    if (this.#acting === who) this.#acting = undefined;
  }

  get acting(): string | undefined {
    return this.#acting;
  }

  write(who: string): void {
    if (this.#acting !== who) this.violations.push(`${who} writes while ${this.#acting} acts`);
    this.writers.add(who);
  }
}

interface Process {
  readonly leader: Leader;
  /** From now on nothing of it reaches the server, and nothing comes back: as after kill -9. */
  kill(): void;
  /** From now on its writes outside the loops, that is of the lease, are refused, or no more. */
  refuse(isRefused: boolean): void;
}

interface ProcessOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly identity?: string;
}

function startProcess(stage: Stage, who: string, { identity = who, clock, name }: ProcessOptions): Process {
  let isDead = false;
  let isRefused = false;
  const send = <Args extends readonly unknown[], T>(call: (...args: Args) => Promise<T>, isRead = false) => {
    return async (...args: Args): Promise<T> => {
      const isLease = args[0] === WELL_KNOWN.Lease;
      if (isDead) return new Promise<T>(() => undefined);
      if (!isRead && !isLease) stage.write(who);
      if (!isRead && isLease && isRefused) throw new StatusError('InsufficientStorage', 'the disk is full');
      return call(...args);
    };
  };
  const { get, create, update, updateStatus, patch, delete: remove, request } = cluster.client;
  const sent = {
    get: send(get, true),
    create: send(create),
    update: send(update),
    updateStatus: send(updateStatus),
    patch: send(patch),
    delete: send(remove),
    request: send(request),
  };
  const client = { ...cluster.client, ...sent } as ApiClient; // why: the same functions, less their type parameters
  const options = { client, clock, name, namespace: 'athanor-system', identity, durationMs: 60_000 };
  const leader = leadLoops(options, (leading) => {
    stage.enter(who);
    const report = () => undefined;
    return [
      startControllers({ client: leading, controllers: KINDS, clock, settings: SETTINGS, report }),
      startScheduler({ client: leading, clock, schedulerNames: ['athanor', 'default-scheduler'], report }),
      { synced: Promise.resolve(), close: async () => stage.leave(who) },
    ];
  });
  const kill = () => {
    isDead = true;
    stage.leave(who);
  };
  const refuse = (now: boolean) => {
    isRefused = now;
  };
  return { leader, kill, refuse };
}

async function runJob(name: string, clock: VirtualClock): Promise<void> {
  const metadata = { name, namespace: 'default' };
  const spec = { command: ['true'], replicas: 2 };
  await cluster.client.create<KubeObject>(trainingJob, {
    apiVersion: 'athanor.dev/v1alpha1',
    kind: 'TrainingJob',
    metadata,
    spec,
  } as KubeObject); // why: a TrainingJob has a spec
  await until(`both pods of ${name} to have a node`, async () => {
    clock.advance(10);
    const { items } = await cluster.client.list<Pod>(WELL_KNOWN.Pod, { namespace: 'default' });
    const mine = items.filter((pod) => pod.metadata.name.startsWith(`${name}-`));
    return mine.length === 2 && mine.every((pod) => pod.spec.nodeName === 'n');
  });
}

test('of two processes one acts; when it is killed the other goes on; when that ends well, the next does at once', async () => {
  const stage = new Stage();
  const clock = new VirtualClock(Date.now());
  const processes = ['a', 'b'].map((who) => [who, startProcess(stage, who, { name: 'two', clock })] as const);
  await until('one to lead', () => stage.led.length === 1);
  await runJob('first', clock);
  assert.equal(stage.writers.size, 1);
  const killed = new Map(processes).get(stage.led[0] ?? '');
  killed?.kill();
  await until('the other to lead', () => {
    clock.advance(5_000);
    return stage.led.length === 2;
  });
  assert.notEqual(stage.led[0], stage.led[1]);
  await runJob('second', clock);
  const other = new Map(processes).get(stage.led[1] ?? '');
  await other?.leader.close();
  const third = startProcess(stage, 'c', { name: 'two', clock });
  await third.leader.synced;
  await third.leader.close();
  assert.equal(stage.led[2], 'c');
  assert.deepEqual(stage.violations, []);
});

test('who comes back under its old name leads at once; another name waits until the lease is over', async () => {
  const stage = new Stage();
  const clock = new VirtualClock(Date.now());
  const first = startProcess(stage, 'first', { name: 'one', identity: 'home-1', clock });
  await first.leader.synced;
  first.kill();
  const stranger = startProcess(stage, 'stranger', { name: 'one', identity: 'home-2', clock });
  const again = startProcess(stage, 'again', { name: 'one', identity: 'home-1', clock });
  await again.leader.synced;
  assert.deepEqual(stage.led, ['first', 'again']);
  await again.leader.close();
  await until('the stranger to lead', () => {
    clock.advance(5_000);
    return stage.led.length === 3;
  });
  await stranger.leader.close();
  assert.deepEqual(stage.violations, []);
});

test('who cannot renew stops acting, and leads again once it can', async () => {
  const stage = new Stage();
  const clock = new VirtualClock(Date.now());
  const { leader, refuse } = startProcess(stage, 'only', { name: 'lost', clock });
  await leader.synced;
  refuse(true);
  await until('it to stop', () => {
    clock.advance(5_000);
    return stage.acting === undefined;
  });
  refuse(false);
  await until('it to lead again', () => {
    clock.advance(5_000);
    return stage.led.length === 2;
  });
  await leader.close();
  assert.deepEqual([stage.acting, stage.violations], [undefined, []]);
});

test('who is closed while it asks for the lease does not hold it, nor wait', async () => {
  const stage = new Stage();
  const clock = new VirtualClock(Date.now());
  const { leader } = startProcess(stage, 'hasty', { name: 'hasty', clock });
  await leader.close();
  const next = startProcess(stage, 'next', { name: 'hasty', clock });
  await next.leader.synced;
  await next.leader.close();
  assert.deepEqual(stage.led, ['next']);
});

test('who cannot ask for the lease keeps nobody waiting, and leads once it can', async () => {
  const stage = new Stage();
  const clock = new VirtualClock(Date.now());
  const { leader, refuse } = startProcess(stage, 'blocked', { name: 'blocked', clock });
  refuse(true);
  await leader.synced;
  assert.deepEqual(stage.led, []);
  refuse(false);
  await until('it to lead', () => {
    clock.advance(5_000);
    return stage.led.length === 1;
  });
  await leader.close();
});
