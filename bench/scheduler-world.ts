/** Nodes without agents, pods and queues for benches of the scheduler, and an eye on what becomes of the pods. */
import { setTimeout as sleep } from 'node:timers/promises';
import { installKinds } from '../src/cli/install.ts';
import type { ApiClient } from '../src/client/types.ts';
import { queue as queueKind } from '../src/kinds/queue/kind.ts';
import type { KubeObject } from '../src/kube/object.ts';
import type { Pod } from '../src/kube/pod.ts';
import { WELL_KNOWN } from '../src/kube/well-known.ts';
import { type BenchCluster, startBenchCluster } from './cluster.ts';
import { type BenchScheduler, startBenchScheduler } from './scheduler-process.ts';

const CLIENTS = 32;

/** A cluster with our kinds, a client, and a scheduler once it is asked for. */
export interface World {
  readonly cluster: BenchCluster;
  readonly client: ApiClient;
  readonly watch: PodWatch;
  /** With more flags for its node. */
  schedule(flags?: readonly string[]): Promise<BenchScheduler>;
}

/** Runs the story in a cluster of its own, which is gone afterwards. */
export async function inWorld<T>(story: (world: World) => Promise<T>): Promise<T> {
  const cluster = await startBenchCluster();
  const client = cluster.connect();
  const schedulers: BenchScheduler[] = [];
  const watch = new PodWatch();
  try {
    await installKinds(client);
    await watch.start(client);
    return await story({
      cluster,
      client,
      watch,
      schedule: async (flags) => {
        const scheduler = await startBenchScheduler(cluster, flags);
        schedulers.push(scheduler);
        return scheduler;
      },
    });
  } finally {
    for (const scheduler of schedulers) await scheduler.close();
    await watch.close();
    await client.close();
    await cluster.close();
  }
}

/** Follows all pods; told of each one that gets a node, and of each that is to go. */
export class PodWatch {
  readonly #stop = new AbortController();
  readonly #boundAtMs = new Map<string, number>();
  #running: Promise<void> = Promise.resolve();
  onBound: (pod: Pod) => void = () => undefined;
  onGoing: (pod: Pod) => void = () => undefined;

  async start(client: ApiClient): Promise<void> {
    const { resourceVersion } = await client.list(WELL_KNOWN.Pod, {});
    this.#running = this.#follow(client, resourceVersion);
  }

  async #follow(client: ApiClient, resourceVersion: string): Promise<void> {
    for await (const { type, object } of client.watch<Pod>(WELL_KNOWN.Pod, { resourceVersion }, this.#stop.signal)) {
      if (type === 'BOOKMARK' || type === 'DELETED') continue;
      const { metadata, spec } = object;
      if (metadata.deletionTimestamp !== undefined) this.onGoing(object);
      else if (spec.nodeName !== undefined && !this.#boundAtMs.has(metadata.uid ?? '')) {
        this.#boundAtMs.set(metadata.uid ?? '', performance.now());
        this.onBound(object);
      }
    }
  }

  /** Pods that got a node since it was started. */
  get bound(): number {
    return this.#boundAtMs.size;
  }

  /** When the last of them did, in performance.now()'s time. */
  get lastBoundMs(): number {
    return [...this.#boundAtMs.values()].at(-1) ?? Number.NaN;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running.catch(() => undefined);
  }
}

/** Waits until it is so, or the time is over: then the figures say how far it came. */
export async function waitFor(isSo: () => boolean, limitSeconds: number): Promise<void> {
  for (const endMs = performance.now() + limitSeconds * 1000; !isSo() && performance.now() < endMs; ) await sleep(20);
}

/** Works on numbers from 0, a limited number at once. */
export async function forEachIndex(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: CLIENTS }, worker));
}

/** What a node has. */
export interface NodeSize {
  readonly cpu: number;
  readonly devices?: number;
  readonly pods?: number;
  readonly labels?: Readonly<Record<string, string>>;
}

/** A node that is ready and lists its devices as its agent would. */
export async function addNode(
  client: ApiClient,
  name: string,
  { cpu, devices = 0, pods = 110, labels = {} }: NodeSize,
) {
  const listed = Array.from({ length: devices }, (_, index) => ({
    id: `GPU-${name}-${index}`,
    class: 'nvidia',
    model: 'A100-SXM4-80GB',
    memoryMiB: 81_920,
    isHealthy: true,
  }));
  const allocatable = { cpu: String(cpu), memory: '512Gi', pods: String(pods), 'nvidia.com/gpu': String(devices) };
  const conditions = [
    { type: 'Ready', status: 'True', reason: 'BenchReady', lastTransitionTime: '2026-01-01T00:00:00Z' },
  ];
  await client.create<KubeObject>(WELL_KNOWN.Node, {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels, annotations: { 'athanor.dev/devices': JSON.stringify(listed) } },
    spec: {},
    status: { capacity: allocatable, allocatable, conditions },
  } as KubeObject); // why: a node is an object
}

/** What a pod asks for. */
export interface PodAsk {
  readonly name: string;
  readonly requests: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly priority?: number;
  readonly nodeName?: string;
}

/** A pod of one container for our scheduler. */
export async function addPod(client: ApiClient, { name, requests, labels = {}, priority, nodeName }: PodAsk) {
  await client.create<Pod>(WELL_KNOWN.Pod, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels },
    spec: {
      schedulerName: 'athanor',
      containers: [{ name: 'main', image: 'pause', resources: { requests, limits: requests } }],
      ...(priority !== undefined && { priority }),
      ...(nodeName !== undefined && { nodeName }),
    },
  });
}

/** A queue. */
export async function addQueue(client: ApiClient, name: string, spec: Readonly<Record<string, unknown>>) {
  const object = { apiVersion: 'athanor.dev/v1alpha1', kind: 'Queue', metadata: { name }, spec };
  await client.create<KubeObject>(queueKind, object);
}
