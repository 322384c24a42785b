/** Probes one running container in time: startup first, then liveness and readiness. Restarts nothing: it tells. */
import type { Cancel, Clock } from '../base/clock.ts';
import type { Probe } from '../kube/pod.ts';
import { toStatusError } from '../kube/status-error.ts';
import { countProbe, firstProbeDelayMs, NEW_PROBE, probePeriodMs } from './probe-state.ts';
import { type ProbeTarget, runProbe } from './run-probe.ts';

export interface ProberOptions extends ProbeTarget {
  readonly clock: Clock;
  /** `isStarted` or `isReady` is another than before. */
  readonly onChange: () => void;
  /** One probe failed, whatever the verdict. */
  readonly onFailure: (kind: ProbeKind, message: string) => void;
  /** A startup or liveness probe reached its threshold: the container must be restarted. */
  readonly onUnhealthy: (kind: ProbeKind) => void;
}

export type ProbeKind = 'Startup' | 'Liveness' | 'Readiness';

/** Asks the probes of one container while it runs. */
export class Prober {
  isStarted: boolean;
  isReady = false;
  readonly #options: ProberOptions;
  readonly #cancels = new Map<ProbeKind, Cancel>();
  #isClosed = false;

  constructor(options: ProberOptions) {
    const { startupProbe } = options.container;
    this.#options = options;
    this.isStarted = startupProbe === undefined;
    if (startupProbe === undefined) this.#start();
    else this.#schedule('Startup', startupProbe, NEW_PROBE);
  }

  /** Probes no more. */
  close(): void {
    this.#isClosed = true;
    for (const cancel of this.#cancels.values()) cancel();
  }

  #start(): void {
    const { livenessProbe, readinessProbe } = this.#options.container;
    this.isStarted = true;
    this.isReady = readinessProbe === undefined;
    if (livenessProbe) this.#schedule('Liveness', livenessProbe, NEW_PROBE);
    if (readinessProbe) this.#schedule('Readiness', readinessProbe, NEW_PROBE);
  }

  #schedule(kind: ProbeKind, probe: Probe, state: typeof NEW_PROBE): void {
    if (this.#isClosed) return;
    const isFirst = state.successes + state.failures === 0;
    const delayMs = isFirst ? firstProbeDelayMs(probe) : probePeriodMs(probe);
    this.#cancels.set(
      kind,
      this.#options.clock.after(delayMs, () => void this.#probe(kind, probe, state)),
    );
  }

  async #probe(kind: ProbeKind, probe: Probe, state: typeof NEW_PROBE): Promise<void> {
    const problem = await runProbe(probe, this.#options).catch((error: unknown) => toStatusError(error).message);
    if (this.#isClosed) return;
    if (problem !== undefined) this.#options.onFailure(kind, problem);
    const next = countProbe(state, problem === undefined, probe);
    if (kind === 'Startup' && next.verdict === 'success') {
      this.#start();
      return this.#options.onChange();
    }
    if (kind === 'Readiness') this.#setReady(next.verdict === 'success');
    else if (next.verdict === 'failure') return this.#options.onUnhealthy(kind);
    this.#schedule(kind, probe, next);
  }

  #setReady(isReady: boolean): void {
    if (this.isReady === isReady) return;
    this.isReady = isReady;
    this.#options.onChange();
  }
}
