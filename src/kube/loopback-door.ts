/** Who may come in without a token on a laptop: its owner, and no web page that the owner happens to visit. Pure. */

/** What a door can see of a request. */
export interface DoorRequest {
  /** The address that the server listens on. */
  readonly listenHost: string;
  /** The Host header, port included. */
  readonly host?: string | undefined;
  /** The Origin header. */
  readonly origin?: string | undefined;
  readonly bearerToken?: string | undefined;
  /** Further names of this server that only this machine resolves to it. */
  readonly allowedHosts?: readonly string[] | undefined;
}

/** `owner`: let in as the owner; `check-token`: ask who the token is of; `refuse`: Unauthorized. */
export type DoorAnswer = 'owner' | 'check-token' | 'refuse';

/**
 * A token is always checked. Without one, only a loopback listener called by a loopback name from no other site lets
 * in.
 */
export function answerDoor(request: DoorRequest): DoorAnswer {
  if (request.bearerToken !== undefined) return 'check-token';
  const isOwner = isLoopbackHost(request.listenHost) && isOwnName(request) && isOwnOrigin(request);
  return isOwner ? 'owner' : 'refuse';
}

/** True for names and addresses that never leave this machine; a port behind them does not matter. */
export function isLoopbackHost(host: string): boolean {
  const name = dropPort(host).toLowerCase();
  if (name === 'localhost' || name.endsWith('.localhost') || name === '::1') return true;
  return /^127(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/.test(name);
}

/** A page under an attacker's name that resolves to 127.0.0.1 (DNS rebinding) still sends that name as Host. */
function isOwnName({ host, allowedHosts = [] }: DoorRequest): boolean {
  if (host === undefined) return false;
  return isLoopbackHost(host) || allowedHosts.includes(dropPort(host).toLowerCase());
}

function isOwnOrigin({ host, origin }: DoorRequest): boolean {
  return origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
}

function dropPort(host: string): string {
  const bracketed = /^\[([^\]]*)\](:\d+)?$/.exec(host);
  if (bracketed) return bracketed[1] ?? '';
  return /^[^:]*:\d+$/.test(host) ? host.slice(0, host.indexOf(':')) : host;
}
