/**
 * Who a request is from, and in which workspace it works. Asks the loopback rule, and the caller's `authenticate` and
 * `authorize`; knows no users itself.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { answerDoor } from '../kube/loopback-door.ts';
import { StatusError } from '../kube/status-error.ts';
import { findOciPath, OCI_PREFIX } from './oci/oci-path.ts';
import { type Caller, DEFAULT_WORKSPACE, type Shared, type Tracking } from './tracking.ts';

/** Whose token it is, as Kubernetes names users and groups. */
export interface Identity {
  readonly user: string;
  readonly groups?: readonly string[];
}

/** Tells whose token it is. @throws Unauthorized */
export type Authenticate = (request: { readonly bearerToken: string }) => Promise<Identity>;

/** What somebody wants to do with the runs and models of a namespace. */
export interface AccessQuestion extends Identity {
  readonly namespace: string;
  readonly verb: 'get' | 'update';
}

/** Tells whether they may. */
export type Authorize = (question: AccessQuestion) => Promise<boolean>;

export interface DoorOptions {
  readonly host: string;
  readonly owner: string;
  readonly authenticate?: Authenticate;
  /** Without it, whoever has a good token may work in every workspace. */
  readonly authorize?: Authorize;
  readonly allowedHosts?: readonly string[];
}

/** Say nothing of anyone, as with MLflow; probes and clients ask them before they log in. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/health', '/version']);
/** Questions that are asked by POST. Whole paths: a file that a caller names may end like one. */
const READING: ReadonlySet<string> = new Set([
  'experiments/search',
  'experiments/search-datasets',
  'runs/search',
  'logged-models/search',
  'registered-models/get-latest-versions',
  'traces/search',
  'traces/batchGet',
  'traces/batchGetInfos',
]);
const API = /^\/(?:ajax-)?api\/[23]\.0\/mlflow\//;
const WORKSPACE_HEADER = 'x-mlflow-workspace';
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const CALLER = Symbol('caller');

type Marked = FastifyRequest & { [CALLER]?: Caller };

/** Lets no request pass whose sender is not known. */
export function addDoor(server: FastifyInstance, options: DoorOptions): void {
  server.addHook('onRequest', async (request: Marked) => {
    const path = pathOf(request);
    if (!OPEN_PATHS.has(path)) request[CALLER] = await findCaller(request, options);
  });
}

/** The sender that the door let in. */
export function callerOf(request: Marked): Caller {
  const caller = request[CALLER];
  if (!caller) throw new StatusError('Unauthorized', 'cannot answer: nobody is known to have asked');
  return caller;
}

/** Tracking as the sender may see it. */
export function trackingOf(request: FastifyRequest, shared: Shared): Tracking {
  return { ...shared, workspace: callerOf(request).workspace };
}

async function findCaller(request: FastifyRequest, options: DoorOptions): Promise<Caller> {
  const { host, origin, authorization } = request.headers;
  const bearerToken = findToken(authorization);
  const { allowedHosts, authenticate, owner } = options;
  const answer = answerDoor({ listenHost: options.host, host, origin, bearerToken, allowedHosts });
  const named = workspaceOf(request);
  if (answer === 'owner') return { user: owner, workspace: named ?? DEFAULT_WORKSPACE };
  if (answer === 'check-token' && authenticate) {
    const identity = await authenticate({ bearerToken: bearerToken ?? '' });
    return admit(request, { identity, named, options });
  }
  const what = answer === 'refuse' ? 'it has no token and is not the owner on loopback' : 'no token is accepted here';
  throw new StatusError('Unauthorized', `cannot answer the request: ${what}, set MLFLOW_TRACKING_TOKEN`);
}

interface Admission {
  readonly identity: Identity;
  readonly named: string | undefined;
  readonly options: DoorOptions;
}

/** A service account is at home in its own namespace; everywhere else the cluster's rules decide. */
async function admit(request: FastifyRequest, { identity, named, options }: Admission): Promise<Caller> {
  const home = /^system:serviceaccount:([^:]+):/.exec(identity.user)?.[1];
  const workspace = named ?? home ?? DEFAULT_WORKSPACE;
  const caller = { user: identity.user, workspace };
  if (workspace === home || options.authorize === undefined) return caller;
  const verb = isReading(request) ? 'get' : 'update';
  if (await options.authorize({ ...identity, namespace: workspace, verb })) return caller;
  const message = `cannot ${verb} in workspace '${workspace}': ${identity.user} may not ${verb} runs.athanor.dev there`;
  throw new StatusError('Forbidden', `${message}, ask for a role that allows it`);
}

/** Registry clients know users and passwords only: the password is the token, whoever the user. */
function findToken(authorization = ''): string | undefined {
  const basic = /^Basic +(.*)$/i.exec(authorization)?.[1];
  if (basic === undefined) return /^Bearer +(.*)$/i.exec(authorization)?.[1];
  return Buffer.from(basic, 'base64')
    .toString()
    .replace(/^[^:]*:/, '');
}

function isReading(request: FastifyRequest): boolean {
  const { method } = request;
  return method === 'GET' || method === 'HEAD' || (method === 'POST' && READING.has(pathOf(request).replace(API, '')));
}

/** Registry clients send no header of ours: their paths say it. @throws Invalid for a name that no namespace has */
function workspaceOf(request: FastifyRequest): string | undefined {
  const path = pathOf(request);
  const inPath = path.startsWith(OCI_PREFIX) ? findOciPath(path.slice(OCI_PREFIX.length))?.workspace : undefined;
  const named = inPath ?? [request.headers[WORKSPACE_HEADER]].flat()[0]?.trim();
  if (!named) return undefined;
  if (NAMESPACE.test(named)) return named;
  throw new StatusError('Invalid', `Workspace name '${named}' must match the pattern ${NAMESPACE.source}.`);
}

function pathOf({ url }: FastifyRequest): string {
  return url.split('?', 1)[0] ?? '';
}
