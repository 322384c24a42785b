/** How long to wait before trying again. Knows delays only; who waits is the caller's affair. */
import type { Random } from './random.ts';

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  /** Growth per failure. Default 2. */
  readonly factor?: number;
  /** Share of the delay that chance may take away, 0..1. Default 0. */
  readonly jitter?: number;
  readonly random?: Random;
}

/** Delay in milliseconds before try number `failures + 1`; 0 when nothing has failed yet. */
export function backoffMs(failures: number, options: BackoffOptions): number {
  if (failures <= 0) return 0;
  const { firstMs, maxMs, factor = 2, jitter = 0, random = () => 0 } = options;
  const delayMs = Math.min(maxMs, firstMs * factor ** Math.min(failures - 1, 64));
  return Math.round(delayMs * (1 - jitter * random()));
}
