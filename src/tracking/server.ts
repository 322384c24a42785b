/** Tracking's HTTP server: door, JSON API, artifact proxy, pages, metrics. Knows no configuration; owns no database. */
import type { AddressInfo } from 'node:net';
import Fastify, { type FastifyInstance } from 'fastify';
import type { Clock } from '../base/clock.ts';
import type { BlobStore } from '../blobs/blob-store.ts';
import { StatusError } from '../kube/status-error.ts';
import { migrate } from '../sql/migrate.ts';
import type { Database } from '../sql/open-database.ts';
import { addApi } from './api.ts';
import { addArtifactProxy } from './artifacts/artifact-proxy.ts';
import { keepCollecting } from './artifacts/uploads.ts';
import { type Authenticate, type Authorize, addDoor } from './door.ts';
import { toErrorAnswer } from './error-door.ts';
import { BODY_BYTES_MAX, JUDGE_AT_ONCE_BYTES_MAX } from './limits.ts';
import { addLineageRoutes } from './lineage/lineage-routes.ts';
import { trackingMigrations } from './migrations.ts';
import { createJudge } from './models/judge-version.ts';
import { addOciRoutes } from './oci/oci-routes.ts';
import { addPages } from './pages.ts';
import { addRequestMetrics } from './request-metrics.ts';
import { ensureDefaultExperiment } from './runs/experiments.ts';
import type { TrackingSchema } from './schema.ts';
import { addOtlpDoor } from './traces/otlp-door.ts';
import { DEFAULT_WORKSPACE, type Shared } from './tracking.ts';

const CLOSE_GRACE_MS = 2_000;

export interface TrackingOptions {
  /** Address to listen on; a loopback one lets the owner in without a token. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Opened by the caller, who also closes it, after the server. */
  readonly database: Database<TrackingSchema>;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  /** 32 hexadecimal digits, never twice the same. */
  readonly newId: () => string;
  /** Who owns the machine, and so what is logged on it without a token. */
  readonly owner: string;
  /** Without it, no token is good. @throws Unauthorized */
  readonly authenticate?: Authenticate;
  /** Asked of whoever has a token and works outside the namespace of their own service account. */
  readonly authorize?: Authorize;
  /** Names besides loopback's that only this machine resolves to this server. */
  readonly allowedHosts?: readonly string[];
  /** Files of a new version up to this many bytes are looked through before it is acknowledged. Default 64 MiB. */
  readonly judgeAtOnceBytes?: number;
  /** Told of errors that nobody foresaw. */
  readonly onSurprise?: (error: unknown) => void;
}

/** A listening server. */
export interface TrackingServer {
  readonly url: string;
  /** For what works beside it in the same process. */
  readonly tracking: Shared;
  /** Lets running requests end, for two seconds at most. */
  close(): Promise<void>;
}

/** Brings the tables up to date and listens. @throws ServiceUnavailable when the port is taken */
export async function startTracking(options: TrackingOptions): Promise<TrackingServer> {
  const { database, blobs, clock, newId } = options;
  await migrate(database, trackingMigrations);
  const judge = createJudge({
    atOnceBytes: options.judgeAtOnceBytes ?? JUDGE_AT_ONCE_BYTES_MAX,
    onSurprise: options.onSurprise ?? (() => undefined),
  });
  const tracking: Shared = { db: database.db, dialect: database.dialect, blobs, clock, newId, judge };
  await ensureDefaultExperiment({ ...tracking, workspace: DEFAULT_WORKSPACE });
  const server = Fastify({ bodyLimit: BODY_BYTES_MAX, routerOptions: { maxParamLength: 2_000 } });
  addErrors(server, options);
  addRequestMetrics(server, clock);
  addDoor(server, options);
  addApi(server, tracking);
  addLineageRoutes(server, tracking);
  addOtlpDoor(server, tracking);
  addArtifactProxy(server, { blobs, newId });
  addOciRoutes(server, tracking, options.onSurprise);
  addPages(server, tracking);
  await listen(server, options);
  await judge.start(tracking);
  const { port } = server.server.address() as AddressInfo; // why: it listens on TCP
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  const stopCollecting = keepCollecting({ blobs, clock, report: options.onSurprise ?? (() => undefined) });
  const end = async () => {
    stopCollecting();
    await close(server, clock);
    await judge.close();
  };
  return { url: `http://${host}:${port}`, tracking, close: end };
}

function addErrors(server: FastifyInstance, { onSurprise }: TrackingOptions): void {
  server.setErrorHandler((error, _request, reply) => {
    const { status, body } = toErrorAnswer(explainParsing(error));
    if (status === 500) onSurprise?.(error);
    return reply.code(status).send(body);
  });
  server.setNotFoundHandler((request) => {
    const [path] = request.url.split('?', 1);
    throw new StatusError('MethodNotAllowed', `cannot ${request.method} ${path}: this server has no such endpoint`);
  });
}

/** Fastify's own errors about a request are the request's fault. */
function explainParsing(error: unknown): unknown {
  if (!(error instanceof Error) || !('statusCode' in error) || !('code' in error)) return error;
  if (error.statusCode === 413) return new StatusError('RequestEntityTooLarge', error.message, { cause: error });
  if (Number(error.statusCode) >= 500 || !String(error.code).startsWith('FST_')) return error;
  return new StatusError('BadRequest', error.message, { cause: error });
}

async function listen(server: FastifyInstance, { host, port }: TrackingOptions): Promise<void> {
  try {
    await server.listen({ host, port });
  } catch (error) {
    await server.close();
    const why = error instanceof Error ? error.message : String(error);
    const message = `cannot listen for tracking on ${host}:${port}: ${why}, choose another port`;
    throw new StatusError('ServiceUnavailable', message, { cause: error });
  }
}

async function close(server: FastifyInstance, clock: Clock): Promise<void> {
  const cancel = clock.after(CLOSE_GRACE_MS, () => server.server.closeAllConnections());
  server.server.closeIdleConnections();
  await server.close();
  cancel();
}
