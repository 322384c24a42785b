/** References of artifacts, as in `ghcr.io/me/digits:v3` or `localhost:5000/digits@sha256:...`. Pure. */
import { isLoopbackHost } from '../kube/loopback-door.ts';
import { StatusError } from '../kube/status-error.ts';

/** Which artifact of which repository. */
export interface OciReference {
  /** As credentials are kept for it. */
  readonly host: string;
  /** Of the registry's API, without a slash at its end. */
  readonly api: string;
  readonly repository: string;
  /** A tag or a digest. */
  readonly reference: string;
}

/** The host has to be named; plain http is for this machine only. @throws BadRequest */
export function parseReference(text: string): OciReference {
  const [, host = '', repository = '', digest, tag] =
    /^([^/@]+)\/([a-z0-9][a-z0-9._/-]*?)(?:@(sha256:[0-9a-f]{64})|:([A-Za-z0-9_][\w.-]{0,127}))?$/.exec(text) ?? [];
  if (!/[.:]/.test(host) && host !== 'localhost') {
    throw new StatusError('BadRequest', `cannot read ${text}: want registry/repository:tag, as ghcr.io/me/digits:v3`);
  }
  const scheme = isLoopbackHost(host) ? 'http' : 'https';
  const server = host === 'docker.io' ? 'registry-1.docker.io' : host;
  return { host, api: `${scheme}://${server}/v2`, repository, reference: digest ?? tag ?? 'latest' };
}
