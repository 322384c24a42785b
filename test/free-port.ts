/** A TCP port of loopback that nobody has at the moment, for programs that must be told one. */
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Another program may take it before the caller's does; rare enough for tests. */
export async function findFreePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('cannot find a free port');
  return address.port;
}
