/** Who a request is from. Asks the loopback rule and the caller's `authenticate`; knows no users itself. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { answerDoor } from '../kube/loopback-door.ts';
import { StatusError } from '../kube/status-error.ts';
import type { Caller } from './tracking.ts';

/** Tells whose token it is. @throws Unauthorized */
export type Authenticate = (request: { readonly bearerToken: string }) => Promise<Caller>;

export interface DoorOptions {
  readonly host: string;
  readonly owner: string;
  readonly authenticate?: Authenticate;
  readonly allowedHosts?: readonly string[];
}

/** Say nothing of anyone, as with MLflow; probes and clients ask them before they log in. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/health', '/version']);
const CALLER = Symbol('caller');

type Marked = FastifyRequest & { [CALLER]?: Caller };

/** Lets no request pass whose sender is not known. */
export function addDoor(server: FastifyInstance, options: DoorOptions): void {
  server.addHook('onRequest', async (request: Marked) => {
    const [path = ''] = request.url.split('?', 1);
    if (!OPEN_PATHS.has(path)) request[CALLER] = await findCaller(request, options);
  });
}

/** The sender that the door let in. */
export function callerOf(request: Marked): Caller {
  const caller = request[CALLER];
  if (!caller) throw new StatusError('Unauthorized', 'cannot answer: nobody is known to have asked');
  return caller;
}

async function findCaller(request: FastifyRequest, options: DoorOptions): Promise<Caller> {
  const { host, origin, authorization } = request.headers;
  const bearerToken = /^Bearer +(.*)$/i.exec(authorization ?? '')?.[1];
  const { allowedHosts, authenticate, owner } = options;
  const answer = answerDoor({ listenHost: options.host, host, origin, bearerToken, allowedHosts });
  if (answer === 'owner') return { user: owner };
  if (answer === 'check-token' && authenticate) return authenticate({ bearerToken: bearerToken ?? '' });
  const what = answer === 'refuse' ? 'it has no token and is not the owner on loopback' : 'no token is accepted here';
  throw new StatusError('Unauthorized', `cannot answer the request: ${what}, set MLFLOW_TRACKING_TOKEN`);
}
