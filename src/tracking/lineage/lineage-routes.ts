/** `/api/v1/lineage`: where OpenLineage's clients send events, and where one asks what is related to what. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { trackingOf } from '../door.ts';
import { int64, parseRequest, text } from '../request-shape.ts';
import type { Shared } from '../tracking.ts';
import { readEvents, readLineage, recordEvents } from './lineage.ts';

const PATH = '/api/v1/lineage';
const DEPTH_MAX = 100;

/** An index of both databases must hold them. */
const name = text.max(1_024);
const dataset = z.looseObject({
  namespace: name,
  name,
  facets: z.looseObject({ version: z.looseObject({ datasetVersion: name.optional() }).optional() }).optional(),
});
const event = z.looseObject({
  eventType: name.optional(),
  eventTime: text,
  producer: text,
  run: z.looseObject({ runId: z.uuid() }),
  job: z.looseObject({ namespace: name, name }),
  inputs: z.array(dataset).optional(),
  outputs: z.array(dataset).optional(),
});
const question = z.object({
  nodeId: z.string().regex(/^(dataset|job):.+:.+$/, 'use dataset:namespace:name or job:namespace:name'),
  depth: int64.pipe(z.int().min(1).max(DEPTH_MAX)).default(20),
  way: z.enum(['up', 'down', 'both']).default('both'),
});

/** Adds them. */
export function addLineageRoutes(server: FastifyInstance, shared: Shared): void {
  server.post(PATH, async (request, reply) => {
    const batch = Array.isArray(request.body) ? request.body : [request.body];
    const events = batch.map((one) => parseRequest(event, one));
    await recordEvents(trackingOf(request, shared), events);
    return reply.code(201).send();
  });
  server.get(PATH, async (request) => {
    const { nodeId, depth, way } = parseRequest(question, request.query);
    return { graph: await readLineage(trackingOf(request, shared), nodeId, { depth, way }) };
  });
  server.get(`${PATH}/runs/:run`, async (request) => {
    const { run } = parseRequest(z.object({ run: text }), request.params);
    return { events: await readEvents(trackingOf(request, shared), run) };
  });
}
