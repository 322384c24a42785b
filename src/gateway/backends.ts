/** The pods that answer for each service now, how busy they are, and who waits for the first of them. */
import type { Clock } from '../base/clock.ts';
import type { Informer } from '../client/types.ts';
import {
  type InferenceServiceSpec,
  type InferenceServiceStatus,
  SERVER_CONTAINER,
  SERVICE_LABEL,
} from '../kinds/inference-service/kind.ts';
import { keyOf, type ObjectOf } from '../kube/object.ts';
import { isPodReady, type Pod } from '../kube/pod.ts';
import { StatusError } from '../kube/status-error.ts';

type InferenceService = ObjectOf<InferenceServiceSpec, InferenceServiceStatus>;

/** One pod that answers. Requests under way are counted, so that the idlest is chosen. */
export interface Backend {
  readonly origin: string;
  readonly pod: string;
  inFlight: number;
  /** Number of the last choice of this backend: equally idle ones take turns. */
  turn: number;
}

export interface BackendsOptions {
  readonly pods: Informer<Pod>;
  readonly services: Informer<InferenceService>;
  readonly clock: Clock;
}

/** Requests that wait for the first pod of one service. */
const WAITING_MAX = 1_000;
/** How long they wait. */
const WAIT_MAX_MS = 60_000;
/** How long a request waits for another pod when all ready ones refused it. */
const REFUSED_WAIT_MAX_MS = 2_000;

/** Follows the pods of all services. */
export class Backends {
  readonly #options: BackendsOptions;
  readonly #byService = new Map<string, Map<string, Backend>>();
  readonly #waiting = new Map<string, Set<() => void>>();
  #turns = 0;
  readonly #unsubscribe: () => void;

  constructor(options: BackendsOptions) {
    this.#options = options;
    for (const pod of options.pods.list()) this.#onPod(pod, false);
    this.#unsubscribe = options.pods.onChange(({ type, object }) => this.#onPod(object, type === 'deleted'));
  }

  /**
   * The idlest pod that answers, one request busier; waits for the first one of a service that has none yet. Whoever
   * takes one releases it. @throws NotFound, ServiceUnavailable, TooManyRequests.
   */
  async take(service: string, signal: AbortSignal, except: ReadonlySet<Backend> = new Set()): Promise<Backend> {
    for (const startMs = this.#options.clock.nowMs(); ; ) {
      const idlest = this.#findIdlest(service, except);
      if (idlest !== undefined) {
        idlest.inFlight++;
        idlest.turn = ++this.#turns;
        return idlest;
      }
      this.#checkExpected(service);
      const refusing = [...(this.#byService.get(service)?.values() ?? [])];
      const maxMs = refusing.length > 0 ? REFUSED_WAIT_MAX_MS : WAIT_MAX_MS;
      const leftMs = startMs + maxMs - this.#options.clock.nowMs();
      if (leftMs <= 0 || signal.aborted) throw explainNoBackend(service, refusing);
      await this.#waitForChange(service, { leftMs, signal });
    }
  }

  /** The request that took it has ended. */
  release(backend: Backend): void {
    backend.inFlight--;
  }

  /** How many pods answer for each service that there is. */
  counts(): ReadonlyMap<string, number> {
    const names = this.#options.services.list().map(keyOf);
    return new Map(names.map((service) => [service, this.#byService.get(service)?.size ?? 0]));
  }

  close(): void {
    this.#unsubscribe();
  }

  #findIdlest(service: string, except: ReadonlySet<Backend>): Backend | undefined {
    let idlest: Backend | undefined;
    for (const backend of this.#byService.get(service)?.values() ?? []) {
      if (!except.has(backend) && (idlest === undefined || isIdler(backend, idlest))) idlest = backend;
    }
    return idlest;
  }

  #checkExpected(service: string): void {
    const found = this.#options.services.get(service);
    if (found === undefined)
      throw new StatusError(
        'NotFound',
        `cannot find service ${service}: there is no InferenceService of that name, create it first`,
      );
    if (found.spec.replicas === 0)
      throw new StatusError(
        'ServiceUnavailable',
        `cannot reach service ${service}: it has no copies (spec.replicas is 0), ask for at least one`,
      );
    const ready = found.status?.conditions?.find(({ type }) => type === 'Ready');
    if (found.status?.phase === 'Failed')
      throw new StatusError('ServiceUnavailable', `cannot reach service ${service}: ${ready?.message ?? 'it failed'}`);
  }

  async #waitForChange(service: string, { leftMs, signal }: { leftMs: number; signal: AbortSignal }): Promise<void> {
    const waiting = this.#waiting.get(service) ?? new Set();
    if (waiting.size >= WAITING_MAX)
      throw new StatusError(
        'TooManyRequests',
        `cannot reach service ${service}: ${WAITING_MAX} requests wait for its first copy, try again later`,
      );
    this.#waiting.set(service, waiting);
    await new Promise<void>((resolve) => {
      const done = () => {
        cancel();
        waiting.delete(done);
        if (waiting.size === 0) this.#waiting.delete(service);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const cancel = this.#options.clock.after(Math.min(leftMs, RECHECK_MS), done);
      signal.addEventListener('abort', done, { once: true });
      waiting.add(done);
    });
  }

  #onPod(pod: Pod, isGone: boolean): void {
    const name = pod.metadata.labels?.[SERVICE_LABEL];
    if (name === undefined) return;
    const service = `${pod.metadata.namespace}/${name}`;
    const backends = this.#byService.get(service) ?? new Map<string, Backend>();
    const uid = pod.metadata.uid ?? '';
    if (isGone || !isPodReady(pod) || pod.status?.podIP === undefined) backends.delete(uid);
    else if (!backends.has(uid))
      backends.set(uid, { origin: originOf(pod), pod: pod.metadata.name, inFlight: 0, turn: 0 });
    if (backends.size === 0) this.#byService.delete(service);
    else this.#byService.set(service, backends);
    for (const wake of [...(this.#waiting.get(service) ?? [])]) wake();
  }
}

/** A service that fails meanwhile is noticed after this long. */
const RECHECK_MS = 1_000;

function isIdler(a: Backend, b: Backend): boolean {
  return a.inFlight === b.inFlight ? a.turn < b.turn : a.inFlight < b.inFlight;
}

function explainNoBackend(service: string, refusing: readonly Backend[]): StatusError {
  const pods = refusing.map(({ pod }) => pod).join(', ');
  const why =
    refusing.length === 0
      ? `no copy became ready within ${WAIT_MAX_MS / 1000} s, look at its status and its pods' logs`
      : `its ready ${refusing.length === 1 ? `pod ${pods} refuses` : `pods ${pods} refuse`} connections, try again when they listen`;
  return new StatusError('ServiceUnavailable', `cannot reach service ${service}: ${why}`);
}

function originOf({ status, spec }: Pod): string {
  const container = spec.containers.find(({ name }) => name === SERVER_CONTAINER) ?? spec.containers[0];
  const address = status?.podIP?.includes(':') ? `[${status.podIP}]` : status?.podIP;
  return `http://${address}:${container?.ports?.[0]?.containerPort ?? 8080}`;
}
