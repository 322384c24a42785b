/** How commands speak to OCI registries: requests with credentials, as the registry asks for them. Copies nothing. */
import { isJsonObject } from '../base/json.ts';
import { isStatusError, type Reason, StatusError } from '../kube/status-error.ts';
import type { OciCredentials } from './oci-credentials.ts';

/** A body that can be sent again from its beginning, since a registry may first ask who one is. */
export interface OciRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: () => Promise<ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer>>;
  readonly signal?: AbortSignal;
}

/** One repository of one registry. */
export interface OciClient {
  /** `path` is below the repository, or a whole URL. Answers of every status. @throws ServiceUnavailable */
  ask(path: string, request?: OciRequest): Promise<Response>;
}

export interface OciClientOptions {
  readonly api: string;
  readonly repository: string;
  readonly credentials: OciCredentials | undefined;
  /** Sent before anybody asks: a door that lets the owner in without a token would take one for the owner. */
  readonly authorization?: string | undefined;
}

/** Credentials are sent when the registry asks, and to nobody but it and the place it names for tokens. */
export function openOci({ api, repository, credentials, ...options }: OciClientOptions): OciClient {
  let { authorization } = options;
  const send = async (url: URL, request: OciRequest) => {
    const isOwn = url.origin === new URL(api).origin;
    const headers = { ...request.headers, ...(isOwn && authorization !== undefined && { authorization }) };
    const body = await request.body?.();
    const init = { method: request.method ?? 'GET', headers, ...(request.signal && { signal: request.signal }) };
    // why: TypeScript's lib knows no duplex, which streams need
    const whole = { ...init, ...(body !== undefined && { body, duplex: 'half' }) } as RequestInit;
    return fetch(url, whole).catch((cause: unknown) => {
      // A body that cannot be read ends the request: why is its own story.
      if (cause instanceof Error && isStatusError(cause.cause)) throw cause.cause;
      throw new StatusError('ServiceUnavailable', `cannot reach the registry at ${url.origin}`, { cause });
    });
  };
  return {
    ask: async (path, request = {}) => {
      const name = repository.split('/').map(encodeURIComponent).join('/');
      const url = /^https?:/.test(path) ? new URL(path) : new URL(`${api}/${name}/${path}`);
      const first = await send(url, request);
      if (first.status !== 401 || url.origin !== new URL(api).origin) return first;
      await first.body?.cancel();
      authorization = await answerChallenge(first.headers.get('www-authenticate') ?? '', { repository, credentials });
      return send(url, request);
    },
  };
}

type Asked = Pick<OciClientOptions, 'repository' | 'credentials'>;

async function answerChallenge(challenge: string, { repository, credentials }: Asked): Promise<string | undefined> {
  if (credentials && 'bearer' in credentials) return `Bearer ${credentials.bearer}`;
  const basic = credentials && `Basic ${credentials.basic}`;
  if (!/^bearer /i.test(challenge)) return basic;
  const fields = new Map([...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', value = '']) => [key, value]));
  const url = new URL(fields.get('realm') ?? '');
  url.searchParams.set('scope', fields.get('scope') ?? `repository:${repository}:pull,push`);
  const service = fields.get('service');
  if (service !== undefined) url.searchParams.set('service', service);
  if (url.protocol !== 'https:' && !/^(localhost|127\.|\[::1\])/.test(url.hostname)) {
    throw new StatusError('Forbidden', `cannot log in: the registry sends its users to ${url.origin}, want https`);
  }
  const response = await fetch(url, { headers: basic === undefined ? {} : { authorization: basic } });
  const answer: unknown = response.ok ? await response.json() : undefined;
  const token = isJsonObject(answer) ? (answer['token'] ?? answer['access_token']) : undefined;
  if (typeof token === 'string') return `Bearer ${token}`;
  throw new StatusError('Unauthorized', `cannot log in at ${url.origin}: it answered ${response.status}`);
}

const REASONS: Readonly<Record<number, Reason>> = {
  400: 'Invalid',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  413: 'RequestEntityTooLarge',
  429: 'TooManyRequests',
  503: 'ServiceUnavailable',
};

/** The answer, when it is one of the 200s. @throws what the registry says it is */
export async function expectOk(act: string, response: Response): Promise<Response> {
  if (response.ok) return response;
  const text = (await response.text().catch(() => '')).slice(0, 10_000);
  const why = /"message"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(text)?.[1];
  const said = why === undefined ? `the registry answered ${response.status}` : JSON.parse(`"${why}"`);
  throw new StatusError(REASONS[response.status] ?? 'InternalError', `cannot ${act}: ${said}`);
}
