/** Kubernetes quantities (`500m`, `2Gi`, `1e3`): parse, compare, write. Source: apimachinery pkg/api/resource. */
import { StatusError } from './status-error.ts';

const FACTORS: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};
const QUANTITY = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?$/;

/** Regular expression of every text `parseQuantity` accepts, for schemas. */
export const QUANTITY_PATTERN = QUANTITY.source;

/** The quantity as a number of its base unit (cores, bytes, devices). @throws Invalid when it is none. */
export function parseQuantity(text: string | number): number {
  const match = QUANTITY.exec(String(text).trim());
  if (match === null) {
    throw new StatusError(
      'Invalid',
      `cannot parse quantity '${text}': it is not a number with a suffix like m, Ki, Mi or G`,
    );
  }
  const [, digits = '0', exponent = '', suffix = ''] = match;
  return Number(digits + exponent) * (FACTORS[suffix] ?? 1);
}

/** Thousandths of a core. Rounded up, as Kubernetes does. */
export function parseCpuMillis(text: string | number): number {
  return Math.ceil(Math.round(parseQuantity(text) * 1e9) / 1e6);
}

/** Whole bytes. Rounded up. */
export function parseBytes(text: string | number): number {
  const bytes = parseQuantity(text);
  const nearest = Math.round(bytes);
  // why: 1.1 * 1000 is a hair above 1100
  return Math.abs(bytes - nearest) <= Math.abs(bytes) * 1e-12 ? nearest : Math.ceil(bytes);
}

/** `1500` -> `1500m`, `2000` -> `2`. */
export function formatCpuMillis(cpuMillis: number): string {
  return cpuMillis % 1000 === 0 ? String(cpuMillis / 1000) : `${cpuMillis}m`;
}

/** The largest binary suffix that divides the number of bytes: `1073741824` -> `1Gi`. */
export function formatBytes(bytes: number): string {
  for (const suffix of ['Ei', 'Pi', 'Ti', 'Gi', 'Mi', 'Ki']) {
    const factor = FACTORS[suffix] ?? 1;
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${suffix}`;
  }
  return String(bytes);
}
