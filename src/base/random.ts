/** Chance as a parameter. Knows one generator for tests and simulations; real entropy is passed in from outside. */

/** Returns a number in [0, 1). */
export type Random = () => number;

/** The mulberry32 generator (Tommy Ettinger, public domain): 32 bits of state, the same sequence for the same seed. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const NAME_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';

/** A suffix as Kubernetes' generateName makes it: no vowels, so no words. */
export function randomSuffix(random: Random, length = 5): string {
  return Array.from({ length }, () => NAME_ALPHABET.charAt(Math.floor(random() * NAME_ALPHABET.length))).join('');
}
