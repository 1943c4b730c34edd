/**
 * Owns how long to wait after failures in a row.
 * Invariant: waits double up to a longest; at random half of one may be missing, so that many who failed together do not come back together.
 */

export interface BackoffRange {
  firstMs: number;
  longestMs: number;
}

/** The wait after this many failures (from 1), ms. @param random 0 to 1, as Math.random */
export function backoffMs(failures: number, range: BackoffRange, random: () => number): number {
  const full = Math.min(range.firstMs * 2 ** Math.min(failures - 1, 30), range.longestMs);
  return full * (0.5 + random() / 2);
}
