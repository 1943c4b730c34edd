/**
 * Owns chance in the crash tests: the same seed gives the same plan. (What the plan meets is up to the machine.)
 */

/** Numbers in [0, 1), by mulberry32. */
export type Random = () => number;

/** @param seed any integer; of its bits the lowest 32 count */
export function createRandom(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A number in [from, to). */
export function between(random: Random, from: number, to: number): number {
  return from + random() * (to - from);
}
