/** A registry of somebody else, as they are: asks who one is, by tokens; its line breaks; its bytes may be wrong. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What it does to blobs that are read. */
export interface HardRegistry {
  readonly host: string;
  /** The next reading breaks behind so many bytes. */
  cutAfterBytes: number | undefined;
  isTampering: boolean;
  /** False as with registries before distribution-spec 1.1. */
  knowsReferrers: boolean;
  /** Of blobs, as `METHOD range`. */
  readonly blobRequests: string[];
  close(): Promise<void>;
}

const HOPS = /^(connection|transfer-encoding|keep-alive)$/;
const TOKEN = 'a-token-for-a-while';
/** Who may come in, as Docker's file has it. */
export const HARD_AUTH = Buffer.from('me:secret').toString('base64');

/** In front of `behind`, a registry that lets everyone in. */
export async function startHardRegistry(behind: string): Promise<HardRegistry> {
  const server = createServer(async (request, response) => {
    const { url = '', method = '', headers } = request;
    const origin = `http://${headers.host}`;
    if (url.startsWith('/token')) {
      const isKnown = headers.authorization === `Basic ${HARD_AUTH}`;
      response.writeHead(isKnown ? 200 : 401, { 'content-type': 'application/json' });
      return response.end(JSON.stringify(isKnown ? { token: TOKEN } : {}));
    }
    if (headers.authorization !== `Bearer ${TOKEN}`) {
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${origin}/token",service="hard"` });
      return response.end();
    }
    if (!registry.knowsReferrers && /\/referrers\//.test(url)) return response.writeHead(404).end();
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(Buffer.from(part));
    const kept = ['content-type', 'range', 'accept'].flatMap((key) => {
      const value = headers[key];
      return typeof value === 'string' ? [[key, value] as [string, string]] : [];
    });
    const body = parts.length > 0 ? { body: Buffer.concat(parts) } : {};
    const answer = await fetch(`${behind}${url}`, { method, headers: kept, ...body });
    const bytes = Buffer.from(await answer.arrayBuffer());
    const dropped = registry.knowsReferrers ? HOPS : /^(connection|transfer-encoding|keep-alive|oci-subject)$/;
    const passed = [...answer.headers].filter(([key]) => !dropped.test(key));
    response.writeHead(answer.status, Object.fromEntries(passed));
    const isBlob = method === 'GET' && /\/blobs\/sha256:/.test(url);
    if (/\/blobs\/sha256:/.test(url)) registry.blobRequests.push(`${method} ${headers.range ?? ''}`.trim());
    if (isBlob && registry.isTampering && bytes.length > 0) bytes[0] = (bytes[0] ?? 0) ^ 1;
    const cut = registry.cutAfterBytes;
    if (!isBlob || cut === undefined || bytes.length <= cut) return response.end(bytes);
    registry.cutAfterBytes = undefined;
    return response.write(bytes.subarray(0, cut), () => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // why: it listens on TCP
  const registry: HardRegistry = {
    host: `127.0.0.1:${port}`,
    cutAfterBytes: undefined,
    isTampering: false,
    knowsReferrers: true,
    blobRequests: [],
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
  return registry;
}
