/** Chooses a loopback address for each pod. Remembers nothing: the addresses in use are given. */
import { StatusError } from '../kube/status-error.ts';

/** 127.64.0.0/10, clear of 127.0.0.0/16 where services of the host listen. */
const FIRST = 0x7f400001;
const LAST = 0x7f7ffffe;

/**
 * The first free address, looking from a place that the pod's uid decides, so that addresses are seldom reused at
 * once.
 */
export function allocateAddress(uid: string, used: ReadonlySet<string>): string {
  const count = LAST - FIRST + 1;
  const start = hashText(uid) % count;
  for (let step = 0; step < count; step++) {
    const address = formatAddress(FIRST + ((start + step) % count));
    if (!used.has(address) && !/\.(0|255)$/.test(address)) return address;
  }
  throw new StatusError('TooManyRequests', 'cannot give the pod an address: all of 127.64.0.0/10 are in use');
}

function formatAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
}

/** FNV-1a, 32 bits. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  return hash;
}
