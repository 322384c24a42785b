/** A row of numbers as one line of blocks. Pure. */

const BLOCKS = '▁▂▃▄▅▆▇█';

/** One character a value, from the lowest to the highest; what is no number is a space, equal values are half high. */
export function sparkline(values: readonly number[]): string {
  const finite = values.filter(Number.isFinite);
  const low = Math.min(...finite);
  const span = Math.max(...finite) - low;
  return values.map((value) => (Number.isFinite(value) ? blockOf(value, low, span) : ' ')).join('');
}

function blockOf(value: number, low: number, span: number): string {
  const share = span === 0 ? 0.5 : (value - low) / span;
  return BLOCKS.charAt(Math.min(BLOCKS.length - 1, Math.floor(share * BLOCKS.length)));
}
