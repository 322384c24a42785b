/** What the gateway counts, as Prometheus asks for it. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface GatewayMetrics {
  readonly contentType: string;
  text(): Promise<string>;
  /** One request to a service, ended. */
  observe(request: { readonly service: string; readonly code: number; readonly seconds: number }): void;
}

/** `counts` tells the ready pods of each service when the metrics are read. */
export function createGatewayMetrics(counts: () => ReadonlyMap<string, number>): GatewayMetrics {
  const registry = new Registry();
  const registers = [registry];
  const requests = new Counter({
    name: 'athanor_gateway_requests_total',
    help: 'Requests by service and HTTP status.',
    labelNames: ['service', 'code'],
    registers,
  });
  const seconds = new Histogram({
    name: 'athanor_gateway_request_seconds',
    help: 'Time of requests in seconds, waiting for the first copy included.',
    labelNames: ['service'],
    registers,
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
  });
  registry.registerMetric(
    new Gauge({
      name: 'athanor_gateway_ready_backends',
      help: 'Pods that answer, by service.',
      labelNames: ['service'],
      registers: [],
      collect() {
        this.reset();
        for (const [service, count] of counts()) this.set({ service }, count);
      },
    }),
  );
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    observe: ({ service, code, seconds: taken }) => {
      requests.inc({ service, code });
      seconds.observe({ service }, taken);
    },
  };
}
