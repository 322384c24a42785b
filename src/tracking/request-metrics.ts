/** Counts and times requests for Prometheus, by route. Knows no other metric. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Counter, Histogram, Registry } from 'prom-client';
import type { Clock } from '../base/clock.ts';

const BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const LABELS = ['method', 'route', 'status'] as const;

/** Adds `GET /metrics`. */
export function addRequestMetrics(server: FastifyInstance, clock: Clock): void {
  const registry = new Registry();
  const registers = [registry];
  const labelNames = LABELS;
  const count = new Counter({
    name: 'athanor_tracking_requests_total',
    help: 'Requests answered, by route and status.',
    labelNames,
    registers,
  });
  const duration = new Histogram({
    name: 'athanor_tracking_request_duration_seconds',
    help: 'Time from the first byte of a request to the last of its answer.',
    labelNames,
    buckets: BUCKETS_SECONDS,
    registers,
  });
  const startedMs = new WeakMap<FastifyRequest, number>();
  server.addHook('onRequest', async (request) => void startedMs.set(request, clock.nowMs()));
  server.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    const labels = { method: request.method, route, status: String(reply.statusCode) };
    count.inc(labels);
    duration.observe(labels, (clock.nowMs() - (startedMs.get(request) ?? clock.nowMs())) / 1000);
  });
  server.get('/metrics', async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()));
}
