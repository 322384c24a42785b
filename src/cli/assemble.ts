/**
 * Wires all rooms into one process: the embedded cluster and everything that runs on it. Starts and stops; decides
 * nothing.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import type { Logger } from 'pino';
import { startAgent } from '../agent/agent.ts';
import { type Credentials, ensureCredentials } from '../apiserver/credentials.ts';
import { startApiServer } from '../apiserver/server.ts';
import { openSqliteJournal } from '../apiserver/sqlite-journal.ts';
import { type Clock, hostClock } from '../base/clock.ts';
import { openBlobStore } from '../blobs/open-blob-store.ts';
import { createClient } from '../client/client.ts';
import type { LeaseOptions } from '../client/lease.ts';
import type { ApiClient } from '../client/types.ts';
import { startControllers } from '../control/controllers.ts';
import { startGateway } from '../gateway/server.ts';
import { KINDS } from '../kinds/list.ts';
import type { Settings } from '../kube/kind.ts';
import { createSchedulingAdmission } from '../scheduler/admission.ts';
import { type Scheduler, startScheduler } from '../scheduler/scheduler.ts';
import { openDatabase } from '../sql/open-database.ts';
import { observeLineage } from '../tracking/lineage/lineage-observer.ts';
import type { TrackingSchema } from '../tracking/schema.ts';
import { startTracking, type TrackingServer } from '../tracking/server.ts';
import { askAccessReview, askTokenReview } from './ask-token.ts';
import { BLOB_SECRET, keepBlobSecret } from './blob-secret.ts';
import { type Config, pathsOf } from './config.ts';
import { installKinds } from './install.ts';
import { leadLoops } from './lead.ts';
import { explainListenError } from './listen-error.ts';
import { nodeCapacity, nodeEnv, nodeImages, warmPodVerbs } from './node-options.ts';
import type { Endpoints } from './run-state.ts';
import { SCHEDULER_NAMES } from './scheduler-names.ts';

export interface Platform {
  readonly endpoints: Endpoints;
  readonly credentials: Credentials;
  /** Ends every room, the youngest first; pods' processes with them. */
  close(): Promise<void>;
}

export interface AssembleOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly env: NodeJS.ProcessEnv;
  readonly say: (line: string) => void;
}

type Closing = () => Promise<void>;

/** Starts everything; when one part fails, what had started is closed again. */
export async function assemble(options: AssembleOptions): Promise<Platform> {
  const closings: Closing[] = [];
  const close = async () => {
    for (const closing of closings.splice(0).reverse()) await closing();
  };
  try {
    return { ...(await startAll(options, closings)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

const HOST = '127.0.0.1';
/** A minute, since every renewal is a write to the disk and rivals are rare. */
const LEASE = { name: 'athanor-control', namespace: 'athanor-system', durationMs: 60_000 } as const;

async function startAll({ config, log, env }: AssembleOptions, closings: Closing[]): Promise<Omit<Platform, 'close'>> {
  const clock = hostClock(globalThis);
  const paths = pathsOf(config.home);
  const report = (room: string) => (error: unknown) => log.warn({ room, err: error }, 'trouble');
  const nodeToken = randomBytes(32).toString('hex');
  await mkdir(paths.cache, { recursive: true });
  const credentials = await ensureCredentials(paths.pki);
  const api = await startApiServer({
    host: HOST,
    port: config.kubernetesPort,
    journal: openSqliteJournal(paths.cluster),
    credentials,
    nodeToken,
    clock,
    random: Math.random,
    report: report('apiserver'),
    admit: createSchedulingAdmission(),
  }).catch(explainListenError('the Kubernetes API', config.kubernetesPort, '--kubernetes-port'));
  closings.push(() => api.close());
  const client = keep(closings, connect(api.url, credentials, 'athanor'));
  const [tracking] = await Promise.all([
    startRows({ config, client, clock, report: report('tracking') }, closings),
    installKinds(client),
  ]);
  const blobs = offerBlobs({ config, client, clock, report: report('blobs') }, closings);
  const settings = { trackingUrl: tracking.url, ...blobs, nodeCachePath: paths.cache };
  const lease = { client, clock, ...LEASE, identity: identityOf(credentials), report: report('lease') };
  const leader = leadControl(lease, { clock, settings, log });
  closings.push(() => leader.close());
  const gateway = await startGateway({
    client,
    clock,
    host: HOST,
    port: config.gatewayPort,
    authenticate: askTokenReview(client),
    moreMetrics: leader.metrics,
    report: report('gateway'),
  }).catch(explainListenError('the gateway', config.gatewayPort, '--gateway-port'));
  closings.push(() => gateway.close());
  const agent = await startAgent({
    client,
    clock,
    log: log.child({ room: 'agent' }),
    nodeName: config.nodeName,
    root: paths.node,
    authToken: nodeToken,
    images: nodeImages(config),
    hiddenPaths: [config.home],
    env: nodeEnv(env, api.url),
    capacity: nodeCapacity(config),
    labels: { 'athanor.dev/host': hostname().toLowerCase() },
  });
  closings.push(() => agent.close());
  keep(closings, observeLineage({ client, tracking: tracking.tracking, clock, report: report('tracking') }));
  await Promise.all([leader.synced, gateway.synced]);
  warmPodVerbs().catch(report('cli'));
  return { credentials, endpoints: { kubernetes: api.url, tracking: tracking.url, gateway: gateway.url } };
}

/** Controllers and the scheduler, while this process leads. */
function leadControl(lease: LeaseOptions, { clock, settings, log }: ControlOptions) {
  const loops: { scheduler?: Scheduler } = {};
  const leader = leadLoops(lease, (client) => {
    loops.scheduler = startScheduler({
      client,
      clock,
      schedulerNames: SCHEDULER_NAMES,
      report: (error) => log.warn({ room: 'scheduler', err: error }, 'trouble'),
    });
    const controllers = startControllers({
      client,
      controllers: KINDS,
      clock,
      settings,
      report: (what, error) => log.warn({ room: 'control', what, err: error }, 'trouble'),
    });
    return [controllers, loops.scheduler];
  });
  return { ...leader, metrics: async () => (await loops.scheduler?.metrics()) ?? '' };
}

interface ControlOptions {
  readonly clock: Clock;
  readonly settings: Settings;
  readonly log: Logger;
}

/**
 * The home's own name in the lease: who has the home's lock knows that the one who held the lease under this name is
 * dead, and need not wait for it.
 */
function identityOf({ caPem }: Credentials): string {
  return `home-${createHash('sha256').update(caPem).digest('hex').slice(0, 16)}`;
}

/** Closes the part with all others. */
function keep<T extends { close(): Promise<void> }>(closings: Closing[], part: T): T {
  closings.push(() => part.close());
  return part;
}

function connect(url: string, { caPem, ownerToken }: Credentials, userAgent: string): ApiClient {
  return createClient({ url, token: ownerToken, caPem, userAgent });
}

interface RowsOptions {
  readonly config: Config;
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly report: (error: unknown) => void;
}

/** What pods need to reach the blob store. */
function offerBlobs({ config, client, clock, report }: RowsOptions, closings: Closing[]) {
  const { blobsUrl, blobsAccess: access } = config;
  if (access === undefined) return { blobsUrl };
  const secret = keepBlobSecret({ client, clock, access, report });
  closings.push(async () => secret.close());
  return { blobsUrl, blobsSecret: BLOB_SECRET };
}

async function startRows({ config, client, clock, report }: RowsOptions, closings: Closing[]): Promise<TrackingServer> {
  const database = openDatabase<TrackingSchema>(
    config.databaseUrl === undefined ? { path: pathsOf(config.home).rows } : { url: config.databaseUrl },
  );
  closings.push(() => database.close());
  const blobs = await openBlobStore(config.blobsUrl, config.blobsAccess);
  const tracking = await startTracking({
    host: HOST,
    port: config.trackingPort,
    database,
    blobs,
    clock,
    newId: () => randomUUID().replaceAll('-', ''),
    owner: userInfo().username,
    authenticate: askTokenReview(client),
    authorize: askAccessReview(client),
    onSurprise: report,
  }).catch(explainListenError('tracking', config.trackingPort, '--tracking-port'));
  closings.push(() => tracking.close());
  return tracking;
}
