/** Which service a request is for: by its path, or by its Host header. Pure. */

export interface Route {
  /** `namespace/name`. */
  readonly service: string;
  /** What the model server is asked for, query included. */
  readonly path: string;
}

/**
 * `/<namespace>/<service>/v2/...`, or any path under the host `<service>.<namespace>.<anything>`.
 * Undefined when neither names a service.
 */
export function findRoute(url: string, host: string | undefined): Route | undefined {
  const match = /^\/([a-z0-9-]+)\/([a-z0-9.-]+)(\/v2(?:[/?].*)?)$/.exec(url);
  if (match !== null) return { service: `${match[1]}/${match[2]}`, path: match[3] ?? '/v2' };
  const name = (host ?? '').replace(/:\d+$/, '').toLowerCase();
  const labels = /^([a-z0-9-]+)\.([a-z0-9-]+)\.[a-z]/.exec(name);
  if (labels === null || !url.startsWith('/')) return undefined;
  return { service: `${labels[2]}/${labels[1]}`, path: url };
}
