/**
 * Serves the JSON API under every prefix that MLflow's clients and pages use. Knows no endpoint by name but its own
 * few.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { StatusError } from '../kube/status-error.ts';
import { artifactUrlRoutes } from './artifacts/artifact-url-routes.ts';
import { callerOf, trackingOf } from './door.ts';
import { BATCH_BODY_BYTES_MAX } from './limits.ts';
import { loggedModelRoutes } from './models/logged-model-routes.ts';
import { registryRoutes } from './models/registry-routes.ts';
import { ATHANOR_PREFIX, addCard, versionRoutes } from './models/version-routes.ts';
import { dropEmptyLists } from './request-shape.ts';
import type { Route } from './route.ts';
import { experimentRoutes } from './runs/experiment-routes.ts';
import { importRoutes } from './runs/import-routes.ts';
import { runRoutes } from './runs/run-routes.ts';
import { assessmentRoutes } from './traces/assessment-routes.ts';
import { oldTraceRoutes } from './traces/old-trace-routes.ts';
import { traceRoutes } from './traces/trace-routes.ts';
import type { Shared } from './tracking.ts';

/** The version of MLflow whose API this is. */
export const MLFLOW_VERSION = '3.17.2';

/** Where MLflow's clients (`api`) and pages (`ajax-api`) look for it. */
export const PREFIXES = ['/api/2.0', '/api/3.0', '/ajax-api/2.0', '/ajax-api/3.0'] as const;

/** Small: single writes and batches; others may carry data sets and models. */
const SMALL_BODIES: ReadonlySet<string> = new Set([
  '/runs/log-batch',
  '/runs/log-metric',
  '/runs/log-parameter',
  '/runs/set-tag',
]);

/** Uploads in parts come here or go to the store; downloads in parts only where clients reach the store. */
function describeServer({ blobs }: Shared) {
  return {
    store_type: 'SqlStore',
    workspaces_enabled: true,
    trace_archival_enabled: false,
    multipart_uploads_enabled: true,
    multipart_downloads_enabled: blobs.direct !== undefined,
    presigned_upload_run_id_supported: blobs.direct !== undefined,
    presigned_upload_model_id_supported: blobs.direct !== undefined,
    features_enabled: { gateway: false },
  };
}

const ROUTES: readonly Route[] = [
  ...experimentRoutes,
  ...runRoutes,
  ...loggedModelRoutes,
  ...registryRoutes,
  ...traceRoutes,
  ...oldTraceRoutes,
  ...assessmentRoutes,
  ...artifactUrlRoutes,
  ...importRoutes,
];

/** Every route of the JSON API once, under the first prefix that has it. */
export function routePlaces(): readonly { readonly method: string; readonly path: string }[] {
  return [
    ...ROUTES.map(({ method, path, version = '2.0' }) => ({ method, path: `/api/${version}/mlflow${path}` })),
    ...versionRoutes.map(({ method, path }) => ({ method, path: `${ATHANOR_PREFIX}${path}` })),
  ];
}

/** Adds every endpoint. */
export function addApi(server: FastifyInstance, tracking: Shared): void {
  acceptLooseJson(server);
  server.get('/health', async (_request, reply) => reply.type('text/plain').send('OK'));
  server.get('/version', async (_request, reply) => reply.type('text/plain').send(MLFLOW_VERSION));
  for (const prefix of PREFIXES) {
    if (prefix.endsWith('3.0')) server.get(`${prefix}/mlflow/server-info`, async () => describeServer(tracking));
    for (const route of ROUTES.filter(({ version }) => version === undefined || prefix.endsWith(version)))
      addRoute(server, `${prefix}/mlflow`, { route, tracking });
  }
  for (const route of versionRoutes) addRoute(server, ATHANOR_PREFIX, { route, tracking });
  addCard(server, tracking);
}

/**
 * A body of JSON, whatever its Content-Type says; an empty one is an empty object, as a GET's and a DELETE's often
 * are.
 */
function acceptLooseJson(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'string' }, async (_request: FastifyRequest, body: string) => {
    if (body.trim() === '') return {};
    try {
      return JSON.parse(body) as unknown; // why: every route checks its shape
    } catch (error) {
      const message = `cannot read the request: its body is not JSON (${String(error)})`;
      throw new StatusError('BadRequest', message, { cause: error });
    }
  });
}

function addRoute(
  server: FastifyInstance,
  prefix: string,
  { route, tracking }: { route: Route; tracking: Shared },
): void {
  server.route({
    method: route.method,
    url: `${prefix}${route.path}`,
    ...(SMALL_BODIES.has(route.path) && { bodyLimit: BATCH_BODY_BYTES_MAX }),
    handler: async (request) => {
      const call = { tracking: trackingOf(request, tracking), caller: callerOf(request) };
      return dropEmptyLists(await route.answer({ ...call, request: mergeRequest(request) }));
    },
  });
}

function mergeRequest({ query, body, params }: FastifyRequest): object {
  const parts = [query, body, params].filter((part) => typeof part === 'object' && part !== null);
  return Object.assign({}, ...parts);
}
